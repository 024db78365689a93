"""A value agrees where it stands whole, beside its own label; else it is unproven, with the reason."""

import pytest

from graph.fields.proof import NOT_READ, NOT_THERE, NOTHING, prove
from graph.fields.sheet import Sheet, sheet_of_text

INVOICE = """INVOICE

Invoice No: INV-2024-0117      Customer No: C-5531
Invoice date: 03.05.2024       Due date: 17.05.2024

Description     Qty   Price     Total
Lens cloth      2     10.00     20.00
Lamp            1     80.00     80.00

Subtotal                        100.00
VAT 19%                          19.00
Total                       EUR 119.00
"""


def sheets(*texts: str) -> list[Sheet]:
    return [sheet_of_text("a.txt", None, text) for text in texts]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("invoice_number", "INV-2024-0117"),
        ("Invoice number", "inv 2024 0117"),
        ("Rechnungsnummer", "ＩＮＶ-2024-0117"),
        ("customerNumber", "C-5531"),
        ("total", "119.00"),
        ("total", "119"),
        ("total", "119,00 €"),
        ("total_eur", "EUR 119.00"),
        ("Gesamtbetrag", "119.00"),
        ("subtotal", "100.00"),
        ("vat", "19.00"),
        ("invoice_date", "3 May 2024"),
        ("invoice_date", "2024-05-03"),
        ("due_date", "17/05/2024"),
        ("date", "2024-05-03"),
    ],
)
def test_a_value_beside_its_label_agrees_however_it_is_written(name: str, value: str) -> None:
    found = prove(name, value, sheets(INVOICE))
    assert (found.status, found.note) == ("agrees", "") and found.words and found.value == value


@pytest.mark.parametrize(
    ("name", "value", "note"),
    [
        ("invoice_number", "C-5531", "not by the field's name, but by 'Customer No:'"),
        ("total", "100.00", "but by 'Subtotal'"),
        ("total", "19.00", "but by 'VAT'"),
        ("total", "20.00", "not by the field's name"),
        ("invoice_date", "17.05.2024", "but by 'Due date:'"),
        ("date", "17.05.2024", "but by 'Due date:'"),
        ("customer", "C-5531", "but by 'Customer No:'"),
        ("invoice_number", "INV-2024-011", NOT_THERE),
        ("total", "119 USD", NOT_THERE),
        ("total", "118.00", NOT_THERE),
        ("total", "-119.00", NOT_THERE),
        ("total", None, NOTHING),
    ],
)
def test_a_value_beside_another_label_or_nowhere_is_unproven_and_says_why(
    name: str, value: str | None, note: str
) -> None:
    found = prove(name, value, sheets(INVOICE))
    assert found.status == "unproven" and note in found.note


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Code: 2012", "12"),
        ("Code: 14.50", "4.50"),
        ("Code: 12.50", "12"),
        ("Code: 1,234", "234"),
        ("Code: 00123", "123"),
        ("Code: -119.00", "119.00"),
        ("Code: (119.00)", "119.00"),
        ("Code: 19%", "19"),
        ("Code: 2 119.00", "119.00"),
        ("Code: INV-70", "INV-7"),
        ("Code: AINV-7", "INV-7"),
        ("Code: 03.05.2024", "2024"),
        ("Code: 7. Mai 2024", "7"),
        ("Code: 7. Mai 2024", "Mai"),
        ("Code: 1.234", "1,234"),
        ("Code: b@example.com", "example.com"),
        ("Code: 王敏华", "王敏"),
        ("Code: 三十六", "三十"),
        ("Code: Miller-Brown", "Miller"),
        ("Code: ACME Optics Ltd", "ACME"),
        ("Code: ACME Optics Ltd", "Optics Ltd"),
        ("Code: K3 Pro", "K3"),
    ],
)
def test_a_part_of_a_longer_number_or_word_is_not_the_value(text: str, value: str) -> None:
    assert prove("code", value, sheets(text)).status == "unproven"


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Amount due: 1.234.567,89 EUR", "total", "1234567.89"),
        ("Total 1 234,50 zł", "total", "1234.50"),
        ("Total: $1,234.5", "total", "1234.50"),
        ("Total:4711", "total", "4711"),
        ("合计：１１９.００元", "total", "119.00"),
        ("发票号码：04711", "invoice_number", "04711"),
        ("IBAN: DE89 3704 0044 0532 0130 00", "IBAN", "DE89370400440532013000"),
        ("Weight 2,4kg", "weight", "2.4 kg"),
        ("| Item | Total |\n|---|---|\n| Lamp | 80.00 |", "total", "80.00"),
        ("Rechnungsnr. 4711", "invoice_number", "4711"),
        ("INVOICE\nNumber: 4711", "invoice_number", "4711"),
        ("Customer\nACME Optics Ltd", "customer", "Acme Optics, Ltd."),
        ("Address: 5 Mill Lane\n         Leeds", "address", "5 Mill Lane Leeds"),
        ("The warranty lasts 36 months.", "warranty", "36 months"),
        ("36 months warranty", "warranty", "36 months"),
        ("Bill to\nACME Optics\n5 Mill Lane", "customer", "ACME Optics"),
        ("Invoice total: 119.00", "total", "119.00"),
        ("Total to pay 119.00", "total", "119.00"),
        ("Facture n°K562 du 2 juillet 2015", "invoice_number", "K562"),
        ("VAT rate: 19%", "vat_rate", "19%"),
        ("Exclusief BTW € 593,36", "subtotal", "593.36"),
        ("Phone: +49 30 1234567", "phone", "+49301234567"),
        ("Opening hours: 9:00 - 17:00", "opening_hours", "9:00-17:00"),
        ("合计金额 100.00\n价税合计(小写) ¥113.00", "total", "113.00"),
        ("合计金额 113.00", "total", "113.00"),
        ("发票号码:12345678\n开票日期:2024年05月03日", "invoice_date", "2024-05-03"),
        ("Payment due: 3 May 2024", "due_date", "2024-05-03"),
        ("Zahlbar bis 03.05.2024", "due_date", "2024-05-03"),
        ("Customer: ACME Optics, Leeds", "customer", "ACME Optics"),
        ("Invoice No: INV-1 Date: 2024-05-03", "invoice_number", "INV-1"),
        ("Total incl. VAT 119.00", "total", "119.00"),
        ("Total incl. 19% VAT: 119.00", "total", "119.00"),
    ],
)
def test_forms_and_labels_of_many_kinds(text: str, name: str, value: str) -> None:
    assert prove(name, value, sheets(text)).note == ""


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("Date: 03/05/2024", "date", "2024-05-03"),
        ("Date: 03/05/2024", "date", "2024-03-05"),
        ("Total 119.00\nTotal 250.00", "total", "119.00"),
        ("Total excl. VAT 100.00\nTotal incl. VAT 119.00", "total", "100.00"),
        ("Customer: ACME\nCustomer: Foo", "customer", "ACME"),
        ("Telescope 119.00", "total", "119.00"),
        ("Number: 4711", "invoice_number", "4711"),
        ("Customer number: 4711\nINVOICE", "invoice_number", "4711"),
        ("Total incl. 19% VAT 119.00", "vat", "119.00"),
        ("Order date: 2024-05-03\nInvoice date: 2024-05-04", "date", "2024-05-03"),
        ("VAT number: 4711", "vat", "4711"),
        ("VAT 19%: 4.00", "vat", "19%"),
        ("Invoice no. of 2 July 2015: 4711", "invoice_number", "2015-07-02"),
        ("合计金额 100.00\n价税合计(小写) ¥113.00", "total", "100.00"),
        ("Model K3 Pro", "model", "K3"),
        ("Total   3   119.00", "total", "3"),
        ("Total savings: 5.00", "total", "5.00"),
        ("Total weight: 5.00 kg", "total", "5.00"),
        ("Total discount: 5.00", "total", "5.00"),
        ("Warranty: 36 months (lamp: 6 months)", "warranty", "6 months"),
        ("Total\n20.00\n80.00\n100.00", "total", "20.00"),
    ],
)
def test_what_could_be_another_value_too_is_unproven(text: str, name: str, value: str) -> None:
    assert prove(name, value, sheets(text)).status == "unproven"


