"""`lorgnette kb`: index a folder, list what is indexed, repair it, and hold citations against their files."""

import contextlib
import json
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.edge import FAILED, verbose_option
from cli.kb.captions import add_captions, caption_options, open_captioner
from cli.kb.languages import how_to_multilingual, unread_passages
from cli.kb.options import kb_options, open_base
from cli.progress_bar import counted

if TYPE_CHECKING:
    from retrieval.sync.sync import SyncReport

# So many files that were skipped for the same reason are listed one by one; more are one line.
_ONE_BY_ONE = 5


@click.group(short_help="Index, list and repair your documents.")
@verbose_option
def kb() -> None:
    """Keep the knowledge base: the documents that are searched and cited.

    \b
    Examples:
      lorgnette kb sync ~/Papers
      lorgnette kb list --skipped
    """  # noqa: D301


@kb.command("sync", short_help="Index what is new or changed.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="Where files are read and embedded: in this process, or on workers of Ray (the extra `ray`).",
)
@click.option("--ray-workers", type=click.IntRange(1), default=2, metavar="N", help="Workers of Ray. Default: 2.")
@click.option("--ray-address", metavar="A", help="A running Ray cluster that sees FOLDER under the same path.")
@click.option("--full", is_flag=True, help="Compare the bytes of every file, whatever its size and times say.")
@caption_options
@kb_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def sync(
    folder: Path | None,
    engine: str,
    ray_workers: int,
    ray_address: str | None,
    full: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Bring the index to where FOLDER is (default: the setting kb); Ctrl-C keeps what is done.

    Text, Markdown, CSV, code, HTML, PDF, office documents, books, mail and pictures are read; scans by OCR.
    """  # fmt: skip
    if folder is not None:
        options["kb"] = folder
        _remember_first(folder)
    from retrieval.sync.ray_ingestion import RayWorkers

    on_ray = RayWorkers(ray_workers, ray_address) if engine == "ray" else None
    cancel = threading.Event()
    with open_base(options) as base, counted("looking") as count:

        def work() -> "SyncReport":
            return add_captions(
                base,
                base.sync(count.told, cancel, on_ray=on_ray, full=full),
                open_captioner(options),
                count.told,
                cancel,
            )

        report = stoppable(work, cancel, beat=count.tick)
    if as_json:
        click.echo(json.dumps(asdict(report)))
    else:
        print_report(report)
    if report.cancelled:
        raise KeyboardInterrupt


def _remember_first(folder: Path) -> None:
    """Let a plain search find what was synced first, wherever it is started; of another folder say how it is found."""
    from common.safe_text import escaped
    from retrieval.library import LibraryError, is_within, library_folder, linked, remember

    if not folder.is_dir():
        return
    known = linked(library_folder())
    if not known:
        with contextlib.suppress(LibraryError):
            remember(folder)
    elif not is_within(folder, known):
        looks_in = ", ".join(map(str, known.values()))
        note = f"note: a search without --kb looks in {looks_in}; `lorgnette kb add {folder}` adds this folder to it"
        click.echo(escaped(note), err=True)


def stoppable(work: Any, cancel: threading.Event, *, unit: str = "file", beat: Callable[[], None] | None = None) -> Any:
    """Run the work on a thread, so that Ctrl-C ends it between two files (or other units) and not within one.

    `beat` is called several times a second meanwhile.
    """
    from concurrent.futures import ThreadPoolExecutor, wait

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(work)
        while not future.done():
            try:
                wait([future], 0.1)
                if beat is not None:
                    beat()
            except KeyboardInterrupt:
                if cancel.is_set():
                    raise
                cancel.set()
                click.echo(f"Stopping after the {unit} at hand …", err=True)
        return future.result()


def print_report(report: "SyncReport") -> None:
    """Print what a sync did, what it skipped and what it could not read."""
    from common.safe_text import escaped

    alike = Counter(reason for _, reason in report.reasons)
    for source, reason in report.reasons:
        if alike[reason] <= _ONE_BY_ONE:
            click.echo(escaped(f"Skipped: {source}: {reason}"))
    for reason, count in alike.items():
        if count > _ONE_BY_ONE:
            click.echo(escaped(f"Skipped: {count:,} files: {reason}"))
    for source, note in report.notes:
        click.echo(escaped(f"Note: {source}: {note}"))
    for note in report.degraded:
        click.echo(escaped(f"Degraded: {note}"))
    if report.unread:
        click.echo(f"Languages: {unread_passages(dict(report.unread))}; {how_to_multilingual()}")
    captioned = f"{report.captioned} captioned, " if report.captioned else ""
    click.echo(
        f"{report.added} added, {report.updated} updated, {report.renamed} renamed, {report.removed} removed, "
        f"{report.unchanged} unchanged, {report.skipped} skipped, {captioned}{report.seconds:.1f} s"
    )


@kb.command("watch", short_help="Index, and go on with each change.")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@caption_options
@kb_options
@verbose_option
def watch_folder(folder: Path | None, **options: Any) -> None:
    """Bring the index to where FOLDER is, and again after each change, until Ctrl-C."""
    if folder is not None:
        options["kb"] = folder
        _remember_first(folder)
    from retrieval.watch import watch

    stop = threading.Event()
    with open_base(options) as base:
        click.echo(f"Watching {base.folder}; Ctrl-C ends it.", err=True)
        captioner = open_captioner(options)
        stoppable(
            lambda: watch(
                base,
                stop,
                print_report,
                lambda error: click.echo(f"Error: {error}", err=True),
                captioner=lambda: captioner,
            ),
            stop,
        )
    raise KeyboardInterrupt


@kb.command("list", short_help="List the indexed files.")
@click.option("--skipped", is_flag=True, help="List the files that could not be read instead, with the reason.")
@kb_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def list_files(skipped: bool, as_json: bool, **options: Any) -> None:
    """List the indexed files, or those that were skipped and why."""
    from common.safe_text import escaped

    with open_base(options) as base:
        rows = base.catalogue.skipped() if skipped else base.catalogue.files()
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows]))
        return
    for row in rows:
        codec = f"  {row.codec} ({row.confidence:.0%})" if row.codec else ""
        notes = f"  {'; '.join(row.notes)}" if row.notes else ""
        click.echo(escaped(f"{row.source}  {row.reason if skipped else row.media_type}{codec}{notes}"))


@kb.command("remove", short_help="Forget a file or a folder.")
@click.argument("source")
@kb_options
@verbose_option
def remove(source: str, **options: Any) -> None:
    """Forget SOURCE, a file or folder of the knowledge base; the next sync brings back what is still there.

    A folder that `kb add` or a first `kb sync` remembered is no longer looked in, either; its files stay as they are.
    """
    from common.safe_text import escaped
    from retrieval.library import forget, library_folder, linked
    from retrieval.source_filter import source_matches

    known, here = linked(library_folder()), Path(source).resolve()
    names = [name for name, folder in known.items() if name == source.strip("/") or folder == here]
    with open_base(options) as base:
        gone = [row for row in base.catalogue.known() if any(source_matches(part, row) for part in (source, *names))]
        base.catalogue.remove_files(gone)
    click.echo(f"{len(gone)} removed")
    for name in names:
        forget(known[name])
        click.echo(escaped(f"{known[name]} is no longer remembered"))
    if not (gone or names):
        click.echo(escaped(f"Error: {source!r} is not in the index; `lorgnette kb list` names its files"), err=True)
        raise click.exceptions.Exit(FAILED)


@kb.command("verify", short_help="Hold what a search finds against the files.")
@click.argument("query")
@click.option("--top-k", type=click.IntRange(1, 50), default=5, metavar="N", help="Hits at most. Default: 5.")
@kb_options
@verbose_option
def verify(query: str, top_k: int, **options: Any) -> None:
    """Search QUERY and say of each hit whether its words still stand where it says: exact, moved, changed or gone."""
    from cli.kb.search import WARM_UP_S
    from common.safe_text import escaped

    with open_base(options) as base:
        verdicts = [(hit, base.verify(hit)) for hit in base.search(query, top_k, wait_s=WARM_UP_S).hits]
    for hit, verdict in verdicts:
        seen = f"; {len(verdict.regions)} regions {verdict.regions_status}" if verdict.regions_status else ""
        place = f"{hit.source}, characters {hit.start} to {hit.end}"
        click.echo(escaped(f"{verdict.status:<8} {place}: {verdict.reason}{seen}"))
    if any({verdict.status, verdict.regions_status} & {"changed", "gone"} for _, verdict in verdicts):
        raise click.exceptions.Exit(FAILED)
