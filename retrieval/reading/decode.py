"""Turns the bytes of a text file into characters, and says by which codec and how surely.

A byte order mark decides; else strict UTF-8; else the candidate whose reading has most of the characters that its
language really uses. Nothing is ever replaced or dropped: `data.decode(codec)` is the text. It does not know files.
"""

import codecs
import re
from dataclasses import dataclass

from retrieval.reading.common_characters import (
    CENTRAL_LATIN,
    CJK_SIGNS,
    CYRILLIC,
    CYRILLIC_RARER,
    GREEK,
    GREEK_RARER,
    JAPANESE,
    KOREAN,
    LATIN,
    LATIN_SIGNS,
    SIMPLIFIED,
    TRADITIONAL,
)
from retrieval.reading.unreadable import NotText

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Tab, line ends, form feed, backspace (man pages), escape (coloured logs) and the end mark of DOS are text.
_CONTROL = re.compile("[\x00-\x07\x0e-\x19\x1c-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_MAX_CONTROL_SHARE = 0.02
_SAMPLE_CHARS = 4_000
# Below it, the text is probably in none of our encodings, and a second opinion is asked.
_PLAUSIBLE = 0.45
_GUESS_CONFIDENCE = 0.4
_DECLARED_CONFIDENCE = 0.9
# What browsers read under these names, by the WHATWG Encoding Standard: the wider set that Windows wrote.
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "iso8859-1": "cp1252",
    "latin-1": "cp1252",
    "ascii": "cp1252",
}


# "Kraków are" in cp1252 is "Krak體 are" in GB18030: one ideograph stuck to a Latin word.
_LONE_IDEOGRAPH = re.compile(r"(?<=[A-Za-z])[\u3400-\u9fff\uac00-\ud7a3](?![\u3000-\ud7a3])")
# Greek and Cyrillic words have more than one letter and no Latin ones.
_LONE_LETTER = re.compile(r"(?<![\u0370-\u04ff])[\u0370-\u04ff](?![\u0370-\u04ff])|(?<=[A-Za-z])[\u0370-\u04ff]+")
# Runs of accented letters and signs within words are bytes of another alphabet.
_ACCENT_RUN = re.compile(r"[¡-©«-¹¼-ÿ]{3,}|[À-ÞŸ][¡-¿]|[à-ÿ][À-ÞŸ]|(?<=[a-zà-ÿ])[¢£¥¦¬¯±¹²³¶¿¼½¾]+(?=[a-zà-ÿ])")

# Polish has words like "żółć", of four.
_CENTRAL_RUN = re.compile(r"[¡-ž˘-˝]{5,}")


@dataclass(frozen=True)
class Decoded:
    """Text and how it was read."""

    text: str
    codec: str
    """Python's name; `data.decode(codec)` gives the text."""
    confidence: float
    """0 to 1; below 0.5 the reader should be told."""


@dataclass(frozen=True)
class _Candidate:
    codecs: tuple[str, ...]
    """The first that reads everything is taken."""
    frequent: frozenset[str]
    """Characters that the language uses all the time: each counts 1."""
    known: frozenset[str] = frozenset()
    """Characters that it uses: each counts 0.4."""
    never: re.Pattern[str] = _LONE_IDEOGRAPH
    """What does not occur in these languages, though each character does: counts 0."""


def _level_one(codec: str, rows: range, cells: tuple[range, ...]) -> frozenset[str]:
    """Return what a national standard put into its first level: the characters in common use."""
    pairs = (bytes((row, cell)) for row in rows for part in cells for cell in part)
    return frozenset("".join(pair.decode(codec, "ignore") for pair in pairs))


_HIGH = (range(0xA1, 0xFF),)
_GB_LEVEL_ONE = _level_one("gb2312", range(0xB0, 0xD8), _HIGH)
_BIG5_LEVEL_ONE = _level_one("big5", range(0xA4, 0xC7), (range(0x40, 0x7F), range(0xA1, 0xFF)))
_CANDIDATES = (
    _Candidate(("gb18030",), frozenset(SIMPLIFIED + TRADITIONAL + CJK_SIGNS), _GB_LEVEL_ONE),
    _Candidate(("big5", "cp950", "big5hkscs"), frozenset(TRADITIONAL + CJK_SIGNS), _BIG5_LEVEL_ONE),
    _Candidate(
        ("cp932",),
        frozenset(JAPANESE + CJK_SIGNS),
        _level_one("cp932", range(0x88, 0x98), (range(0x40, 0x7F), range(0x80, 0xFD))),
    ),
    _Candidate(("euc_jp",), frozenset(JAPANESE + CJK_SIGNS), _level_one("euc_jp", range(0xB0, 0xD0), _HIGH)),
    _Candidate(("cp949",), frozenset(KOREAN + CJK_SIGNS), _level_one("euc_kr", range(0xB0, 0xC9), _HIGH)),
    _Candidate(("cp1252",), frozenset(LATIN + LATIN_SIGNS), never=_ACCENT_RUN),
    _Candidate(("cp1250",), frozenset(CENTRAL_LATIN + LATIN_SIGNS), never=_CENTRAL_RUN),
    _Candidate(("cp1251",), frozenset(CYRILLIC + LATIN_SIGNS), frozenset(CYRILLIC_RARER), never=_LONE_LETTER),
    _Candidate(("cp1253",), frozenset(GREEK + LATIN_SIGNS), frozenset(GREEK_RARER), never=_LONE_LETTER),
)
_ANY_SCRIPT = frozenset(
    SIMPLIFIED + TRADITIONAL + JAPANESE + KOREAN + LATIN + LATIN_SIGNS + CYRILLIC + GREEK + CJK_SIGNS
).union(map(chr, range(0x20, 0x7F)), "\t\r\n")
# Scripts that have no neighbour to be confused with: Greek to Thai.
_UTF16 = _Candidate((), _ANY_SCRIPT, (_GB_LEVEL_ONE | _BIG5_LEVEL_ONE).union(map(chr, range(0x370, 0xE80))))


