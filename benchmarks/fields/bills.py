"""Makes bills with known values: layouts of its own, and another set that ReportLab's tables lay out. It reads none.

Beside the values stand what is easily taken for them: subtotal and tax beside the total, numbers of customer and order
beside the invoice's, dates of delivery and of payment beside the invoice's, a column that is called as the total is.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIZE = (595, 842)  # points
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
FIELDS = ("invoice_number", "customer_number", "invoice_date", "due_date", "subtotal", "vat", "total")
ENGLISH = {
    "invoice": ("INVOICE", "Tax invoice"), "invoice_number": ("Invoice number", "Invoice No.", "Invoice #"),
    "customer_number": ("Customer number", "Customer No.", "Client ID"), "invoice_date": ("Invoice date", "Date"),
    "due_date": ("Due date", "Payment due"), "subtotal": ("Subtotal", "Net amount", "Total excl. VAT"),
    "vat": ("VAT {rate}%", "Tax ({rate} %)"), "total": ("Total", "Amount due", "Total incl. VAT", "Grand total"),
    "order": ("Order number", "Your order"), "delivery": ("Delivery date", "Shipped"),
    "items": ("Description", "Qty", "Price", "Total"),
}  # fmt: skip
GERMAN = {
    "invoice": ("RECHNUNG",), "invoice_number": ("Rechnungsnummer", "Rechnungsnr.", "Rechnung Nr."),
    "customer_number": ("Kundennummer", "Kundennr."), "invoice_date": ("Rechnungsdatum", "Datum"),
    "due_date": ("Fälligkeitsdatum", "Zahlbar bis"), "subtotal": ("Zwischensumme", "Nettobetrag"),
    "vat": ("MwSt. {rate} %", "USt {rate}%"), "total": ("Gesamtbetrag", "Rechnungsbetrag", "Summe"),
    "order": ("Bestellnummer",), "delivery": ("Lieferdatum",),
    "items": ("Bezeichnung", "Menge", "Einzelpreis", "Gesamt"),
}  # fmt: skip
FINNISH = {
    "invoice": ("LASKU",), "invoice_number": ("Laskun numero",), "customer_number": ("Asiakasnumero",),
    "invoice_date": ("Laskun päivä",), "due_date": ("Eräpäivä",), "subtotal": ("Veroton summa",),
    "vat": ("ALV {rate} %",), "total": ("Yhteensä",), "order": ("Tilausnumero",), "delivery": ("Toimituspäivä",),
    "items": ("Kuvaus", "Määrä", "Hinta", "Summa"),
}  # fmt: skip
"""A language whose words the product does not know."""
_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December")  # fmt: skip
_ITEMS = ("Lens cloth", "Lamp 12 V", "Stage clip", "Oil, 50 ml", "Fuse 2 A", "Slide box")
Line = tuple[float, float, str]
"""x, y from the top, and the text; a negative x is where the text ends."""


@dataclass(frozen=True)
class Bill:
    """A document, its true values as they are written there, and others that stand there."""

    name: str
    data: bytes
    values: dict[str, str]
    plain: dict[str, str]
    """The same as a program would write them: ISO 8601, no groups, no currency."""
    others: tuple[str, ...]
    """Amounts of its items."""


@dataclass(frozen=True)
class _Content:
    words: dict[str, str]
    values: dict[str, str]
    plain: dict[str, str]
    items: list[tuple[str, str, str, str]]
    order: str
    delivery: str


def _content(rng: Random, languages: Sequence[dict[str, tuple[str, ...]]] = (ENGLISH, ENGLISH, GERMAN)) -> _Content:
    words = rng.choice(languages)
    rate, currency = rng.choice((7, 19, 20, 21)), rng.choice(("EUR", "€", "$", "£", "CHF", ""))
    dot = words is ENGLISH or currency in ("$", "£", "CHF")
    before = currency in ("$", "£", "CHF") or (currency == "€" and rng.random() < 0.5)
    form_of_date = rng.randrange(4)

    def money(amount: Decimal) -> str:
        text = f"{amount:,.2f}"
        text = text if dot else text.replace(",", " ").replace(".", ",").replace(" ", ".")
        if not currency:
            return text
        return f"{currency}{'' if currency in '$£' else ' '}{text}" if before else f"{text} {currency}"

    def day(one: date) -> str:
        if words is GERMAN or form_of_date == 1:
            return f"{one:%d.%m.%Y}"
        if form_of_date == 2:
            return f"{one.day} {_MONTHS[one.month - 1]} {one.year}"
        return f"{one:%d/%m/%Y}" if form_of_date == 3 and one.day > 12 else one.isoformat()

    items = []
    net = Decimal(0)
    for _ in range(rng.randint(1, 4)):
        count, price = rng.randint(1, 9), Decimal(rng.randint(199, 89_999)) / 100
        net += count * price
        items.append((rng.choice(_ITEMS), str(count), money(price), money(count * price)))
    tax = (net * rate / 100).quantize(Decimal("0.01"))
    issued = date(2024, 1, 1) + timedelta(days=rng.randrange(700))
    due, sent = issued + timedelta(days=rng.choice((14, 30))), issued - timedelta(days=rng.randint(1, 6))
    amounts = {"subtotal": net, "vat": tax, "total": net + tax}
    dates = {"invoice_date": issued, "due_date": due}
    number = rng.choice(("INV-{}-{:04}", "{}/{:05}", "R{}{:04}")).format(issued.year, rng.randrange(10_000))
    codes = {
        "invoice_number": number,
        "customer_number": rng.choice(("C-{}", "{}", "K{}")).format(rng.randrange(10_000, 99_999)),
    }
    chosen = {key: rng.choice(options).format(rate=rate) for key, options in words.items() if key != "items"}
    chosen |= {f"item{n}": word for n, word in enumerate(words["items"])}
    return _Content(
        chosen,
        {**codes, **{k: day(v) for k, v in dates.items()}, **{k: money(v) for k, v in amounts.items()}},
        {**codes, **{k: v.isoformat() for k, v in dates.items()}, **{k: str(v) for k, v in amounts.items()}},
        items,
        f"PO-{rng.randrange(100_000, 999_999)}",
        day(sent),
    )  # fmt: skip


def _pairs(of: _Content, rng: Random) -> list[Line]:
    """Labels with their values behind them."""
    colon = rng.choice((":", ""))
    lines = [(40.0, 60.0, of.words["invoice"])]
    names = ("invoice_number", "invoice_date", "customer_number", "due_date")
    for n, name in enumerate(names):
        x, y = (40.0, 330.0)[n % 2], 110.0 + 20 * (n // 2)
        lines += [(x, y, of.words[name] + colon), (x + 130, y, of.values[name])]
    lines += [(40.0, 150.0, of.words["order"] + colon), (170.0, 150.0, of.order)]
    lines += [(330.0, 150.0, of.words["delivery"] + colon), (460.0, 150.0, of.delivery)]
    return [*lines, *_table(of, 220, colon)]


def _form(of: _Content, _: Random) -> list[Line]:
    """Labels in a row, their values below them."""
    lines = [(40.0, 60.0, of.words["invoice"])]
    for n, name in enumerate(("invoice_number", "customer_number", "invoice_date", "due_date")):
        lines += [(40.0 + 135 * n, 120.0, of.words[name]), (40.0 + 135 * n, 136.0, of.values[name])]
    lines += [(40.0, 160.0, of.words["order"]), (40.0, 176.0, of.order)]
    lines += [(175.0, 160.0, of.words["delivery"]), (175.0, 176.0, of.delivery)]
    return [*lines, *_table(of, 240, "")]


def _single(of: _Content, rng: Random) -> list[Line]:
    """Each label and value as one text, at the right."""
    lines = [(40.0, 60.0, of.words["invoice"]), (40.0, 90.0, "ACME Optics, 5 Mill Lane, Leeds LS1 4AP")]
    names = ["invoice_number", "customer_number", "invoice_date", "due_date"]
    rng.shuffle(names)
    lines += [(330.0, 120.0 + 16 * n, f"{of.words[name]}: {of.values[name]}") for n, name in enumerate(names)]
    lines += [
        (330.0, 190.0, f"{of.words['order']}: {of.order}"),
        (330.0, 206.0, f"{of.words['delivery']}: {of.delivery}"),
    ]
    return [*lines, *_table(of, 260, ":")]


def _table(of: _Content, top: float, colon: str) -> list[Line]:
    lines = [(x, top, of.words[f"item{n}"]) for n, x in enumerate((40.0, -330.0, -440.0, -550.0))]
    y = top + 20
    for item in of.items:
        lines += [(x, y, text) for x, text in zip((40.0, -330.0, -440.0, -550.0), item, strict=True)]
        y += 18
    y += 16
    for name in ("subtotal", "vat", "total"):
        lines += [(330.0, y, of.words[name] + colon), (-550.0, y, of.values[name])]
        y += 18
    return [*lines, (40.0, 800.0, "IBAN DE89 3704 0044 0532 0130 00, VAT ID DE123456789, page 1 of 1")]


LAYOUTS: dict[str, Callable[[_Content, Random], list[Line]]] = {"pairs": _pairs, "form": _form, "single": _single}


def own_bill(seed: int, *, scan: bool = False, unknown: bool = False) -> Bill:
    """Draw a bill in one of the layouts of this module, as a PDF or as the picture of one; `unknown` in Finnish."""
    rng = Random(seed)
    of, layout = _content(rng, (FINNISH,)) if unknown else _content(rng), list(LAYOUTS)[seed % len(LAYOUTS)]
    lines = LAYOUTS[layout](of, rng)
    data = _picture(lines) if scan else _pdf(lines)
    return _bill(f"{layout}-{seed:03}.{'png' if scan else 'pdf'}", data, of)


def other_bill(seed: int) -> Bill:
    """Let ReportLab's tables and paragraphs lay a bill out."""
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer, Table

    rng = Random(10_000 + seed)
    of, styles, buffer = _content(rng), getSampleStyleSheet(), io.BytesIO()
    names = ["invoice_number", "invoice_date", "due_date", "customer_number"]
    head = [[of.words[name], of.values[name]] for name in names]
    head += [[of.words["order"], of.order], [of.words["delivery"], of.delivery]]
    table: list[list[str]] = [[of.words[f"item{n}"] for n in range(4)], *map(list, of.items)]
    table += [["", "", of.words[name], of.values[name]] for name in ("subtotal", "vat", "total")]
    grid = [("GRID", (0, 0), (-1, -1), 0.5, "black"), ("ALIGN", (1, 0), (-1, -1), "RIGHT")]
    flow: list[Any] = [
        Paragraph(of.words["invoice"], styles["Title"]),
        Paragraph("ACME Optics, 5 Mill Lane, Leeds LS1 4AP", styles["Normal"]),
        Spacer(1, 12),
        Table(head, hAlign="LEFT", style=grid[:1] if seed % 2 else []),
        Spacer(1, 24),
        Table(table, colWidths=[180, 60, 130, 110], style=grid if seed % 3 else grid[1:]),
        Spacer(1, 24),
        Paragraph("Thank you. Goods remain ours until they are paid. Returns within 14 days.", styles["Normal"]),
    ]
    SimpleDocTemplate(buffer).build(flow)
    return _bill(f"other-{seed:03}.pdf", buffer.getvalue(), of)


def _bill(name: str, data: bytes, of: _Content) -> Bill:
    return Bill(name, data, of.values, of.plain, tuple(item[3] for item in of.items))


def _pdf(lines: list[Line]) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=SIZE)
    canvas.setFont("Helvetica", 10)
    for x, y, text in lines:
        put = canvas.drawString if x > 0 else canvas.drawRightString
        put(abs(x), SIZE[1] - y, text)
    canvas.save()
    return buffer.getvalue()


def _picture(lines: list[Line]) -> bytes:
    scale = 2.0
    image = Image.new("RGB", (round(SIZE[0] * scale), round(SIZE[1] * scale)), "white")
    canvas, font = ImageDraw.Draw(image), ImageFont.truetype(FONT, 20)
    for x, y, text in lines:
        canvas.text((abs(x) * scale, y * scale), text, "black", font, anchor="ls" if x > 0 else "rs")
    buffer = io.BytesIO()
    image.rotate(0.4, fillcolor="white").save(buffer, "PNG")
    return buffer.getvalue()
