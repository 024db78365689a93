"""`lorgnette kb doctor`: hold catalogue and indexes against each other, and repair what is broken."""

import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from cli.edge import FAILED, verbose_option
from cli.kb.command import stoppable
from cli.kb.languages import offer_multilingual
from cli.kb.options import KB_SETTINGS, kb_options, open_base
from cli.progress_bar import counted

if TYPE_CHECKING:
    from retrieval.catalogue.repair import Salvaged
    from retrieval.catalogue.rows import Counts
    from retrieval.index.projections import IndexComparison
    from retrieval.knowledge_base import KnowledgeBase


@click.command("doctor", short_help="Compare the indexes with the catalogue, and repair both.")
@click.option("--check", is_flag=True, help="Repair nothing; exit with 1 if something is wrong.")
@click.option("--anew", is_flag=True, help="Put the catalogue aside unread, a newer version's too, and index again.")
@kb_options
@verbose_option
def doctor(check: bool, anew: bool, **options: Any) -> None:
    """Compare catalogue and indexes, and repair what is wrong.

    An index that differs is made anew from the catalogue; nothing is embedded. A damaged catalogue is put aside, never
    deleted, what can be read of it goes into a new one, and what was lost is read again from the folder. Where
    documents or questions are in languages that the embedder does not know, it says what would search them.
    """
    if check and anew:
        raise click.UsageError("--check repairs nothing; leave out --check or --anew.")
    problems = [] if anew else _problems(options)
    salvaged = None
    if anew or (problems and not check):
        salvaged = _salvage(options, problems, anew)
        problems = []
    if problems:
        for problem in problems:
            click.echo(f"catalogue  {problem}")
        raise click.exceptions.Exit(FAILED)
    with open_base(options) as base:
        if salvaged is not None:
            _sync(base, salvaged)
            problems = _checked(base)
        findings = base.compare()
        if not check and any(not finding.sound for finding in findings):
            click.echo("Rebuilding the indexes from the catalogue", err=True)
            findings = base.rebuild()
        counts = base.catalogue.counts()
        offers = offer_multilingual(base)
    for line in _lines(counts, problems, findings, offers):
        click.echo(line)
    if problems or any(not finding.sound for finding in findings):
        raise click.exceptions.Exit(FAILED)


def _lines(
    counts: "Counts", problems: Sequence[str], findings: "Sequence[IndexComparison]", offers: Sequence[str]
) -> Iterator[str]:
    yield f"catalogue  {counts.files} files, {counts.skipped} skipped, {counts.chunks} passages"
    yield from (f"catalogue  {problem}" for problem in problems)
    for finding in findings:
        state = "sound" if finding.sound else f"{finding.missing} missing, {finding.surplus} too many {finding.problem}"
        yield f"{finding.projection:<9}  {finding.held} of {finding.wanted} passages, {state}"
    yield from (f"languages  {offer}" for offer in offers)


def _problems(options: dict[str, Any]) -> list[str]:
    from retrieval.catalogue.catalogue import CatalogueDamaged

    try:
        with open_base(options) as base:
            return _checked(base)
    except CatalogueDamaged as error:
        return [error.detail]


def _checked(base: "KnowledgeBase") -> list[str]:
    from retrieval.catalogue.repair import check_contents

    return base.catalogue.check() or check_contents(base.catalogue)


def _salvage(options: dict[str, Any], problems: list[str], anew: bool) -> "Salvaged":
    from common.home import data_home
    from lorgnette.settings import load_settings
    from retrieval.catalogue.repair import salvage
    from retrieval.knowledge_base import catalogue_path

    for problem in problems:
        click.echo(f"The catalogue is damaged: {problem}", err=True)
    settings = load_settings(**{key: options.get(key) for key in KB_SETTINGS})
    done = salvage(catalogue_path(settings, data_home()), anew=anew)
    click.echo(f"The old catalogue is kept as {done.aside}; remove it when all is well.", err=True)
    return done


def _sync(base: "KnowledgeBase", salvaged: "Salvaged") -> None:
    """Read again what was lost, and tell what was kept and what was not."""
    cancel = threading.Event()
    with counted("looking") as count:
        report = stoppable(lambda: base.sync(count.told, cancel), cancel, beat=count.tick)
    for note in report.degraded:
        click.echo(f"Degraded: {note}", err=True)
    click.echo(
        f"kept       {salvaged.files} files, {salvaged.chunks} passages, {salvaged.vectors} vectors\n"
        f"read again {report.added + report.updated} files, {report.embedded} passages embedded"
    )
    if report.cancelled:
        raise KeyboardInterrupt
