"""`lorgnette finetune evaluate`: measure an adapter, or a model without one, on rows with known answers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import verbose_option
from cli.finetune.table import print_table, say_broken, shown_progress

if TYPE_CHECKING:
    from finetune.config.schema import FinetuneConfig
    from finetune.evaluation.answering import Answering
    from finetune.evaluation.cases import Predictions
    from finetune.evaluation.evaluate import Measuring
    from finetune.evaluation.rows import Rows
    from model.settings import ModelSettings

JUDGE_TOKENS = 32
OUT = "evaluation"


@click.command("evaluate", short_help="Measure an adapter on rows with known answers.")
@click.argument("config", required=False, metavar="[CONFIG.yaml|DIR]", type=click.Path(path_type=Path))
@click.option(
    "--adapter",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The adapter. Default: output_dir of CONFIG; without either the model alone is measured.",
)
@click.option("--model", metavar="M", help="The base model. Default: that of CONFIG, or the one the adapter names.")
@click.option(
    "--data",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Rows with right answers. Default: those that CONFIG holds back.",
)
@click.option(
    "--split",
    type=click.Choice(["train", "val", "test"]),
    help="The part of FILE, or of CONFIG's data, that `lorgnette data split` made.",
)
@click.option(
    "--image-folder",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where relative picture names are looked for first.",
)
@click.option(
    "--predictions",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Measure the answers in FILE and run no model.",
)
@click.option(
    "--metrics",
    metavar="A,B",
    help="Instead of those that suit the data: exact, vqa, anls, box-iou, box-acc, "
    "cider, bleu-4, rouge-1, rouge-2, rouge-l.",
)
@click.option("--base", is_flag=True, help="Measure the model without the adapter, too, and the difference.")
@click.option(
    "--judge",
    metavar="M",
    help="Let this model mark answers from 1 to 5: `tiny`, a hub id, a folder or http(s)://host/v1#name.",
)
@click.option("--max-samples", type=click.IntRange(1), metavar="N", help="Only the first N rows.")
@click.option(
    "--max-new-tokens",
    type=click.IntRange(1, 8192),
    default=128,
    metavar="N",
    help="Longest answer, in tokens. Default: 128.",
)
@click.option(
    "--batch-tokens",
    type=click.IntRange(1),
    default=8192,
    metavar="N",
    help="Tokens answered at a time, padding included; fewer take less memory. Default: 8192.",
)
@click.option(
    "--max-pixels",
    type=click.IntRange(1024),
    metavar="N",
    help="Pixel budget of a picture. Default: CONFIG's image_max_pixels, or the model's own.",
)
@click.option(
    "--quantization",
    type=click.Choice(["auto", "none", "nf4", "int8"]),
    help="Form of the weights. Default: as CONFIG trained it, or auto.",
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help=f"Folder of the results. Default: {OUT} in the adapter's folder, or here.",
)
@click.option("--seed", type=int, default=0, metavar="N", help="Of the intervals. Default: 0.")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document, that of results.json.")
@verbose_option
def finetune_evaluate(config: Path | None, as_json: bool, **options: Any) -> None:
    """Let a model answer rows whose right answers are known, and say how well it did, with intervals.

    Which metrics: those that suit the data, or --metrics. DIR gets results.json, predictions.jsonl and report.html, and
    keeps every answer at once: the same command goes on where it was stopped, and answers nothing twice. In the place
    of CONFIG.yaml the folder of an adapter may stand that was trained with one.

    \b
    Examples:
      lorgnette finetune evaluate examples/finetune/tiny.yaml --base
      lorgnette finetune evaluate --adapter runs/captions --data captions.csv --split test --base
      lorgnette finetune evaluate --model tiny --data shapes/scenes.jsonl --max-samples 50
      lorgnette finetune evaluate --predictions generated_predictions.jsonl
    """  # noqa: D301
    from common.safe_text import printable
    from finetune.config.schema import RESOLVED
    from finetune.evaluation.evaluate import RESULTS, evaluate, evaluate_predictions
    from model.adapters import quiet_bitsandbytes

    quiet_bitsandbytes()
    if config is not None and config.is_dir():  # an adapter's folder, with the configuration that it was trained with
        options["adapter"] = options["adapter"] or config
        config = config / RESOLVED if (config / RESOLVED).is_file() else None
    _check(config, options)
    tree = _load(config)
    measuring = _measuring(tree, options)
    with shown_progress(measuring.out) as watch:
        if options["predictions"] is not None:
            predictions = _predictions(tree, options)
            say_broken(predictions.broken)
            source = str(options["predictions"])
            outcome = evaluate_predictions(predictions, measuring, source=source, watch=watch)
        else:
            rows = _rows(tree, options)
            say_broken(rows.broken)
            outcome = evaluate(
                rows.samples, _answering(tree, options), measuring, source=rows.source, broken=rows.broken, watch=watch,
                say=lambda text: click.echo(f"Warning: {printable(text)}.", err=True),
            )  # fmt: skip
    if as_json:
        click.echo((measuring.out / RESULTS).read_text("utf-8"), nl=False)
    else:
        print_table(outcome, measuring.out)


def _check(config: Path | None, options: dict[str, Any]) -> None:
    from model.open import is_remote

    if options["predictions"] is not None:
        taken = [name for name in ("adapter", "model", "quantization") if options[name] is not None]
        if taken or options["base"]:
            raise click.UsageError(f"--predictions runs no model; leave out --{taken[0] if taken else 'base'}.")
    elif options["model"] is not None and is_remote(options["model"]):
        raise click.UsageError("--model is loaded here; give the answers of one behind an address by --predictions.")
    elif config is None and options["data"] is None and options["adapter"] is not None:
        from finetune.config.schema import RESOLVED
        from model.adapters.attach import read_adapter

        read_adapter(options["adapter"].expanduser())
        raise click.UsageError(f"The adapter has no {RESOLVED} beside it that names its rows; give --data FILE.")
    elif config is None and options["data"] is None:
        raise click.UsageError("Give CONFIG.yaml, or --data FILE, or --predictions FILE.")
    if options["base"] and config is None and options["adapter"] is None and options["predictions"] is None:
        raise click.UsageError("--base compares with an adapter; give --adapter DIR, or leave it out.")


def _load(config: Path | None) -> "FinetuneConfig | None":
    if config is None:
        return None
    from finetune.config.loading import load_config

    tree = load_config(config)
    for note in tree.notes:
        click.echo(f"Note: {note}", err=True)
    return tree


def _rows(tree: "FinetuneConfig | None", options: dict[str, Any]) -> "Rows":
    from finetune.evaluation.rows import rows_of_config, rows_of_file

    if options["data"] is not None:
        folder = options["image_folder"] or (None if tree is None else tree.data.media_dir)
        return rows_of_file(options["data"].expanduser(), options["split"], folder, options["max_samples"])
    assert tree is not None, "without a file there is a configuration"
    return rows_of_config(tree, options["split"], options["max_samples"])


def _predictions(tree: "FinetuneConfig | None", options: dict[str, Any]) -> "Predictions":
    from dataclasses import replace

    from finetune.evaluation.cases import read_predictions

    path = options["predictions"].expanduser()
    if tree is None and options["data"] is None:
        found = read_predictions(path)
    else:
        rows = _rows(tree, {**options, "max_samples": None})
        found = read_predictions(path, rows.samples)
        found = replace(found, broken=[*rows.broken, *found.broken])
    most = options["max_samples"]
    return replace(found, cases=found.cases[:most], said={name: said[:most] for name, said in found.said.items()})


def _answering(tree: "FinetuneConfig | None", options: dict[str, Any]) -> "Answering":
    from finetune.data.configured import frame_budget
    from finetune.evaluation.answering import Answering
    from finetune.export.export import base_of
    from model.adapters.attach import read_adapter

    adapter = options["adapter"]
    if adapter is None and tree is not None:
        adapter = tree.training.output_dir
    adapter = None if adapter is None else adapter.expanduser()
    model, quantization, pixels = options["model"], options["quantization"], options["max_pixels"]
    bf16 = frames = None
    if tree is not None:
        model, quantization = model or tree.model.model_name_or_path, quantization or tree.model.quantization
        pixels, bf16, frames = pixels or tree.data.image_max_pixels, tree.model.bf16, frame_budget(tree)
    elif model is None:
        model = "tiny" if adapter is None else base_of(adapter, read_adapter(adapter)[0])
    return Answering(
        model=model, adapter=adapter, base=options["base"], quantization=quantization or "auto", bf16=bf16,
        max_new_tokens=options["max_new_tokens"], max_pixels=pixels, frames=frames,
        batch_tokens=options["batch_tokens"],
    )  # fmt: skip


def _measuring(tree: "FinetuneConfig | None", options: dict[str, Any]) -> "Measuring":
    from finetune.evaluation.evaluate import Measuring

    beside = options["adapter"] or (None if tree is None else tree.training.output_dir)
    if options["predictions"] is not None:
        beside = options["predictions"].parent
    out = options["out"] or (Path(OUT) if beside is None else beside / OUT)
    names = tuple(name.strip() for name in (options["metrics"] or "").split(",") if name.strip())
    judge = None if options["judge"] is None else _judge(options["judge"])
    return Measuring(out=out.expanduser(), metrics=names, judge=judge, seed=options["seed"])


def _judge(model: str) -> "ModelSettings":
    """Return the judge's settings: those of the user, with what a judge needs."""
    from lorgnette.settings import load_settings

    settings = load_settings(model=model, max_new_tokens=JUDGE_TOKENS, temperature=0.0)
    return settings.model_copy(update={"adapter": None, "node_adapters": ()})
