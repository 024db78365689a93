"""What the commands about documents share: opening the knowledge base, and the flags that narrow a search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase

F = TypeVar("F", bound=Callable[..., Any])

KB_SETTINGS = ("kb", "embedder", "reranker", "fusion", "store")
TYPES = (
    "text", "markdown", "csv", "log", "html", "pdf", "docx", "image", "spreadsheet", "slides", "opendocument", "book",
    "mail", "rtf", "notebook", "code", "json",
)  # fmt: skip


def kb_options(command: F) -> F:
    """Add the flags that are settings of the knowledge base."""
    for option in (
        click.option("--fusion", type=click.Choice(["minmax", "rrf"]), help="How both kinds of results are merged."),
        click.option("--store", metavar="URL", help="Engine of the vectors: chroma, or the address of another one."),
        click.option("--reranker", metavar="R", help="auto, none, model, or a reranker's id or folder."),
        click.option(
            "--embedder", metavar="E", help="minilm, multilingual, an id, a folder, or http(s)://host/v1#name."
        ),
        click.option("--kb", type=click.Path(path_type=Path), metavar="DIR", help="Folder of the documents."),
    ):
        command = option(command)
    return command


def filter_options(command: F) -> F:
    """Add the flags that narrow a search; they arrive as one filter, `wanted`."""

    def gather(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        from retrieval.records import Filter

        given = ctx.meta.setdefault("filter", {})
        given[param.name] = value.timestamp() if isinstance(value, datetime) else value
        ctx.params["wanted"] = Filter(**given)

    for option in (
        click.option("--before", type=click.DateTime(), callback=gather, expose_value=False,
                     help="Only files last changed before this day."),
        click.option("--after", type=click.DateTime(), callback=gather, expose_value=False,
                     help="Only files changed since this day."),
        click.option("--type", "media_type", type=click.Choice(TYPES), callback=gather, expose_value=False,
                     help="Only files of this type."),
        click.option("--source", metavar="PATH", callback=gather, expose_value=False,
                     help="Only this file or folder; * and ? as in a shell."),
    ):  # fmt: skip
        command = option(command)
    return command


@contextmanager
def open_base(options: dict[str, Any], *, reranks: bool = False) -> "Iterator[KnowledgeBase]":
    """Open the knowledge base that flags, environment and file name; `reranks` where it is going to be searched."""
    from lorgnette.documents import Documents
    from lorgnette.opening import use_named_reranker
    from lorgnette.settings import load_settings

    settings = load_settings(**{key: options.get(key) for key in KB_SETTINGS})
    with Documents(settings) as documents:
        base = documents.required()
        if reranks:
            use_named_reranker(base, settings)
        yield base
