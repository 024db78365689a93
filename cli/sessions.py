"""`lorgnette session`: conversations that were kept, to list, read, save as a report, and delete."""

import json
from typing import TYPE_CHECKING

import click

from cli.edge import verbose_option

if TYPE_CHECKING:
    from graph.archive import Archive


@click.group(short_help="List, show, save and delete conversations.")
def session() -> None:
    """Conversations that were kept; `lorgnette ask --session ID` goes on with one."""


@session.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def list_sessions(as_json: bool) -> None:
    """List the sessions, the latest first."""
    from common.safe_text import printable

    infos = _archive().sessions.infos()
    if as_json:
        click.echo(json.dumps([vars(info) for info in infos], ensure_ascii=False))
        return
    for info in infos:
        questions = "1 question" if info.turns == 1 else f"{info.turns} questions"
        first = " ".join(printable(info.first_question).split())
        click.echo(f"{info.id}  {info.last_asked_at}  {questions}  {first[:80]}")
    if not infos:
        click.echo('No sessions yet; `lorgnette ask "..." PICTURE` begins one.', err=True)


@session.command()
@click.argument("session_id", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def show(session_id: str, as_json: bool) -> None:
    """Show every turn of the session ID."""
    from common.safe_text import printable
    from graph.errors import SessionMissing
    from lorgnette.answer_text import render_evidence

    turns = _archive().sessions.turns(session_id)
    if not turns:
        raise SessionMissing(session_id)
    if as_json:
        click.echo(json.dumps([turn.model_dump(mode="json") for turn in turns], ensure_ascii=False))
        return
    for number, turn in enumerate(turns, 1):
        click.echo(f"{number}. {printable(turn.question)}  ({turn.asked_at})")
        for image in turn.images:
            click.echo(f"   Picture: {printable(image.source)}")
        click.echo(printable(turn.answer.answer))
        for line in render_evidence(turn.answer):
            click.echo(f"   {line}")
        click.echo()


@session.command()
@click.argument("session_id", metavar="ID")
@click.option("--title", help="Of the report; by default the first question.")
@verbose_option
def save(session_id: str, title: str | None) -> None:
    """Write the session ID as a Markdown report, and print its path."""
    click.echo(_archive().summarize(session_id, title).path)


@session.command()
@click.argument("session_ids", metavar="ID...", nargs=-1, required=True)
@verbose_option
def delete(session_ids: tuple[str, ...]) -> None:
    """Delete the sessions ID..., with the pictures that were kept for them; reports stay."""
    archive = _archive()
    for session_id in session_ids:
        archive.sessions.delete(session_id)
        click.echo(f"Deleted {session_id}")


def _archive() -> "Archive":
    from lorgnette.archive import required_archive
    from lorgnette.settings import load_settings

    return required_archive(load_settings())
