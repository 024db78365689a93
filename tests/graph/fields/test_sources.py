"""Fields of pictures and pages: the words of the file, else those that OCR reads, prove them and give the box."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from graph.fields.sources import NO_OCR, NO_TIME

PLACED = [
    (40, 740, "INVOICE"),
    (40, 700, "Invoice number:"), (160, 700, "INV-7041"), (330, 700, "Customer number:"), (460, 700, "C-9913"),
    (330, 560, "Subtotal"), (460, 560, "100.00"),
    (330, 540, "Total"), (460, 540, "119.00"),
]  # fmt: skip


def pdf(*pages: list[tuple[int, int, str]], picture: Image.Image | None = None) -> bytes:
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas: Any = Canvas(buffer, pagesize=(600, 800))
    for page in pages:
        canvas.setFont("Helvetica", 12)
        for x, y, text in page:
            canvas.drawString(x, y, text)
        if picture is not None:
            canvas.drawImage(ImageReader(picture), 0, 0, 600, 800)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def drawn(size: tuple[int, int] = (900, 1_200)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    canvas, font = ImageDraw.Draw(image), ImageFont.load_default(24)
    for x, y, text in PLACED:
        canvas.text((x * 1.5, 1_200 - y * 1.5), text, fill="black", font=font)
    return image


ALL = '{"invoice_number": "INV-7041", "total": "119,00", "customer_number": "INV-7041"}'
NAMES = ("invoice_number", "total", "customer_number")


def test_the_characters_of_a_pdf_page_prove_its_values(agent_of: Any, tmp_path: Path) -> None:
    (tmp_path / "bill.pdf").write_bytes(pdf([(40, 700, "Total 250.00")], PLACED))
    agent, _ = agent_of(ALL)
    answer = agent.ask("Read it.", ["bill.pdf#page=2"], fields=NAMES, effort="quick")
    number, total, customer = answer.fields
    assert (number.status, number.page, number.source) == ("agrees", 2, "bill.pdf#page=2")
    (region,) = number.regions
    assert region.page == 2 and region.x1 == pytest.approx(1_000 * 160 / 600, abs=4)
    assert region.y1 < 1_000 * 100 / 800 < region.y2 + 3
    assert (total.status, total.value) == ("agrees", "119,00") and "Total" in total.words
    assert customer.status == "unproven" and "Invoice number:" in customer.note
    assert [(box.label, box.picture) for box in answer.boxes] == [("invoice_number", "bill.pdf"), ("total", "bill.pdf")]
    assert answer.answer == ALL and answer.degraded == []


def test_a_part_of_a_page_is_proven_by_its_words_alone(agent_of: Any, tmp_path: Path) -> None:
    (tmp_path / "bill.pdf").write_bytes(pdf(PLACED))
    agent, _ = agent_of(ALL)
    answer = agent.ask("Read it.", ["bill.pdf#xywh=percent:0,0,100,20"], fields=NAMES, effort="quick")
    assert [one.status for one in answer.fields] == ["agrees", "unproven", "unproven"]


def test_ocr_proves_the_values_of_a_picture_and_of_a_scan(agent_of: Any, tmp_path: Path) -> None:
    image = drawn()
    image.save(tmp_path / "bill.png")
    (tmp_path / "scan.pdf").write_bytes(pdf([], picture=image))
    for name in ("bill.png", "scan.pdf"):
        agent, _ = agent_of(ALL)
        answer = agent.ask("Read it.", [name], fields=NAMES, effort="quick")
        assert [one.status for one in answer.fields] == ["agrees", "agrees", "unproven"], answer.fields
        (region,) = answer.fields[0].regions
        assert region.x1 == pytest.approx(1_000 * 160 / 600, abs=15)
        assert region.y1 == pytest.approx(1_000 * 100 / 800, abs=15)


def test_a_cut_picture_has_its_boxes_in_pixels_of_the_whole(agent_of: Any, tmp_path: Path) -> None:
    drawn().save(tmp_path / "bill.png")
    agent, _ = agent_of('{"total": "119.00"}')
    answer = agent.ask("Read it.", ["bill.png#xywh=450,300,450,300"], fields=("total",), effort="quick")
    (box,) = answer.boxes
    assert (box.label, box.image, box.picture) == ("total", 0, "bill.png")
    assert 680 <= box.x1 < box.x2 <= 780 and 380 <= box.y1 < box.y2 <= 430


def test_where_there_is_no_ocr_that_is_said_once(
    agent_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.png", "b.png"):
        drawn().save(tmp_path / name)
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    from retrieval.reading import ocr

    ocr._engine.cache_clear()
    agent, _ = agent_of('{"total": "119.00"}')
    answer = agent.ask("Read them.", ["a.png", "b.png"], fields=("total",), effort="quick")
    (total,) = answer.fields
    assert total.status == "unproven" and total.regions == []
    assert [note for note in answer.degraded if "OCR" in note] == [NO_OCR.format(reason="ModuleNotFoundError")]


def test_ocr_is_left_out_where_no_time_is_left(agent_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from graph.run_context import RunContext

    drawn().save(tmp_path / "bill.png")
    agent, _ = agent_of('{"total": "119.00"}')
    monkeypatch.setattr(RunContext, "late", property(lambda _: True))
    answer = agent.ask("Read it.", ["bill.png"], fields=("total",), effort="quick")
    assert answer.fields[0].status == "unproven" and NO_TIME in answer.degraded


def test_values_from_documents_are_proven_by_their_page(agent_of: Any, tmp_path: Path) -> None:
    from retrieval.knowledge_base import KnowledgeBase
    from retrieval.settings import RetrievalSettings

    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / "bill.pdf").write_bytes(pdf(PLACED))
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="none-of-ours", reranker="none"), tmp_path / "home")
    base.sync()
    agent, _ = agent_of('{"relevant":[1]}', ALL, knowledge=base)
    answer = agent.ask("What is the total of INV-7041?", fields=NAMES, effort="quick")
    assert [one.status for one in answer.fields] == ["agrees", "agrees", "unproven"], answer
    assert answer.fields[0].source == "bill.pdf" and answer.fields[0].regions and answer.boxes == []
    (folder / "bill.pdf").write_bytes(pdf([(40, 700, "Something else: 119.00")]))
    assert base.page_words(answer.citations[0]) == ()
    base.close()


def test_words_without_a_form_leave_the_fields_without_values(agent_of: Any, documents: Any) -> None:
    agent, _ = agent_of(knowledge=documents("The warranty lasts 36 months."), name="tiny")
    answer = agent.ask("How long does the warranty last?", fields=("warranty",), effort="quick")
    assert [(one.name, one.value, one.status) for one in answer.fields] == [("warranty", None, "unproven")]


def test_a_plan_to_extract_proves_the_names_that_it_found(agent_of: Any, documents: Any) -> None:
    plan = '{"task":"extract","needs_knowledge":true,"queries":["warranty"]}'
    items = '{"items": [{"name": "warranty", "value": "36 months"}, {"name": "price", "value": "36 months"}]}'
    knowledge = documents("The warranty lasts 36 months.")
    agent, _ = agent_of(plan, '{"relevant":[1]}', items, '{"feedback":"36","verdict":"PASS"}', knowledge=knowledge)
    answer = agent.ask("Extract the terms.")
    assert [(one.name, one.status) for one in answer.fields] == [("warranty", "agrees"), ("price", "unproven")]
