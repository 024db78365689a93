"""From a draft to an answer whose marks lead to passages: marks of every model are read, missing ones are looked for.

A mark is `[1]` in what the user reads. Models also write `[1, 2]`, `[1-3]`, `【1】`, `[doc 1]`, `[^1]` with footnotes,
or the document's name. A sentence without a mark gets the passage that holds its words and all its numbers; one that no
passage holds is named. It asks no model: if the sentence is in another script than the passages, words cannot tell.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from graph.answer import Citation, Passage
from retrieval.tokens import document_tokens, query_tokens, script_counts

SUPPORTED = 0.6
"""Share of a sentence's words (function words left out) that the passage holds which supports it."""
FEWEST_WORDS = 3
"""A sentence of fewer words claims too little to be held against a passage."""
MOST_IN_RANGE = 9

_KINDS = (
    r"(?:doc(?:ument)?s?|sources?|passages?|evidence|ref(?:erence)?s?|cit(?:ation|e)s?|文档|文件|资料|来源|引用|段落)"
)
_LIST = r"\d{1,2}(?:\s*(?:[,;、,;&和]|and|[-–—])\s*\d{1,2})*"
MARK = re.compile(rf"[\[【［]\s*\^?(?:{_KINDS}\s*[:#.]?\s*)?({_LIST})\s*(?:†[^\]】］]*)?[\]】］]", re.IGNORECASE)
_PART = re.compile(r"(\d{1,2})\s*[-–—]\s*(\d{1,2})|(\d{1,2})")
_NAMED = re.compile(r"[\[【(（]([^\[\]【】()（）\n]{3,160})[\]】)）]")
_PAGE = re.compile(r"(?:p(?:age|\.)?|S\.|第)\s*(\d{1,5})", re.IGNORECASE)
_FOOTNOTE = re.compile(rf"^\s*(?:[\[【［]\^?({_LIST})[\]】］]|(\d{{1,2}})[.)])\s*:?\s*(.*)$")
_HEADING = re.compile(
    r"^\W*(?:sources?|references?|citations?|footnotes?|来源|参考(?:资料|文献)?|引用)\W*$", re.IGNORECASE
)
_END = re.compile(r"(?<=[.!?])(?=\s)|(?<=[。!?])|(?<=\n)")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_CLAIMS_NOTHING = re.compile(
    r"[?:\uff1f\uff1a]\s*$|\b(?:documents?|evidence|passages?|text|sources?)\b.*\b(?:not|no)\b"
    r"|\b(?:not|no)\b.*\b(?:documents?|evidence|passages?|mention)|没有(?:提到|说|说明)|未提及",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Cited:
    """An answer with what it rests on."""

    text: str
    """Its marks count from 1 in the order of first mention; those of no passage are taken out."""
    citations: list[Citation]
    missing: list[int] = field(default_factory=list)
    """Numbers that the draft cites and that no passage has."""
    unsupported: list[str] = field(default_factory=list)
    """Sentences without a mark that no passage holds."""
    unchecked: bool = False
    """Whether there are sentences that could not be held against the passages: they are in another script."""


def cite(draft: str, passages: Sequence[Passage], *, look_for: bool = True) -> Cited:
    """Read the draft's marks, and look for those that it lacks.

    Args:
        draft: In the model's words; without passages nothing in it is a mark.
        passages: Numbered from 1 as the model saw them.
        look_for: Whether sentences without a mark are held against the passages; not for JSON, nor where a picture
            may be the source.
    """
    if not passages or _is_json(draft):
        return Cited(draft, [])
    text = _NAMED.sub(lambda found: _mark_of_name(found, passages), _without_footnotes(draft, passages))
    numbers = list(dict.fromkeys(n for mark in MARK.finditer(text) for n in numbers_of(mark[1])))
    real = {n for n in numbers if n <= len(passages)}
    text = MARK.sub(lambda mark: "".join(f"[{n}]" for n in numbers_of(mark[1]) if n in real), text)
    unsupported, unchecked = list[str](), False
    if look_for:
        text, unsupported, unchecked = _marked(text, passages)
    order = list(dict.fromkeys(int(n) for n in re.findall(r"\[(\d{1,2})\]", text)))
    places = {number: place for place, number in enumerate(order, 1)}
    text = re.sub(r"\[(\d{1,2})\]", lambda mark: f"[{places[int(mark[1])]}]", text)
    citations = [citation_of(passages[number - 1]) for number in order]
    return Cited(text, citations, [n for n in numbers if n not in real], unsupported, unchecked)


def _is_json(draft: str) -> bool:
    """Whether the draft is data, in which a list of numbers is no mark."""
    try:
        return isinstance(json.loads(draft), dict | list)
    except ValueError:
        return False


def numbers_of(marked: str) -> Iterator[int]:
    """Yield the numbers of a mark, those between two with a dash as well."""
    for first, last, single in _PART.findall(marked):
        if single:
            yield int(single)
        elif int(first) <= int(last) <= int(first) + MOST_IN_RANGE:
            yield from range(int(first), int(last) + 1)
        else:
            yield from (int(first), int(last))


def _without_footnotes(draft: str, passages: Sequence[Passage]) -> str:
    """Take out lines at the end that only say which document a number is; the marks in the text stay."""
    lines = draft.rstrip().split("\n")
    kept = len(lines)
    while kept and (not lines[kept - 1].strip() or _is_footnote(lines[kept - 1], passages)):
        kept -= 1
    if kept < len(lines) and kept and _HEADING.match(lines[kept - 1]):
        kept -= 1
    return "\n".join(lines[:kept]).rstrip() if kept else draft


def _is_footnote(line: str, passages: Sequence[Passage]) -> bool:
    found = _FOOTNOTE.match(line)
    return found is not None and bool(_passages_named(found[3], passages))


def _mark_of_name(found: "re.Match[str]", passages: Sequence[Passage]) -> str:
    """Return the marks of the passages whose document is named between brackets, or the words as they were."""
    named = _passages_named(found[1], passages)
    return "".join(f"[{number}]" for number in named[:1]) if named else found[0]


def _passages_named(words: str, passages: Sequence[Passage]) -> list[int]:
    """Return the numbers of the passages whose document, and page if one is said, these words name."""
    said = words.casefold()
    page = _PAGE.search(words)
    found = [
        number
        for number, passage in enumerate(passages, 1)
        if passage.source.casefold() in said or PurePosixPath(passage.source).name.casefold() in said
    ]
    on_page = [n for n in found if page is not None and passages[n - 1].page == int(page[1])]
    return on_page or found


def _marked(text: str, passages: Sequence[Passage]) -> tuple[str, list[str], bool]:
    """Return the text with marks behind the sentences that a passage supports, those that none does, and the rest."""
    words = [set(document_tokens(passage.text)) for passage in passages]
    scripts = {script_counts(passage.text).most_common(1)[0][0] for passage in passages if script_counts(passage.text)}
    parts, unsupported, unchecked = list[str](), list[str](), False
    for part in _END.split(text):
        sentence = part.strip()
        wanted = set(query_tokens(sentence))
        if (
            not sentence
            or re.search(r"\[\d{1,2}\]", part)
            or len(wanted) < FEWEST_WORDS
            or _CLAIMS_NOTHING.search(part)
        ):
            parts.append(part)
            continue
        numbers = set(NUMBER.findall(sentence))
        best = max(range(len(passages)), key=lambda n: len(wanted & words[n]))
        holds = len(wanted & words[best]) >= SUPPORTED * len(wanted)
        if holds and numbers <= set(NUMBER.findall(passages[best].text)):
            body = part.rstrip()
            parts.append(f"{body} [{best + 1}]{part[len(body) :]}")
            continue
        parts.append(part)
        counts = script_counts(sentence)
        if counts and counts.most_common(1)[0][0] not in scripts:
            unchecked = True
        else:
            unsupported.append(sentence)
    return "".join(parts), unsupported, unchecked


def citation_of(passage: Passage) -> Citation:
    """Return a passage as what an answer rests on."""
    return Citation(
        id=passage.id,
        source=passage.source,
        page=passage.page,
        start=passage.start,
        end=passage.end,
        weak=passage.weak,
        quote=passage.text,
    )
