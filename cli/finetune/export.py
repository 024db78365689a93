"""`lorgnette finetune export`: make of an adapter what other programs load."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import verbose_option
from cli.finetune.table import say_broken

if TYPE_CHECKING:
    from finetune.export.gguf import Outtype

CHECK = "`lorgnette data check` lists them all"


@click.command("export", short_help="Merge an adapter into its base model.")
@click.argument("source", metavar="ADAPTER|CONFIG", type=click.Path(path_type=Path))
@click.option("--to", "out", required=True, metavar="DIR", type=click.Path(path_type=Path), help="The new folder.")
@click.option("--model", "base", metavar="M", help="The base; default: the one that the adapter names.")
@click.option(
    "--approximate-merge", is_flag=True, help="For MoE-LoRA: write a plain LoRA that comes near, and say how near."
)
@click.option("--data", metavar="FILE", type=click.Path(path_type=Path), help="For it: rows to weigh the experts on.")
@click.option("--max-samples", type=click.IntRange(min=1), default=64, show_default=True, help="Of these rows.")
@click.option("--gguf", is_flag=True, help="Also write the model in llama.cpp's form, by its own converter.")
@click.option("--llama-cpp", "llama_cpp", metavar="DIR", type=click.Path(path_type=Path),
              help="Folder of llama.cpp with its converter; default: the one on the path.")  # fmt: skip
@click.option("--outtype", type=click.Choice(["f32", "f16", "bf16", "q8_0"]), default="f16", show_default=True,
              help="For --gguf: form of the words' matrices.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def finetune_export(
    source: Path,
    out: Path,
    base: str | None,
    approximate_merge: bool,
    data: Path | None,
    max_samples: int,
    gguf: bool,
    llama_cpp: Path | None,
    outtype: "Outtype",
    as_json: bool,
) -> None:
    """Merge the adapter into a copy of its base model and write that to DIR, with processor and chat template.

    Give the adapter's folder, or the configuration that it was trained with. The new folder is a model for --model
    and for every program that reads transformers' checkpoints.

    \b
    Examples:
      lorgnette finetune export runs/captions --to models/captions
      lorgnette finetune export runs/mixture --to runs/static --approximate-merge --data rows.jsonl
      lorgnette finetune export runs/captions --to models/captions --gguf --llama-cpp llama.cpp
    """  # noqa: D301
    from finetune.export.export import export
    from finetune.export.gguf import find_converter, write_gguf

    if gguf and approximate_merge:
        raise click.UsageError("--gguf is of a whole model; --approximate-merge writes an adapter.")
    converter = find_converter(llama_cpp) if gguf else None  # before minutes of merging
    adapter = _trained_by(source) if source.suffix in (".yaml", ".yml") else source
    samples = None
    if data is not None:
        from finetune.data.dataset import read_dataset

        read = read_dataset(data, max_samples=max_samples)
        say_broken(read.broken, CHECK)
        samples = read.samples
    done = export(adapter, base, out, approximate_merge=approximate_merge, samples=samples)
    say_broken(done.broken, CHECK)
    made = None if converter is None else write_gguf(done.folder, converter, outtype=outtype)
    losses = done.losses
    if as_json:
        found: dict[str, Any] = {"folder": str(done.folder), "base": done.base, "merged": done.merged, "losses": None}
        if made is not None:
            found["gguf"] = {"words": str(made.words), "vision": str(made.vision)}
        if losses is not None:
            found["losses"] = {
                "base": losses.base, "adapter": losses.adapter, "approximation": losses.approximation,
                "kept": losses.kept,
            }  # fmt: skip
        click.echo(json.dumps(found))
    elif losses is None:
        click.echo(f"{done.folder} holds {done.base} with the adapter in it; ask with --model {done.folder}")
        if made is not None:
            click.echo(f"serve it with: llama-server -m {made.words} --mmproj {made.vision} --jinja")
    else:
        rows = len(samples or ()) - len(done.broken)
        click.echo(
            f"{done.folder} holds a plain LoRA for {done.base}; mean loss on {rows} rows: base "
            f"{losses.base:.4f}, mixture {losses.adapter:.4f}, this {losses.approximation:.4f}"
            + ("" if losses.kept is None else f" ({losses.kept:.0%} of what the mixture gains)")
        )


def _trained_by(path: Path) -> Path:
    from finetune.config.loading import load_config

    return load_config(path).training.output_dir
