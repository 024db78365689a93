"""`lorgnette finetune`: train an adapter from a configuration, and say what would be trained."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.edge import STOPPED, verbose_option

if TYPE_CHECKING:
    from finetune.config.schema import FinetuneConfig


@click.group(short_help="Train, measure and ship adapters.")
@verbose_option
def finetune() -> None:
    """Train adapters that --adapter uses, from a YAML file with LLaMA-Factory's keys.

    \b
    Examples:
      lorgnette data scenes 1000 runs/charts --world bars
      lorgnette finetune train examples/finetune/tiny.yaml
      lorgnette ask "Which bar is the tallest?" examples/bars.png --adapter runs/charts-lora
    """  # noqa: D301


@finetune.command(
    "train",
    short_help="Train an adapter.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True},
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="CONFIG.yaml [--section.key=value]...")
@click.option("--dry-run", is_flag=True, help="Print configuration, data and parameter counts, and train nothing.")
@verbose_option
@click.pass_context
def train_command(ctx: click.Context, words: tuple[str, ...], dry_run: bool) -> None:
    """Train what CONFIG.yaml says; flags win over the file, such as --learning_rate=2e-4 or --data.packing=true.

    The adapter, its log, curves and a report in HTML end up in output_dir. Ctrl-C ends after the step at hand with a
    checkpoint; `--resume_from_checkpoint=true` goes on from there. Several processes: `accelerate launch --module
    cli.main finetune train CONFIG.yaml`.

    \b
    Examples:
      lorgnette finetune train examples/finetune/tiny.yaml --dry-run
      lorgnette finetune train moe.yaml --dataset captions.csv --output_dir runs/captions
    """  # noqa: D301
    import logging

    from finetune.config.loading import load_config

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that nothing here needs
    path, overrides = _split(words)
    config = load_config(path, overrides)
    for note in config.notes:
        click.echo(f"Note: {note}", err=True)
    if dry_run:
        _dry_run(config)
        return
    from common.safe_text import printable
    from finetune.training.train import train

    result = train(config, say=lambda text: click.echo(printable(text), err=True))
    if result.stopped:
        click.echo(
            f"Stopped after step {result.steps}; {result.checkpoint} is whole. Go on with the same command and "
            "--resume_from_checkpoint=true"
        )
        ctx.exit(STOPPED)
    if result.first_process:
        loss = result.metrics.get("eval_loss", result.metrics["train_loss"])
        click.echo(
            f"{result.output_dir} holds the adapter after {result.steps} steps (loss {loss:.4g}); "
            f"report: {result.output_dir / 'report.html'}; ask with --adapter {result.output_dir}"
        )


def _split(words: tuple[str, ...]) -> tuple[Path | None, list[str]]:
    """Return the file, named in the first place or by --config, and the rest."""
    rest = list(words)
    if rest and not rest[0].startswith("--"):
        return Path(rest.pop(0)), rest
    for place, word in enumerate(rest):
        if word == "--config" and place + 1 < len(rest):
            return Path(rest[place + 1]), rest[:place] + rest[place + 2 :]
        if word.startswith("--config="):
            return Path(word.partition("=")[2]), rest[:place] + rest[place + 1 :]
    return None, rest


def _dry_run(config: "FinetuneConfig") -> None:
    from dataclasses import replace

    from cli.data.report import lines_of
    from finetune.data.report import count_tokens, report_on
    from finetune.data.token_counts import TokenCounter
    from finetune.training.dry_run import look_ahead

    found = look_ahead(config)
    click.echo(config.to_yaml(), nl=False)
    counter = TokenCounter(found.processor, max_pixels=config.data.image_max_pixels, sizes=found.data.dataset.sizes)
    report = report_on(found.data.dataset)
    tokens = count_tokens(
        found.data.dataset.samples, counter, model=config.model.model_name_or_path, cutoff_len=config.data.cutoff_len
    )
    for line in lines_of(replace(report, tokens=tokens)):
        click.echo(line)
    click.echo(f"{len(found.data.train):,} rows to learn, {len(found.data.held_back):,} held back")
    click.echo(str(found.parameters))