def decode(data: bytes, declared: str | None = None) -> Decoded:
    """Decode the bytes of a text file.

    Args:
        data: The whole file.
        declared: The encoding that the content itself names, as HTML does; taken where it fits every byte.

    Raises:
        NotText: The bytes are no text in any encoding we know.
    """
    marked = _by_mark(data)
    if marked is not None:
        return marked
    if b"\0" in data:
        return _by_nulls(data)
    text = _strict(data, "utf-8")
    if text is not None:
        return Decoded(_checked(text), "utf-8", 1.0)
    if declared is not None and (named := _by_declaration(data, declared)) is not None:
        return named
    return _by_score(data)


def _by_mark(data: bytes) -> Decoded | None:
    for mark, codec in _MARKS:
        if data.startswith(mark):
            text = _strict(data, codec)
            if text is not None:
                return Decoded(_checked(text), codec, 1.0)
            if codec != "utf-32":
                raise NotText(f"its byte order mark says {codec} but its bytes do not follow it")
    return None


def _by_nulls(data: bytes) -> Decoded:
    """Read bytes with NULs, which only UTF-16 and UTF-32 have in text."""
    best, best_score = None, _PLAUSIBLE
    for codec in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        text = _strict(data, codec)
        if text is not None and (score := _score(text, _UTF16, ignore_ascii=False)) > best_score:
            best, best_score = Decoded(text, codec, min(1.0, score)), score
    if best is None:
        raise NotText("it holds NUL bytes")
    _checked(best.text)
    return best


def _by_declaration(data: bytes, declared: str) -> Decoded | None:
    try:
        codec = codecs.lookup(declared.strip()).name
    except (LookupError, ValueError):
        return None
    codec = _WIDER.get(codec, codec)
    text = _readable(data, codec)
    if text is None:
        return None
    return Decoded(text, codec, _DECLARED_CONFIDENCE)


def _by_score(data: bytes) -> Decoded:
    best, best_score, second_score = None, -1.0, 0.0
    for candidate in _CANDIDATES:
        read = next(((c, text) for c in candidate.codecs if (text := _readable(data, c)) is not None), None)
        if read is None:
            continue
        score = _score(read[1], candidate)
        if score > best_score:
            best, best_score, second_score = read, score, max(best_score, 0.0)
        else:
            second_score = max(second_score, score)
    for codec in ("utf-16-le", "utf-16-be"):
        text = _readable(data, codec)
        if text is not None and (score := _score(text, _UTF16, ignore_ascii=False)) > best_score:
            best, best_score, second_score = (codec, text), score, max(best_score, 0.0)
    if best_score < _PLAUSIBLE and (guess := _second_opinion(data)) is not None:
        return guess
    if best is None:
        raise NotText("its bytes fit no encoding or are mostly control characters")
    margin = min(1.0, (best_score - second_score) / 0.1)
    return Decoded(best[1], best[0], round(best_score * (0.5 + 0.5 * margin), 3))


def _second_opinion(data: bytes) -> Decoded | None:
    """Ask charset-normalizer, which knows the rarer alphabets; what it says is never called certain."""
    from charset_normalizer import from_bytes

    match = from_bytes(data).best()
    if match is None:
        return None
    text = _readable(data, match.encoding)
    if text is None:
        return None
    return Decoded(text, match.encoding, _GUESS_CONFIDENCE)


def _strict(data: bytes, codec: str) -> str | None:
    try:
        return data.decode(codec)
    # Python has codecs that are not of characters (base64) and raise what they like.
    except (UnicodeError, LookupError, ValueError):
        return None


def _readable(data: bytes, codec: str) -> str | None:
    text = _strict(data, codec)
    return None if text is None or _count_controls(text) > _MAX_CONTROL_SHARE * len(text) else text


def _checked(text: str) -> str:
    controls = _count_controls(text)
    if controls > _MAX_CONTROL_SHARE * len(text):
        raise NotText(f"{controls:,} of its {len(text):,} characters are control characters")
    return text


def _count_controls(text: str) -> int:
    return sum(1 for _ in _CONTROL.finditer(text))


def _score(text: str, candidate: _Candidate, *, ignore_ascii: bool = True) -> float:
    """Return how much of the text is what the candidate's languages use, from 0 to 1."""
    sample = _sample(text)
    sample = candidate.never.sub(lambda match: "\ufffd" * len(match[0]), sample)
    counted = [c for c in sample if c > "\x7f"] if ignore_ascii else list(sample)
    if not counted:
        return 0.0
    points = sum(1.0 if c in candidate.frequent else 0.4 if c in candidate.known else 0.0 for c in counted)
    return points / len(counted)


def _sample(text: str) -> str:
    """Return the start, the middle and the end, the same for the same text."""
    if len(text) <= 3 * _SAMPLE_CHARS:
        return text
    middle = (len(text) - _SAMPLE_CHARS) // 2
    return text[:_SAMPLE_CHARS] + text[middle : middle + _SAMPLE_CHARS] + text[-_SAMPLE_CHARS:]
