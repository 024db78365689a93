"""Joins what a line's end has parted: a word without its hyphen, a code or a compound with it.

It goes by the letters around, by what else the document writes, and by the few parts that English compounds end in.
"""

import re
from collections.abc import Sequence

# PDFium writes U+FFFE where it took a hyphen at a line's end for one that only parts a word.
_PARTED = re.compile("([^\\s\ufffe]*)\ufffe\n?([^\\s\ufffe]*)")
_HYPHEN_AT_END = re.compile(r"(?<=[\w])[-\u2010]\n(?=\w)|(?<=\s)-\n(?=\d)")
_COMPOUND = re.compile(r"\w+(?:-\w+)+")
_KEPT_BEFORE = frozenset(
    (
        "non",
        "self",
        "well",
        "ex",
        "all",
        "cross",
        "half",
        "quasi",
        "anti",
        "post",
        "mid",
        "low",
        "high",
        "long",
        "short",
        "full",
        "part",
    )
)
_KEPT_AFTER = frozenset(
    (
        "up",
        "off",
        "out",
        "in",
        "on",
        "down",
        "over",
        "away",
        "based",
        "free",
        "like",
        "wide",
        "made",
        "time",
        "term",
        "scale",
        "end",
        "level",
        "case",
        "known",
        "friendly",
        "proof",
        "related",
        "specific",
        "to",
        "of",
        "by",
        "and",
    )
)


def join_lines(pages: Sequence[str]) -> list[str]:
    """Return the pages' texts without hyphens that only a line's end made, and with all others."""
    if not any("\ufffe" in page or "-\n" in page for page in pages):
        return list(pages)
    compounds = {word.lower() for page in pages for word in _COMPOUND.findall(page)}

    def join(match: re.Match[str]) -> str:
        before, after = match[1], match[2]
        return f"{before}-{after}" if _is_kept(before, after, compounds) else before + after

    return [_HYPHEN_AT_END.sub("-", _PARTED.sub(join, page)) for page in pages]


def _is_kept(before: str, after: str, compounds: set[str]) -> bool:
    if not before or not after:
        return bool(after)
    first, second = before[-1], after[0]
    if first.isdigit() or second.isdigit() or second.isupper() or "-" in before:
        return True
    if not first.islower():
        return first.isupper() and len(before) < 3
    word = re.match(r"\w+", after)
    ending = word[0].lower() if word else ""
    if f"{before}-{ending}".lower() in compounds:
        return True
    return before.lower() in _KEPT_BEFORE or ending in _KEPT_AFTER
