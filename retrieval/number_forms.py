"""Other ways of writing the dates, amounts and numbers of a text, so that one way finds the others.

Each is given in one form: dates as ISO 8601 has them, amounts with a point before the decimals, nothing between their
thousands and no zeros at their end, runs of digits and letters without what separates them. It knows no index, and
expects folded text.
"""

import re
from collections.abc import Iterator
from datetime import date

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar januari janvier enero gennaio janeiro ianuarie января січня ocak stycznia "
            "ledna tammikuuta",
            "february feb februar februari fevrier février febrero febbraio fevereiro februarie февраля лютого şubat "
            "lutego února helmikuuta",
            "march mar märz marz maart mars marts marzo março marco martie марта березня mart marca března maaliskuuta",
            "april apr avril abril aprile aprilie апреля квітня nisan kwietnia dubna huhtikuuta",
            "may mai maj mei mayo maggio maio мая травня mayıs maja května toukokuuta",
            "june jun juni juin junio giugno junho iunie июня червня haziran czerwca června kesäkuuta",
            "july jul juli juillet julio luglio julho iulie июля липня temmuz lipca července heinäkuuta",
            "august aug augustus augusti août aout agosto августа серпня ağustos sierpnia srpna elokuuta",
            "september sep sept septembre septiembre settembre setembro septembrie сентября вересня eylül września "
            "září syyskuuta",
            "october oct oktober okt octobre octubre ottobre outubro octombrie октября жовтня ekim października října "
            "lokakuuta",
            "november nov novembre noviembre novembro noiembrie ноября листопада kasım kasim "
            "listopada listopadu marraskuuta",
            "december dec dezember dez desember décembre decembre diciembre dicembre dezembro decembrie декабря грудня "
            "aralık aralik grudnia prosince joulukuuta",
        ),
        1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
# Chinese, Japanese, Korean and Thai put no space before a number or behind it. Thai digits are no letters.
_LETTER = r"[^\W\u0e00-\u0e4f\u0e5a-\u0e7f\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff]"
_DATES = re.compile(
    rf"""(?<!{_LETTER})(?<![.,/-])(?:
        (?P<y1>[12]\d{{3}})[-/.](?P<m1>\d{{1,2}})[-/.](?P<d1>\d{{1,2}})
        |(?P<d2>\d{{1,2}})(?P<sep>[./-])(?P<m2>\d{{1,2}})(?P=sep)(?P<y2>[12]\d{{3}})
        |(?P<d3>\d{{1,2}})(?:st|nd|rd|th|\.|º)?\s(?:de\s|of\s)?(?P<m3>{_MONTH})\.?,?\s(?:de\s)?(?P<y3>[12]\d{{3}})
        |(?P<m4>{_MONTH})\.?\s(?P<d4>\d{{1,2}})(?:st|nd|rd|th)?,?\s(?P<y4>[12]\d{{3}})
        |(?P<y5>[12]\d{{3}})\s?[年년]\s?(?P<m5>\d{{1,2}})\s?[月월]\s?(?P<d5>\d{{1,2}})\s?[日号號일]
    )(?!{_LETTER}|[/-])""",
    re.VERBOSE,
)
_GROUPED = r"\d{1,3}(?:(?P<by>[.\u0020'’])\d{3}(?!\d))(?:(?P=by)\d{3}(?!\d))*"
_AMOUNTS = re.compile(
    rf"(?<!{_LETTER})(?<![.,])(?P<whole>{_GROUPED})(?:,(?P<cents>\d{{1,2}}))?(?!{_LETTER}|,)"
    # A Chinese comma between two numbers is folded to the same sign, so here nothing may touch.
    r"|(?<![\w.,])(?P<plain>\d+),(?P<decimals>\d{1,2})(?![\w,])"
    r"|(?<![\w.,])(?P<point>\d+)\.(?P<dimes>\d0)(?![\w.,])"
)
_JOINED = re.compile(
    rf"(?<!{_LETTER})(?<!\.)(?=[a-z0-9/-]*\d)[a-z0-9]+(?:[-/][a-z0-9]+)+(?!{_LETTER}|-)"  # INV-2024-0007
    # As bank accounts are written, and telephone numbers and orders:
    rf"|(?<!{_LETTER})[a-z]{{2}}\d{{2}}(?:\u0020(?:[a-z]{{4}}(?=\u0020\d)|(?=[a-z]*\d)[a-z0-9]{{4}})){{2,}}"
    rf"(?:\u0020\d{{1,4}})?(?!{_LETTER})"
    rf"|(?<!{_LETTER})(?<![.,])\d{{4}}(?:\u0020\d{{4}})+(?:\u0020\d{{1,3}})?(?!{_LETTER}|[.,]\d)"
)
_SHORT_CODE = re.compile(r"([a-z]{1,6})[-_/]?(\d{2,6}[a-z]?)")
_CURRENCY = r"(?:[€$£¥₹₽₺]|eur|euros?|usd|gbp|chf|sek|nok|dkk|pln|czk|cny|rmb|jpy|dollars?|pounds?|zł|kr|元)"
_CURRENCY_BEFORE = re.compile(rf"{_CURRENCY}\s?$")
_CURRENCY_BEHIND = re.compile(rf"\s?{_CURRENCY}(?![^\W\d_])")
_YEARS = re.compile(r"(?:(?:19|20)\d\d\s?)+")
_SHORTEST_RUN = 5  # shorter ones would be the same by chance


