"""Completions of prompt arguments and of addresses: what a user may have meant who has typed so much. It reads no file.

Pictures are completed by name within the allowed folders alone, as they may be asked about.
"""

import os
from collections.abc import Callable
from pathlib import Path

from mcp.server import MCPServer
from mcp.types import Completion, CompletionArgument, CompletionContext, PromptReference, ResourceTemplateReference

from lorgnette.settings import Settings
from mcp_server.middleware import resource_errors
from mcp_server.progress import in_thread
from mcp_server.prompts import DETAILS, LANGUAGES, POLICIES
from mcp_server.resources.documents import DocumentResource
from mcp_server.resources.sessions import SessionResource
from mcp_server.state.app import App
from mcp_server.uris import DOCUMENT, PASSAGE, REPORT, SESSION

LIMIT = 100  # the protocol's
MAX_LOOKED_AT = 5000  # names of a folder
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")
CHOICES = {"detail": DETAILS, "policy": POLICIES, "language": LANGUAGES}

Names = Callable[[str, int], list[str]]


def add_completions(
    server: MCPServer[App], settings: Settings, documents: DocumentResource, sessions: SessionResource
) -> None:
    """Register the one handler of completions."""
    addresses: dict[str, Names] = {
        DOCUMENT: documents.names,
        PASSAGE: documents.passage_ids,
        SESSION: sessions.names,
        REPORT: sessions.names,
    }

    def names_for(ref: PromptReference | ResourceTemplateReference, argument: str) -> Names | None:
        if isinstance(ref, ResourceTemplateReference):
            return addresses.get(ref.uri) if argument == "id" else None
        if argument in ("image", "other_image"):
            return lambda prefix, limit: picture_names(settings.roots, prefix, limit)
        choices = CHOICES.get(argument, ())
        return lambda prefix, _: [choice for choice in choices if choice.casefold().startswith(prefix.casefold())]

    @server.completion()  # type: ignore[untyped-decorator]  # the SDK leaves it without annotations
    async def complete(
        ref: PromptReference | ResourceTemplateReference, argument: CompletionArgument, _: CompletionContext | None
    ) -> Completion | None:
        names = names_for(ref, argument.name)
        if names is None:
            return None
        with resource_errors():
            found = await in_thread(lambda _: names(argument.value, LIMIT + 1))
        return Completion(values=found[:LIMIT], has_more=len(found) > LIMIT)


def picture_names(roots: tuple[Path, ...], prefix: str, limit: int) -> list[str]:
    """Return pictures and folders whose path begins so, inside the roots; the first root's as relative paths."""
    if "\0" in prefix:
        return []
    folder, _, begin = prefix.rpartition("/")
    found = [f"{root}/" for root in roots if prefix and str(root).startswith(prefix)]
    for number, root in enumerate(roots):
        real = Path(os.path.realpath(root))
        given = Path(f"{folder}/") if folder or prefix.startswith("/") else Path()
        if number and not given.is_absolute():
            continue
        place = Path(os.path.realpath(real / given))
        if not place.is_relative_to(real):
            continue
        shown = f"{folder}/" if "/" in prefix else ""
        found += [shown + name for name in _entries(place, begin) if shown + name not in found]
    return sorted(found)[:limit]


def _entries(place: Path, begin: str) -> list[str]:
    names = list[str]()
    try:
        with os.scandir(place) as entries:
            for _, entry in zip(range(MAX_LOOKED_AT), entries, strict=False):
                name = entry.name
                if not name.casefold().startswith(begin.casefold()) or not name.isprintable():
                    continue
                if entry.is_dir() and not name.startswith("."):
                    names.append(f"{name}/")
                elif name.lower().endswith(PICTURES):
                    names.append(name)
    except OSError:  # nothing to complete there
        return []
    return names
