"""`lorgnette search`: passages of the user's documents, with where they stand and why they were found."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from cli.edge import verbose_option
from cli.knowledge import filter_options, kb_options, open_base

if TYPE_CHECKING:
    from retrieval.records import Found, Hit

WARM_UP_S = 30.0


@click.command(short_help="Search your documents.")
@click.argument("query")
@click.option("--top-k", type=click.IntRange(1, 50), default=5, metavar="N", help="Hits at most. Default: 5.")
@filter_options
@kb_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
def search(query: str, top_k: int, as_json: bool, **options: Any) -> None:
    """Search the documents for QUERY; run `lorgnette kb sync` first.

    \b
    Examples:
      lorgnette search "What does ERR_42 mean?"
      lorgnette search 年假可以结转几天 --source "中文/*" --json
    """  # noqa: D301
    with open_base(options) as base:
        found = base.search(query, top_k, options["wanted"], wait_s=WARM_UP_S)
        counts = base.catalogue.counts()
    if as_json:
        click.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    for line in _lines(found):
        click.echo(line)
    if not counts.files:
        click.echo(f"Nothing is indexed yet; run: lorgnette kb sync {base.folder}", err=True)


def _lines(found: "Found") -> list[str]:
    from mcp_server.results import printable

    lines = []
    for number, hit in enumerate(found.hits, 1):
        lines += [f"[{number}] {_place(hit)}", *(f"    {line}" for line in hit.text.splitlines()), ""]
    if not found.hits:
        lines.append("Nothing relevant was found.")
    lines += [f"Mode: {found.mode}", *(f"Degraded: {note}" for note in found.degraded)]
    return [printable(line) for line in lines]


def _place(hit: "Hit") -> str:
    page = f", page {hit.page}" if hit.page is not None else ""
    path = f" ({' > '.join(hit.headings)})" if hit.headings else ""
    stale = ", STALE: the file has changed since" if hit.stale else ""
    also = f", also in {', '.join(hit.also_in)}" if hit.also_in else ""
    return f"{hit.source}{page}, characters {hit.start} to {hit.end}{path}, score {hit.score:.2f}{also}{stale}"
