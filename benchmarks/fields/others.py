"""Bills that nobody here wrote: PDFs with the values that the tests of invoice2data say stand in them.

`FOLDER` is `tests/compare` of github.com/invoice-x/invoice2data (MIT); none of it is kept here. A wrong value is every
other number and date of the same document.
"""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from graph.fields.forms import numbers_in, wanted
from graph.fields.proof import prove
from graph.fields.sheet import Sheet, fold, sheet_of_lines
from retrieval.regions.pdf_pages import count_pages, words_on

NAMES = {
    "amount": "total", "amount_untaxed": "subtotal", "amount_tax": "vat", "date": "invoice_date",
    "date_due": "due_date", "invoice_number": "invoice_number", "order_id": "order_number",
}  # fmt: skip
"""What invoice2data calls a value, and the field that is asked for."""
MOST_PAGES = 3


def measure(folder: Path) -> dict[str, Any]:
    """Prove the values of each bill, and everything else that stands there in their place."""
    bills = values = agrees = others = wrong = 0
    for path in sorted(folder.glob("*.pdf")):
        bills += 1
        data, truth = path.read_bytes(), json.loads(path.with_suffix(".json").read_text("utf-8"))[0]
        pages = range(1, min(MOST_PAGES, count_pages(data)) + 1)
        sheets = [sheet_of_lines(path.name, page, words_on(data, page)) for page in pages]
        standing = list(_standing(sheets))
        for key, name in NAMES.items():
            if key not in truth:
                continue
            value = f"{truth[key]:.2f}" if isinstance(truth[key], float) else str(truth[key]).lstrip("#")
            values += 1
            agrees += prove(name, value, sheets).status == "agrees"
            for other in standing:
                if not _is_same(value, other):
                    others += 1
                    if prove(name, other, sheets).status == "agrees":
                        wrong += 1
                        print(path.name, name, value, "but agreed:", other)
    return {
        "bills": bills, "values": values, "agrees %": round(100 * agrees / values, 1), "other values": others,
        "agreed but wrong": wrong,
    }  # fmt: skip


def _standing(sheets: list[Sheet]) -> Iterator[str]:
    seen = set()
    for stream in (stream for sheet in sheets for stream in sheet.streams):
        for start, end, _ in numbers_in(stream.text):
            text = stream.text[start:end].strip("()[]:;,.# ")
            if text not in seen:
                seen.add(text)
                yield text


def _is_same(value: str, other: str) -> bool:
    """Whether two ways of writing may mean the same."""
    one, two = wanted(fold(value)), wanted(fold(other))
    if set(one.dates) & set(two.dates):
        return True
    if one.number is not None and two.number is not None and not two.percent:
        return (one.number.value or Decimal(-1)) == (two.number.value or Decimal(-2))
    return fold(value) in fold(other)
