"""Pictures of the pages that passages stand on, for the responder: words and page together answer best.

It decides how many; what a page shows beside its words, and where, the documents know.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, HumanMessage

from common.safe_text import printable
from graph.answer import Passage
from graph.history import picture_blocks
from model.pictures.picture import Picture

if TYPE_CHECKING:
    from PIL import Image

    from retrieval.regions.locate import PageView

logger = logging.getLogger(__name__)

MOST_PAGES = 2
ViewPage = Callable[[Passage], "PageView | None"]
"""Gives the page of a passage; None where it shows nothing that the words do not say."""


def pages_of(passages: Sequence[Passage], view: ViewPage, fit: Callable[[Picture], Picture]) -> list[Picture]:
    """Return the pictures for the best passages, one a page.

    Args:
        passages: Best first.
        view: Gives their pages.
        fit: Makes a picture small enough for the time that is left.
    """
    found: dict[tuple[str, int], Picture] = {}
    for passage in passages:
        if len(found) == MOST_PAGES:
            break
        if (passage.source, passage.page or 1) in found or (seen := view(passage)) is None:
            continue
        found[passage.source, seen.page] = fit(_picture(passage, seen.image, seen.page))
    return list(found.values())


def with_pages(messages: Sequence[BaseMessage], pages: Sequence[Picture]) -> list[BaseMessage]:
    """Return the conversation with pages in its last message, each named, in front of its text.

    They stand behind the pictures of the question: what was read of these is not read again.
    """
    if not pages:
        return list(messages)
    *before, last = messages
    content = last.content if isinstance(last.content, list) else [{"type": "text", "text": last.content}]
    shown: list[str | dict[Any, Any]] = []
    for page in pages:
        shown += [{"type": "text", "text": f"[{printable(page.source)}]\n"}, *picture_blocks([page])]
    return [*before, HumanMessage([*content[:-1], *shown, content[-1]])]


def _picture(passage: Passage, image: "Image.Image", page: int) -> Picture:
    name = f"{passage.source}, page {page}"
    digest = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).hexdigest()
    return Picture(source=name, path=Path(passage.source), image=image, sha256=digest)
