"""`lorgnette finetune`: train an adapter from a configuration, and say what would be trained."""

from typing import TYPE_CHECKING

import click

from cli.edge import verbose_option
from cli.finetune.job import FileGroup, do, job_of

if TYPE_CHECKING:
    from finetune.config.schema import FinetuneConfig


@click.group(short_help="Train, measure and ship adapters.", cls=FileGroup)
@verbose_option
def finetune() -> None:
    """Train adapters that --adapter uses, from a YAML file with LLaMA-Factory's keys.

    `lorgnette finetune FILE.yaml` does what the file says: trains, predicts, merges or serves.

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

    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns of a kernel that nothing here needs
    job = job_of(words)
    if dry_run:
        _dry_run(job.config)
        return
    do(ctx, job)


def _dry_run(config: "FinetuneConfig") -> None:
    from dataclasses import replace

    from cli.data.report import lines_of
    from finetune.data.configured import frame_budget
    from finetune.data.report import count_tokens, report_on
    from finetune.data.token_counts import TokenCounter
    from finetune.training.dry_run import look_ahead

    found = look_ahead(config)
    click.echo(config.to_yaml(), nl=False)
    pixels, frames = config.data.image_max_pixels, frame_budget(config)
    counter = TokenCounter(found.processor, max_pixels=pixels, frames=frames, sizes=found.data.dataset.sizes)
    report = report_on(found.data.dataset)
    tokens = count_tokens(
        found.data.dataset.samples, counter, model=config.model.model_name_or_path, cutoff_len=config.data.cutoff_len
    )
    for line in lines_of(replace(report, tokens=tokens)):
        click.echo(line)
    click.echo(f"{len(found.data.train):,} rows to learn, {len(found.data.held_back):,} held back")
    click.echo(str(found.parameters))