def other_forms(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield the one form of each date, amount and run that the text writes in another, and where it stands there.

    A date like 3/5/2024 is given both ways round: nobody can tell which was meant.
    """
    dates = list(_DATES.finditer(text))
    for match in dates:
        yield from ((form, *match.span()) for form in dict.fromkeys(_iso(match)) if form != match.group())
    for match in _AMOUNTS.finditer(text):
        if match["point"] and match["dimes"] != "00" and not _is_money(text, match):
            continue  # 24.10 may be a version, or the 24th of October
        whole = match["plain"] or match["point"] or re.sub(r"\D", "", match["whole"])
        cents = match["cents"] or match["decimals"] or match["dimes"] or ""
        ways = (f"{whole}.{some}".rstrip(".") for some in (cents, cents.rstrip("0")))
        yield from ((way, *match.span()) for way in dict.fromkeys(ways) if way != match.group())
    for match in _JOINED.finditer(text):
        run = re.sub(r"[^a-z0-9]", "", match.group())
        is_date = any(one.start() < match.end() and match.start() < one.end() for one in dates)
        if len(run) < _SHORTEST_RUN or is_date or _YEARS.fullmatch(match.group()):
            continue
        if sum(map(str.isdigit, run)) > 2:
            yield run, *match.span()


def _is_money(text: str, match: re.Match[str]) -> bool:
    return bool(_CURRENCY_BEFORE.search(text, 0, match.start()) or _CURRENCY_BEHIND.match(text, match.end()))


def code_forms(code: str) -> tuple[str, ...]:
    """Return a short code in every way in which its letters and digits are set apart, as it is written first.

    Empty where it is not letters and then digits: which of them belong together nobody can tell.
    """
    match = _SHORT_CODE.fullmatch(code)
    if match is None:
        return ()
    return tuple(dict.fromkeys((code, *(f"{match[1]}{sign}{match[2]}" for sign in ("", "-", "_", "/")))))


def dates_in(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield where each date of a folded text begins and ends, and its forms in ISO 8601.

    There are two where nobody can tell which is meant, the one with the day before the month first.
    """
    for match in _DATES.finditer(text):
        if forms := tuple(dict.fromkeys(_iso(match))):
            yield match.start(), match.end(), forms


def _iso(match: re.Match[str]) -> Iterator[str]:
    way = next(n for n in "12345" if match[f"y{n}"])
    year, day, month = int(match[f"y{way}"]), int(match[f"d{way}"]), match[f"m{way}"]
    number = _MONTHS.get(month) or int(month)
    for m, d in ((number, day), (day, number)) if way == "2" and match["sep"] != "." else ((number, day),):
        try:
            yield date(year, m, d).isoformat()
        except ValueError:
            continue
