"""Holds an extracted value against the words that can be read: it agrees where it stands whole, beside its own label.

A value that stands only beside another label, or where another value has as good a right to the field's name, is
unproven, with the reason. It asks no model.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from common.safe_text import shortened
from graph.answer import FieldValue, PageRegion
from graph.fields.concepts import DOCUMENTS, OF_A_TOTAL, QUALIFIERS, fits, in_chinese_bill, is_listed, of_name, of_words
from graph.fields.forms import Kind, Wanted, day_first, numbers_in, spans, wanted
from graph.fields.labels import Label, labels_of
from graph.fields.sheet import Place, Sheet, fold
from retrieval.function_words import function_words

WORDS_CHARS = 200
NOTE_CHARS = 60
MOST_PLACES = 50
"""So many places of a value are looked at."""
MOST_OTHERS = 3_000
"""So many other values of a document are looked at."""
MOST_CHARS = 1_000
TOO_MANY = "too many values stand there to tell which has its name"
NOTHING = "nothing was found for it"
NOT_READ = "there are no words to hold it against"
NOT_THERE = "it does not stand there as a whole"
PART = "more stands there than the value"
UNLABELLED = "it stands there, not by the field's name"
_CHINESE = re.compile("[\u4e00-\u9fff]+(?=[^\u4e00-\u9fff])")
Rank = tuple[int, int]


@dataclass(frozen=True)
class _Place:
    sheet: Sheet
    places: Mapping[Place, tuple[float, float]]
    """Its words, and from where to where in each it stands."""
    doubt: str
    label: Label | None
    rank: Rank | None
    beside: str
    """Another label, where it stands beside one."""


def prove(name: str, value: str | None, sheets: Sequence[Sheet], asked: str = "") -> FieldValue:
    """Look for a value.

    Args:
        name: Of the field.
        value: As the model gave it.
        sheets: Where it may stand, the likeliest first.
        asked: The question: what it names a label need not.
    """
    if value is None or not value.strip():
        return FieldValue(name=name, value=value, status="unproven", note=NOTHING)
    if not any(sheet.rows for sheet in sheets):
        return FieldValue(name=name, value=value, status="unproven", note=NOT_READ)
    if len(value) > MOST_CHARS:
        return FieldValue(name=name, value=value, status="unproven", note=NOT_THERE)
    named, known = of_name(name), of_words(asked) - of_name(name)
    looked_for = wanted(fold(value))
    places = [one for sheet in sheets for one in _places(sheet, looked_for, named, known)]
    if not places:
        return FieldValue(name=name, value=value, status="unproven", note=NOT_THERE)
    agreeing = [one for one in places if one.rank is not None and not one.doubt]
    if agreeing:
        best = min(agreeing, key=lambda one: one.rank or (9, 9))
        note = _rival(best, places, [one for one in sheets if one.source == best.sheet.source], named, known)
        return _told(name, value, best, note)
    best = next((one for one in places if one.rank is not None), places[0])
    but = f", but by {shortened(best.beside, NOTE_CHARS)!r}" if best.beside else ""
    return _told(name, value, best, best.doubt or f"{UNLABELLED}{but}")


def _told(name: str, value: str, place: _Place, note: str) -> FieldValue:
    sheet, rows = place.sheet, dict.fromkeys(row for row, _ in place.places)
    labelled = dict.fromkeys(row for row, _ in place.label.places) if place.label and place.rank is not None else {}
    words = " / ".join(sheet.rows[row].text() for row in sorted({*rows, *labelled}))
    if len(words) > WORDS_CHARS:
        row, word = next(iter(place.places))
        words = sheet.rows[row].text(max(0, word - 8), word + 12)
    regions = [
        PageRegion(page=one.page, x1=one.x1, y1=one.y1, x2=one.x2, y2=one.y2) for one in sheet.regions(place.places)
    ]
    return FieldValue(
        name=name,
        value=value,
        status="unproven" if note else "agrees",
        source=sheet.source,
        page=sheet.page,
        regions=regions,
        words=shortened(words, WORDS_CHARS),
        note=note,
    )


def _places(sheet: Sheet, value: Wanted, named: frozenset[str], known: frozenset[str]) -> Iterator[_Place]:
    order = day_first("\n".join(stream.text for stream in sheet.streams)) if value.kind == "date" else None
    found = 0
    for streams in (sheet.streams, sheet.stacks if value.number is None and " " in value.text else ()):
        for stream in streams:
            for span in spans(value, stream.text, day_first=order):
                found += 1
                if places := stream.shares(span.start, span.end):
                    yield _placed(sheet, places, span.doubt, value.kind, named, known)
                if found == MOST_PLACES:
                    return
        if found:
            return


def _placed(
    sheet: Sheet,
    places: Mapping[Place, tuple[float, float]],
    doubt: str,
    kind: Kind,
    named: frozenset[str],
    known: frozenset[str],
) -> _Place:
    row, first = next(iter(places))
    last = 1 + max(number for r, number in places if r == row)
    has_name = kind in ("words", "code") and sheet.rows[row].words[first].text[0].isalpha()
    doubt = doubt or (PART if has_name and _goes_on(sheet, places) else "")
    beside = ""
    within = _within(sheet, row, first)
    for label in (*within, *labels_of(sheet, row, first, last)):
        rank = _rank(label, kind, named, known, sheet)
        if rank is not None:
            return _Place(sheet, places, doubt, label, rank, "")
        beside = beside or label.text
    return _Place(sheet, places, doubt, None, None, beside)


def _goes_on(sheet: Sheet, places: Mapping[Place, tuple[float, float]]) -> bool:
    """Return whether a name or a code has another word behind it that belongs to it, or one before it in its cell."""
    row, last = tuple(places)[-1]
    words, cells = sheet.rows[row].words, sheet.rows[row].cells
    if places[row, last][1] == 1.0 and last + 1 < len(words) and cells[last + 1] == cells[last]:
        word, behind = words[last].text, words[last + 1]
        plain = behind.folded.strip(".,;:()")
        if word[-1].isalnum() and plain[:1].isalpha() and behind.text[0].isalnum() and not behind.text.endswith(":"):
            small = any(plain in function_words(language) for language in _LANGUAGES)
            return not small and not is_listed(of_words(behind.text))
    row, first = next(iter(places))
    begin, _ = sheet.rows[row].cell(sheet.rows[row].cells[first])
    head = [word.text for word in sheet.rows[row].words[begin:first]]
    colon = max((n for n, text in enumerate(head) if text.endswith((":", "："))), default=None)
    return colon is not None and any(text[-1].isalnum() for text in head[colon + 1 :])


def _within(sheet: Sheet, row: int, word: int) -> list[Label]:
    """Return the label that the value's own word begins with, as in `No:4711` or Chinese."""
    text = sheet.rows[row].words[word].text
    head = found[0] if (found := _CHINESE.match(text)) else ""
    for sign in (":", "：", "#"):
        before, there, _ = text.partition(sign)
        if there and before:
            head = before
            break
    means = of_words(head) if head and head != text else frozenset[str]()
    return [Label(head, means, 0, ((row, word),))] if means else []


