"""`lorgnette search`: passages of the user's documents, with where they stand and why they were found."""

from typing import TYPE_CHECKING, Any

import click

from cli.edge import Run, verbose_option
from cli.kb.options import filter_options, kb_options, open_base
from cli.shown_page import show_page

if TYPE_CHECKING:
    from lorgnette.picture_query import PictureQuery

WARM_UP_S = 30.0


@click.command(short_help="Search your documents.")
@click.argument("query", required=False, default="")
@click.option("--image", metavar="PICTURE", help="Search for what this picture shows, with QUERY or without one.")
@click.option("--top-k", type=click.IntRange(1, 50), default=5, metavar="N", help="Hits at most. Default: 5.")
@click.option(
    "--context",
    type=click.IntRange(0, 5),
    default=0,
    metavar="N",
    help="Neighbouring passages on each side. Default: 0.",
)
@click.option(
    "--open", "opened", type=click.IntRange(min=1), metavar="N", help="Show the page of hit N, its words framed."
)
@filter_options
@kb_options
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document.")
@verbose_option
@click.pass_obj
def search(
    run: Run,
    /,
    query: str,
    image: str | None,
    top_k: int,
    context: int,
    opened: int | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Search the documents for QUERY; run `lorgnette kb sync` first.

    \b
    Examples:
      lorgnette search "What does ERR_42 mean?"
      lorgnette search "How long is the warranty?" --open 1
      lorgnette search --image photo.jpg "same machine?"
      lorgnette search 年假可以结转几天 --source "中文/*" --json
    """  # noqa: D301
    from lorgnette.picture_query import search_with_picture
    from lorgnette.search_text import render_found, search_result

    if not query.strip() and image is None:
        raise click.UsageError("Missing argument 'QUERY'.")
    asked = _of_picture(image, query, options) if image is not None else None
    with open_base(options, reranks=True) as base:
        if asked is None:
            found = base.search(query, top_k, options["wanted"], wait_s=WARM_UP_S)
        else:
            found = search_with_picture(base, asked, top_k, options["wanted"], wait_s=WARM_UP_S)
        result = search_result(
            found, lambda hit: base.neighbours(hit, context), lambda hit: base.locate(hit, hit.sha256)
        )
        click.echo(result.model_dump_json() if as_json else render_found(result))
        if not as_json and not (counts := base.catalogue.counts()).files:
            why = (
                "No file of the folder could be read; `lorgnette kb list --skipped` says why"
                if counts.skipped
                else f"Nothing is indexed yet; run: lorgnette kb sync {base.folder}"
            )
            click.echo(why, err=True)
        if opened is not None:
            if opened > len(found.hits):
                raise click.UsageError(f"--open {opened}: there are {len(found.hits)} hits.")
            show_page(run, base, found.hits[opened - 1], query, inline=not as_json)


def _of_picture(image: str, words: str, options: dict[str, Any]) -> "PictureQuery":
    """Return what a picture is searched for by; its file may lie anywhere."""
    from cli.ask.named import allowing
    from cli.kb.captions import open_captioner
    from cli.kb.options import KB_SETTINGS
    from lorgnette.picture_query import picture_query
    from lorgnette.settings import load_settings

    settings = allowing(load_settings(**{key: options.get(key) for key in KB_SETTINGS}), (image,))
    return picture_query(image, words, settings.roots, open_captioner(options))
