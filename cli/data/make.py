"""`lorgnette data scenes|pull|from-kb`: training data that is drawn, downloaded, or made of documents."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import FAILED, verbose_option
from cli.kb.command import stoppable
from cli.kb.options import KB_SETTINGS, kb_options, open_base
from cli.progress_bar import bar
from common.errors import LorgnetteError
from finetune.data.formats import WRITABLE

if TYPE_CHECKING:
    from finetune.data.from_kb import Excerpt, Harvest, Writer
    from finetune.data.sample import Sample
    from retrieval.knowledge_base import KnowledgeBase

WORLDS = ("shapes", "new", "german", "bars", "digits")  # as finetune.data.domains, which takes long to import


@click.command(short_help="Draw pictures with questions.")
@click.argument("count", metavar="N", type=click.IntRange(1, 1_000_000))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--world", type=click.Choice(WORLDS), default="shapes", help="What is drawn. Default: shapes.")
@click.option("--questions", type=click.IntRange(1, 20), default=3, metavar="N", help="About each picture. Default: 3.")
@click.option("--width", type=click.IntRange(64, 4096), default=256, metavar="PX", help="Default: 256.")
@click.option("--height", type=click.IntRange(64, 4096), default=192, metavar="PX", help="Default: 192.")
@click.option("--seed", type=int, default=0, metavar="N", help="The same seed draws the same data. Default: 0.")
@click.option("--force", is_flag=True, help="Replace rows that exist.")
@verbose_option
def scenes(count: int, out: Path, force: bool, **drawing: Any) -> None:
    """Draw N pictures with questions and exact answers into the folder OUT.

    OUT then holds images/, scenes.jsonl (sharegpt) and dataset_info.json: data to try training with. The bundled
    checkpoint knows most of the world of shapes; the others are new to it.

    \b
    Example:
      lorgnette data scenes 300 charts --world bars
    """  # noqa: D301
    from finetune.data.drawn.scene_rows import write_scenes

    with bar("drawing") as progress:
        file = write_scenes(count, out, force=force, progress=progress, **drawing)
    click.echo(str(file))


@click.command(short_help="Download a data set by name.")
@click.argument("name", metavar="ID")
@click.argument("out", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--first", type=click.IntRange(1), default=500, metavar="N",
              help="coco-captions: so many pictures. Default: 500.")  # fmt: skip
@click.option("--split", type=click.Choice(["train", "validation"]), default="train", help="coco-captions: of which.")
@verbose_option
def pull(name: str, out: Path | None, first: int, split: str) -> None:
    """Download the data set ID into OUT (default: a folder of its name).

    ID is one of Hugging Face, modelscope:ORG/NAME, or coco-captions: the first pictures of COCO 2014 from ModelScope
    with a caption each, as a CSV. No code of a data set is run.

    \b
    Examples:
      lorgnette data pull coco-captions coco --first 500
      lorgnette data pull modelscope:modelscope/coco_2014_caption
    """  # noqa: D301
    from finetune.data.pull import COCO, pull_coco_captions, pull_dataset

    out = out or Path(name.rpartition("/")[2].rpartition(":")[2])
    if name == COCO:
        with bar("downloading") as progress:
            click.echo(str(pull_coco_captions(out, first, split=split, progress=progress)))
    else:
        click.echo(str(pull_dataset(name, out)))


@click.command("from-kb", short_help="Make question/answer rows of your documents.")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--per-document", type=click.IntRange(1, 1000), default=5, metavar="N",
              help="Rows at most of each document. Default: 5.")  # fmt: skip
@click.option("--source", metavar="PATH", help="Only this file or folder; * and ? as in a shell.")
@click.option("--to", "to", type=click.Choice(WRITABLE[:3]), default="messages", help="Format. Default: messages.")
@click.option("--seed", type=int, default=0, metavar="N", help="Decides what stands beside an answer. Default: 0.")
@click.option("--model", metavar="M", help="Who writes: an id, a folder, or http(s)://host/v1#name.")
@click.option("--answering", type=click.Choice(["auto", "generate", "quote"]),
              help="auto: quote with the bundled model, which cannot write about documents.")  # fmt: skip
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@click.option("--resume", is_flag=True, help="Keep the rows of OUT and make those that are not there yet.")
@kb_options
@verbose_option
def from_kb(
    out: Path, per_document: int, source: str | None, to: str, seed: int, force: bool, resume: bool, **options: Any
) -> None:
    """Turn passages of the knowledge base into rows with citations, marked `generated: true`, and write them to OUT.

    The local model writes a question to each passage and answers it from numbered passages; its own reviewer judges
    the answer, and what fails is left out and counted. The bundled model cannot write about documents: with it,
    questions are made of headings and answered by quotations. Rows are in OUT as soon as they are made; after Ctrl-C
    or an error, --resume goes on.

    \b
    Examples:
      lorgnette data from-kb papers.jsonl --kb ~/Papers --model Qwen/Qwen3-VL-4B-Instruct
      lorgnette data from-kb handbook.jsonl --source handbook.pdf --per-document 50
    """  # noqa: D301
    from contextlib import suppress

    from common.safe_text import printable
    from finetune.data.from_kb import harvest
    from finetune.data.writing import NothingToWrite, check_suffix, write_samples
    from finetune.output_files import check_free
    from lorgnette.settings import load_settings

    check_suffix(out, to)
    check_free([out], force=force or resume)
    rows = _made_before(out) if resume and out.exists() else []
    before = len(rows)
    settings = load_settings(**{key: options.get(key) for key in (*KB_SETTINGS, "model", "answering")})
    quotes = settings.answering == "quote" or (settings.answering == "auto" and settings.model == "tiny")
    with open_base(options) as base:
        documents = _documents(base, source)
    writer = None if quotes else _writer(settings)
    cancel = threading.Event()

    def keep(row: "Sample") -> None:
        rows.append(row)
        if writer is not None:  # each took a model's time
            with suppress(NothingToWrite):
                write_samples(rows, out, to)

    try:
        with bar("writing") as progress:
            made: Harvest = stoppable(
                lambda: harvest(
                    documents, writer, per_document=per_document, seed=seed, done={row.id for row in rows},
                    on_row=keep, cancel=cancel, progress=lambda done, _: progress(done),
                ),
                cancel,
                unit="row",
            )  # fmt: skip
    except LorgnetteError:
        if len(rows) > before and writer is not None:
            click.echo(f"{len(rows)} rows are in {out}; --resume goes on from there", err=True)
        raise
    _tell(made)
    if len(rows) > before:
        left_out = write_samples(rows, out, to)
        for each in left_out:
            click.echo(f"Left out: {printable(str(each))}", err=True)
        kept = f", {before} of them from before" if before else ""
        click.echo(f"{len(rows) - len(left_out)} rows of {len(documents)} documents written to {out}{kept}")
    elif before:
        click.echo(f"No further row; {out} holds {before}")
    if cancel.is_set():
        click.echo("--resume goes on from there", err=True)
        raise KeyboardInterrupt
    if not rows:
        click.echo("Error: no passage gave a row; nothing was written", err=True)
        raise click.exceptions.Exit(FAILED)


def _made_before(out: Path) -> "list[Sample]":
    from finetune.data.dataset import read_dataset

    found = read_dataset(out)
    if found.broken:
        raise click.UsageError(f"{found.broken[0]}: this row would be lost; repair it, or write anew with --force.")
    return found.samples


def _documents(base: "KnowledgeBase", source: str | None) -> "dict[str, list[Excerpt]]":
    from finetune.data.from_kb import Excerpt
    from graph.answer import Passage
    from retrieval.source_filter import source_matches

    found: dict[str, list[Excerpt]] = {}
    for row in base.catalogue.files():
        if source is not None and not source_matches(source, row.source):
            continue
        found[row.source] = [
            Excerpt(
                Passage(
                    id=chunk.id, source=row.source, page=chunk.page, start=chunk.start, end=chunk.end,
                    text=chunk.text, score=1.0,
                ),
                chunk.headings,
            )
            for chunk in base.catalogue.chunks_in(row.source)
        ]  # fmt: skip
    if not found:
        which = "no document" if source is None else f"no document {source!r}"
        raise click.ClickException(f"The knowledge base holds {which}; `lorgnette kb sync` indexes its folder.")
    return found


def _writer(settings: Any) -> "Writer":
    from finetune.data.from_kb import Writer
    from lorgnette.model_sharing.attach import open_model

    chat, identity = open_model(settings)
    return Writer(chat, identity, settings.max_new_tokens)


def _tell(made: "Harvest") -> None:
    if made.kind == "quoted":
        click.echo(
            "Note: the rows are quotations under headings; no model wrote or reviewed them. "
            "A larger --model writes questions and answers.",
            err=True,
        )
    for reason, count in made.left_out.most_common():
        click.echo(f"Left out: {count} passages: {reason}", err=True)