def _rank(label: Label, kind: Kind, named: frozenset[str], known: frozenset[str], sheet: Sheet) -> Rank | None:
    """Return how well a label fits a field's name, less is better; None where it does not."""
    if not _suits(kind, named):
        return None
    means = label.means
    if "合计" in label.text:
        means = in_chinese_bill(label.text, means, "\n".join(row.text() for row in sheet.rows))
    missing, besides = fits(named, means)
    besides = fits(known, besides)[1]
    if besides & QUALIFIERS or ("total" in named and besides - OF_A_TOTAL):
        return None
    if not missing:
        return len(besides), label.distance
    if besides or missing == named:
        return None
    allowed = {"number"} if kind in ("code", "number") else {"date"} if kind == "date" else set[str]()
    if missing <= DOCUMENTS | allowed and all(one in allowed or _says(sheet, one) for one in missing):
        return 1 + len(missing), label.distance
    return None


def _suits(kind: Kind, named: frozenset[str]) -> bool:
    """Return whether a value of a kind can be what a name asks for: a number is no date, and a tax is no rate."""
    match kind:
        case "date":
            return not named & {"number", "total", "net", "tax", "price", "quantity"}
        case "percent":
            return not named & {"total", "net", "tax", "date"} or bool(named & _RATES)
        case "amount":
            return "date" not in named
        case _:
            return True