def test_dates_whose_order_the_page_shows_are_read_in_it() -> None:
    text = "Invoice date: 03/05/2024\nDue date: 17/05/2024"
    assert prove("invoice_date", "2024-05-03", sheets(text)).status == "agrees"
    assert prove("invoice_date", "2024-03-05", sheets(text)).status == "unproven"


def test_what_the_question_names_a_label_need_not() -> None:
    text = "Warranty of the K3: 36 months\nWarranty of the K5: 24 months"
    assert prove("warranty", "24 months", sheets(text)).status == "unproven"
    assert prove("warranty", "24 months", sheets(text), "How long is the warranty of the K5?").status == "agrees"


def test_another_page_of_the_document_may_hold_another_total() -> None:
    assert prove("total", "119.00", sheets("Total 119.00", "Total 250.00")).status == "unproven"
    others = [sheet_of_text("b.txt", None, "Total 250.00"), *sheets("Total 119.00")]
    assert prove("total", "119.00", others).status == "agrees"


def test_without_words_nothing_is_proven() -> None:
    assert prove("total", "119.00", []).note == NOT_READ


def test_the_words_that_stand_there_are_bounded() -> None:
    long = "word " * 500
    found = prove("total", "119.00", sheets(f"{long}\nTotal 119.00 {long}"))
    assert len(found.words) <= 200 and "119.00" in found.words


@pytest.mark.parametrize(
    "hostile", ["x", "9", "rechnung", "合计", "9.", "-", "|", "Total ", "1 ", "1  ", "1\n", "a: 1 "]
)
def test_a_page_that_is_made_to_cost_time_is_read_all_the_same(hostile: str) -> None:
    text = f"Total: 119.00\n{hostile * (60_000 // len(hostile))}\n"
    assert prove("total", "119.00", sheets(text)).status in ("agrees", "unproven")
    assert prove("total", "2024-05-03", sheets(text)).status == "unproven"
