"""Which documents of the base a question names, by their files' names. It searches no index and reads no document.

A name counts as people type it: in any case, with blanks for `_` and `-`, with the folder or without, and with a slip.
Without its ending it counts only where the question asks for the whole of a document: "summarise the handbook"; there
some of its words are enough, if all that is asked for are in the names of few: "summarise the lease".
"Summarise my documents" names all of a small base.
"""

import re
import threading
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath

from retrieval.catalogue.catalogue import Catalogue
from retrieval.language import language_of
from retrieval.search.asking import asks_for_all, asks_for_everything, asks_for_summary, wanted_of_summary
from retrieval.tokens import document_tokens, query_tokens

MOST = 3
"""Documents that one question may name; who names more asks about the folder."""
MOST_OF_ALL = 8
"""Documents of a base that is small enough to be summarised as a whole."""
_BETWEEN = re.compile(r"[\s_\-]+")
_WORDY = re.compile(r"[^\W\u3400-\u9fff\u3040-\u30ff\uac00-\ud7af]")
_SHORTEST = 2
_LIKE = 0.85
"""Share of a name's letters from which another one is taken for it with a slip."""
_TYPED = re.compile(
    r"[^\s/\\\"'“”‘’(),;:?!,。?!、《》]+\.(?:pdf|docx?|xlsx?|pptx?|od[tsp]|epub|eml|rtf|txt|md|csv|html?|png|jpe?g|tiff?)"
    r"(?![\w.])"
)
"""What can only be meant as the name of a document."""
_PAGE = re.compile(
    r"\b(?:page|pg\.?|p\.|seite|página|pagina|pag\.|sida|side|strona|страниц[аыуе]|стр\.|sayfa)\s*(\d{1,4})\b"
    r"|第\s*(\d{1,4})\s*[页頁]|(?<!\d)(\d{1,4})\s*(?:ページ|쪽|페이지)(?!로)",
    re.IGNORECASE,
)
_MORE_PAGES = re.compile(r"page by page|\d\s*(?:[-–,&]|to|and|bis|und|à|et|a|y|到|至|和)\s*\d", re.IGNORECASE)


@dataclass(frozen=True)
class Named:
    """Documents that a question names."""

    sources: tuple[str, ...]
    rest: str
    """The question without their names."""
    notes: tuple[str, ...] = ()
    """What the user must know."""

    @property
    def whole(self) -> bool:
        """Whether the whole of them is asked for, or of a page of them."""
        return asks_for_all(self.rest if self.page is None else _PAGE.sub(" ", self.rest, count=1))

    @property
    def page(self) -> int | None:
        """Which page is asked for, from 1, where it is one of one document; None for all."""
        found = list(_PAGE.finditer(self.rest))
        if len(found) != 1 or len(self.sources) != 1 or _MORE_PAGES.search(self.rest):
            return None
        return int(next(number for number in found[0].groups() if number))


class NamedDocuments:
    """Knows the names of the indexed files as they were at the catalogue's last change."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self._generation = -1
        self._full: dict[str, list[str]] = {}
        self._stems: dict[str, list[str]] = {}

    def in_question(self, question: str) -> Named | None:
        """Return what a question names, the longest names first; None where it names no document, or too many."""
        self._refresh()
        asked = _plain(question)
        found = _found(asked, self._full)
        if not found:
            found = _found(asked, self._stems)
            if found and not asks_for_summary(_cut(question, asked, found)):
                found = []
        if not found:
            everything = list(dict.fromkeys(source for sources in self._stems.values() for source in sources))
            if 0 < len(everything) <= MOST_OF_ALL and asks_for_everything(question):
                return Named(tuple(sorted(everything)), question)
            return self._with_slip(question, asked) or self._by_words(question)
        sources = tuple(dict.fromkeys(source for _, _, sources in found for source in sources))
        return Named(sources, _cut(question, asked, found)) if len(sources) <= MOST else None

    def missing(self, question: str) -> list[str]:
        """Say which documents a question names that are not there."""
        return [f"documents: there is no {name!r} among them" for name in _TYPED.findall(question)]

    def _with_slip(self, question: str, asked: str) -> Named | None:
        typed = _TYPED.search(question)
        near = get_close_matches(_plain(typed.group()), self._full, 1, _LIKE) if typed else []
        if typed is None or not near:
            return None
        sources = tuple(self._full[near[0]][:MOST])
        note = f"documents: there is no {typed.group()!r}, {sources[0]} was taken for it"
        return Named(sources, " ".join(question.replace(typed.group(), " ").split()), (note,))

    def _by_words(self, question: str) -> Named | None:
        words = wanted_of_summary(question)
        if not words:
            return None
        language = language_of(question)
        tokens = {token for word in words for token in query_tokens(word, language)}
        every = dict.fromkeys(source for sources in self._stems.values() for source in sources)
        meant = [one for one in every if tokens <= set(document_tokens(_plain(_without_ending(one)), language))]
        if not tokens or not 0 < len(meant) <= MOST:
            return None
        rest = re.sub(
            "|".join(rf"\b{re.escape(w)}\b" if _WORDY.match(w) else re.escape(w) for w in words), " ", question
        )
        note = f"documents: {' '.join(words)!r} was taken for {' and '.join(meant)}"
        return Named(tuple(meant), " ".join(rest.split()), (note,))

    def _refresh(self) -> None:
        with self._lock:
            generation = self._catalogue.generation
            if generation == self._generation:
                return
            full, stems = dict[str, list[str]](), dict[str, list[str]]()
            for row in self._catalogue.files():
                path = PurePosixPath(row.source)
                for key in dict.fromkeys((row.source, path.name)):
                    if path.suffix:
                        full.setdefault(_plain(key), []).append(row.source)
                stems.setdefault(_plain(path.stem), []).append(row.source)
            self._full, self._stems, self._generation = full, stems, generation


def _plain(text: str) -> str:
    return _BETWEEN.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def _without_ending(source: str) -> str:
    return str(PurePosixPath(source).with_suffix(""))


def _found(asked: str, names: dict[str, list[str]]) -> list[tuple[int, int, Sequence[str]]]:
    """Return where names stand, and whose they are; a name within a longer one is not meant."""
    places = []
    for name, sources in names.items():
        if len(name) < _SHORTEST or name not in asked:
            continue
        start = asked.find(name)
        while start >= 0:
            end = start + len(name)
            if not (_joined(asked, start - 1, start) or _joined(asked, end - 1, end)):
                places.append((start, end, sources))
            start = asked.find(name, start + 1)
    places.sort(key=lambda place: place[0] - place[1])
    kept: list[tuple[int, int, Sequence[str]]] = []
    for start, end, sources in places:
        if not any(start < other_end and end > other for other, other_end, _ in kept):
            kept.append((start, end, sources))
    return sorted(kept)


def _joined(text: str, one: int, other: int) -> bool:
    """Say whether two neighbours are letters of one word, so that no name begins or ends between them."""
    return one >= 0 and other < len(text) and bool(_WORDY.match(text[one]) and _WORDY.match(text[other]))


def _cut(question: str, asked: str, found: Sequence[tuple[int, int, Sequence[str]]]) -> str:
    """Take the names out of the question as it was typed."""
    for name in sorted({asked[start:end] for start, end, _ in found}, key=len, reverse=True):
        pattern = r"[\s_\-]+".join(map(re.escape, name.split()))
        question = re.sub(pattern, " ", unicodedata.normalize("NFKC", question), flags=re.IGNORECASE)
    return " ".join(question.split())