def _says(sheet: Sheet, meaning: str) -> bool:
    """Return whether a sheet is of a kind, by any of its words."""
    return any(meaning in of_words(row.text()) for row in sheet.rows)


def _rival(
    place: _Place, places: Sequence[_Place], sheets: Sequence[Sheet], named: frozenset[str], known: frozenset[str]
) -> str:
    """Return why another value of the document has as good a right to the field's name; empty if none has."""
    assert place.rank is not None, "it was asked of a place that agrees"
    own = {(id(other.sheet), one) for other in places for one in other.places}
    kinds = _kinds(place.sheet, place.places)
    looked = 0
    for sheet in sheets:
        for other, kind in _others(sheet, kinds):
            looked += 1
            if looked > MOST_OTHERS:
                return TOO_MANY
            row, first = other[0]
            names = sheet.rows[row].words[other[-1][1]].text.endswith((":", "："))
            if names or any((id(sheet), one) in own for one in other):
                continue
            for label in (*_within(sheet, row, first), *labels_of(sheet, row, first, other[-1][1] + 1)):
                rank = _rank(label, kind, named, known, sheet)
                if rank is not None and rank <= place.rank:
                    seen = sheet.rows[row].text(first, other[-1][1] + 1)
                    return f"{shortened(seen, NOTE_CHARS)!r} stands by the field's name as well"
                if rank is not None:
                    break
    return ""


def _kinds(sheet: Sheet, places: Collection[Place]) -> frozenset[Kind]:
    """Return of which kind the value is as it stands there."""
    row, _ = next(iter(places))
    stream = sheet.streams[row]
    return frozenset(
        kind for start, end, kind in numbers_in(stream.text) if set(stream.owners[start:end]) & set(places)
    ) or frozenset({"words"})


def _others(sheet: Sheet, kinds: frozenset[Kind]) -> Iterator[tuple[tuple[Place, ...], Kind]]:
    if "words" not in kinds:
        alike = kinds | {other for kind in kinds for other in _ALIKE.get(kind, ())}
        for stream in sheet.streams:
            for start, end, kind in numbers_in(stream.text):
                if kind in alike and (places := stream.shares(start, end)):
                    yield tuple(places), kind
        return
    for number, row in enumerate(sheet.rows):
        for n, word in enumerate(row.words):
            begins = n == 0 or row.cells[n] != row.cells[n - 1] or row.words[n - 1].text.endswith((":", "："))
            _, end = row.cell(row.cells[n])
            is_label = row.words[end - 1].text.endswith((":", "：")) or bool(of_words(row.text(n, end)) & _LABELS)
            if begins and not is_label and any(map(str.isalpha, word.text)):
                yield ((number, n),), "words"


_ALIKE: dict[Kind, tuple[Kind, ...]] = {"code": ("number",), "number": ("amount",), "amount": ("number",)}
"""What may be meant in place of a value of a kind."""
_RATES = frozenset(("rate", "percent", "percentag", "satz", "税率"))
_LANGUAGES = ("en", "de", "fr", "es", "it", "nl")
_LABELS = frozenset(
    {"number", "date", "total", "net", "tax", "due", "quantity", "price", "currency", "name", "address"}
)


def prove_all(
    values: Sequence[tuple[str, str | None]], readers: Iterable[Callable[[], Iterable[Sheet]]], asked: str = ""
) -> list[FieldValue]:
    """Look for several values, with one reader after the other as long as any of them is unproven.

    Args:
        values: Fields' names with what the model gave.
        readers: Give sheets; those that cost most come last.
        asked: The question.
    """
    sheets: list[Sheet] = []
    found = [prove(name, value, sheets, asked) for name, value in values]
    for read in readers:
        if all(one.status == "agrees" or not one.value for one in found):
            break
        sheets += read()
        found = [one if one.status == "agrees" else prove(one.name, one.value, sheets, asked) for one in found]
    return found
