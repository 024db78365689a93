"""Where a value stands in a text, however either writes it: dates, amounts, codes, words; whole, never as a part.

`12` does not stand in `2012`, `4.50` not in `14.50`, `119` not in `-119` and 19 not in `19 %`. It knows no labels.
Texts are folded (`graph.fields.sheet.fold`).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from retrieval.number_forms import dates_in

Kind = Literal["date", "amount", "percent", "number", "code", "words"]

_CURRENCIES = {
    "€": "eur", "euro": "eur", "euros": "eur", "$": "usd", "us$": "usd", "£": "gbp", "¥": "cny", "元": "cny",
    "人民币": "cny", "rmb": "cny", "円": "jpy", "₩": "krw", "₹": "inr", "fr.": "chf", "sfr": "chf", "zł": "pln",
    "kč": "czk", "₺": "try", "₽": "rub",
} | {code: code for code in (
    "eur", "usd", "gbp", "chf", "jpy", "cny", "inr", "krw", "pln", "czk", "sek", "nok", "dkk", "huf", "ron", "try",
    "rub", "aud", "cad", "nzd", "sgd", "hkd", "brl", "mxn", "zar",
)}  # fmt: skip
_CURRENCY = "|".join(map(re.escape, sorted(_CURRENCIES, key=len, reverse=True)))
_DIGITS = r"\d+(?:[.,'’]\d+| (?=\d{3}(?!\d))\d{3})*"
_NUMBER = re.compile(_DIGITS)
_BEFORE = re.compile(rf"({_CURRENCY})\s?$")
_AFTER = re.compile(rf"\s?({_CURRENCY})(?![^\W\d_])")
_AMOUNT = re.compile(rf"(?:({_CURRENCY})\s?)?([-+]?)({_DIGITS})(?:,?-)?(?:\s?({_CURRENCY}|%))?")
_UNSPACED = re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_TIE = re.compile("[是为的在了:，。、;：；（）]")
_UNIT = re.compile(r"^(\d+)([^\W\d_]{1,3})$")
LONG_CODE = 8


@dataclass(frozen=True)
class Number:
    """What a written number may mean."""

    value: Decimal | None
    """None where nobody can tell (1.234), or where it is a name and no amount (00123)."""
    written: str


@dataclass(frozen=True)
class Wanted:
    """A value that is looked for."""

    text: str
    kind: Kind
    dates: tuple[str, ...] = ()
    number: Number | None = None
    currency: str | None = None
    negative: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Span:
    """Where it stands."""

    start: int
    end: int
    doubt: str = ""
    """Why it may not be the value after all."""


def wanted(folded: str) -> Wanted:
    """Read a value."""
    text = " ".join(folded.split())
    found = next(iter(dates_in(text)), None)
    if found is not None and (found[0], found[1]) == (0, len(text)):
        return Wanted(text, "date", found[2])
    amount = None if text.lstrip("+").isdigit() and len(text) >= LONG_CODE else _AMOUNT.fullmatch(text)
    if amount is not None and (number := _read(amount[3])).value is not None:
        unit = amount[1] or amount[4]
        currency = _CURRENCIES.get(unit) if unit else None
        decimal = bool(currency) or not amount[3].isdigit()
        kind: Kind = "percent" if amount[4] == "%" else "amount" if decimal else "number"
        return Wanted(text, kind, (), number, currency, amount[2] == "-", amount[4] == "%")
    return Wanted(text, "code" if any(map(str.isdigit, text)) else "words")


def spans(value: Wanted, text: str, *, day_first: bool | None = None) -> Iterator[Span]:
    """Yield where a value stands in a text.

    Args:
        value: As `wanted` reads it.
        text: Folded; two blanks part what belongs to different cells.
        day_first: Whether dates like 3/5/2024 have the day first there; None if nothing tells.
    """
    if value.kind == "date":
        yield from _dates(value, text, day_first)
        return
    dates = [(start, end) for start, end, _ in dates_in(text)]
    if value.number is not None:
        found = _numbers(value, value.number, text)
    else:
        places = (found.span() for found in _words(value).finditer(text))
        found = (Span(*place) for place in places if _is_whole(text, *place))
    # The day of a date is a part of it, however it is set off.
    yield from (one for one in found if not any(start <= one.start and one.end <= end for start, end in dates))


def day_first(text: str) -> bool | None:
    """Return whether the dates of a text have the day first, by those that can be read one way only."""
    votes = set()
    for start, end, forms in dates_in(text):
        parts = re.split(r"[/-]", text[start:end])
        is_known = len(forms) == 1 and len(parts) == 3 and all(map(str.isdigit, parts)) and len(parts[2]) == 4
        if is_known and parts[0] != parts[1]:
            votes.add(int(parts[0]) == int(forms[0][-2:]))
    return votes.pop() if len(votes) == 1 else None


def numbers_in(text: str) -> Iterator[tuple[int, int, Kind]]:
    """Yield what else in a text could be a value with digits, and of what kind it is."""
    taken = [(start, end) for start, end, _ in dates_in(text)]
    yield from ((start, end, "date") for start, end in taken)
    rest = text
    for start, end in taken:
        rest = rest[:start] + " " * (end - start) + rest[end:]
    for found in re.finditer(r"\S+", rest):
        start, end = found.span()
        if not any(map(str.isdigit, found[0])):
            continue
        core = found[0].strip("()[]:;,.*#")
        amount = _AMOUNT.fullmatch(core)
        if (core.endswith("%") and amount) or re.match(r" [%‰]", text[end:]):
            yield start, end, "percent"
            continue
        money = amount and (amount[1] or amount[4] or re.search(r"[.,]\d", core))
        around = _BEFORE.search(text[:start]) or _AFTER.match(text, end)
        plain: Kind = "number" if amount else "code"
        yield start, end, "amount" if money or (amount and around) else plain


def _dates(value: Wanted, text: str, order: bool | None) -> Iterator[Span]:
    for start, end, forms in dates_in(text):
        if not set(forms) & set(value.dates):
            continue
        if len(forms) > 1 and order is not None:
            forms = forms[:1] if order else forms[1:]
            if not set(forms) & set(value.dates):
                continue
        same = text[start:end] == value.text
        doubt = "" if same or (len(forms) == 1 and len(value.dates) == 1) else "its day and month cannot be told apart"
        yield Span(start, end, doubt)


def _numbers(value: Wanted, number: Number, text: str) -> Iterator[Span]:
    for found in _NUMBER.finditer(text):
        start, end = found.span()
        there = _read(found[0])
        if there.value != number.value and found[0] != number.written:
            continue
        before, after = _BEFORE.search(text[:start].rstrip("-+")), _AFTER.match(text, end)
        units = {_CURRENCIES[unit[1]] for unit in (before, after) if unit}
        if value.currency and units and value.currency not in units:
            continue
        sign = re.search(r"(?:^|[^\w])([-–])\s?$", text[:start])
        glued = sign is not None and text[start - 1] in "-–"
        if value.negative != glued or (
            text[start - 1 : start] == "(" and text[end : end + 1] == ")" and "." in found[0]
        ):
            continue
        if value.percent != bool(re.match(r"\s?[%‰]", text[end:])):
            continue
        edge = after.end() if after and not text[end:].startswith(" ") else end
        first = start - 1 if glued else start
        if before and not text[:first].endswith(" "):
            first = before.start()
        if _is_whole(text, first, edge):
            yield Span(start, end)


def _words(value: Wanted) -> re.Pattern[str]:
    """Return what finds the value's words, with other signs between them where those do not matter."""
    pieces = re.split(r"([^\w]+|_)", value.text.strip(" .,;:+"))
    digits = sum(map(str.isdigit, value.text))
    is_code = value.kind == "code" and digits > 2
    parts = []
    for n, piece in enumerate(pieces):
        if n % 2:
            before, behind = pieces[n - 1][-1:], pieces[n + 1][:1]
            if not behind or not before:
                parts.append(re.escape(piece))
            elif piece in ".,":
                digits_around = before.isdigit() and behind.isdigit()
                grouped = len(pieces[n + 1]) == 3  # 1.234 may be another number than 1,234
                parts.append(re.escape(piece) if grouped else r"[.,]" if digits_around else r"[.,]?\s?")
            elif not piece.strip() and before.isdigit() and behind.isalpha():
                parts.append(" ?")  # a number and its unit
            elif is_code and piece.strip() in ("", "-", "/", "_"):
                parts.append(r"[ \-/_]{0,3}")
            else:
                parts.append(r"[^\w]{1,4}")
        elif is_code and len(pieces) == 1 and len(piece) >= LONG_CODE:
            parts.append(r"[ \-/]?".join(map(re.escape, piece)))
        else:
            parts.append(_UNIT.sub(r"\1 ?\2", re.escape(piece)))
    return re.compile("".join(parts)) if any(pieces) else re.compile(r"(?!)")


def _read(written: str) -> Number:
    """Read a number as its separators have it."""
    text = re.sub(r"['’ ]", "", written)
    signs = set(text) & {".", ","}
    if not signs:
        name = len(text) > 1 and text[0] == "0"
        return Number(None if name else Decimal(text), written)
    last = max(text.rfind("."), text.rfind(","))
    whole, decimals, sign = text[:last], text[last + 1 :], text[last]
    other = "," if sign == "." else "."
    if sign in whole:  # groups only
        groups = [whole.split(sign)[0], *whole.split(sign)[1:], decimals]
        right = other not in whole and 1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])
        return Number(Decimal("".join(groups)) if right else None, written)
    groups = whole.split(other)
    if len(groups) > 1 and not (len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:])):
        return Number(None, written)
    if len(groups) == 1 and len(decimals) == 3 and len(whole) <= 3 and whole[0] != "0" and whole == written[:last]:
        return Number(None, written)
    return Number(Decimal(f"{''.join(groups)}.{decimals}"), written)


def _is_whole(text: str, start: int, end: int) -> bool:
    return _ends(text[:start][-2:][::-1], text[start]) and _ends(text[end : end + 2], text[end - 1])


def _ends(beyond: str, edge: str) -> bool:
    """Return whether a value may end at `edge` with these signs, nearest first, beyond it."""
    if not beyond or beyond[0].isspace():
        return True
    near, far = beyond[0], beyond[1:2]
    if near.isalnum() or near == "_":
        if bool(_UNSPACED.match(near)) != bool(_UNSPACED.match(edge)):
            return True
        return bool(_UNSPACED.match(near) and _TIE.match(near))
    if near in "-–/&@+" and far.isalnum():
        return False
    if near in ".,'’:":
        return not (far.isdigit() and edge.isdigit()) and not (near == "." and far.isalpha() and edge.isalpha())
    return True
