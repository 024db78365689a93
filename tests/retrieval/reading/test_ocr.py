import io
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from retrieval.reading.documents import ReadLimits, read_document
from retrieval.reading.ocr import OcrLine, lines_to_text, read_picture
from retrieval.reading.pictures import open_picture
from retrieval.reading.unreadable import Broken, TooLarge

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]


def draw(*words: tuple[int, int, str], size: tuple[int, int] = (900, 300)) -> Image.Image:
    image = Image.new("RGB", size, "white")
    for x, y, text in words:
        ImageDraw.Draw(image).text((x, y), text, "black", ImageFont.load_default(40))
    return image


def save(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_lines_come_from_top_to_bottom_and_left_to_right(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the engine opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    lines = read_picture(draw((500, 40, "right side"), (40, 44, "left side"), (40, 180, "below both")))
    assert [line.text for line in lines] == ["left side", "right side", "below both"]
    assert lines_to_text(lines) == "left side  right side\nbelow both"
    assert all(line.score > 0.9 for line in lines)
    x1, y1, x2, y2 = lines[2].box
    assert 20 < x1 < 50 and 170 < y1 < 200 and 200 < x2 < 300 and 210 < y2 < 250


@pytest.mark.parametrize("ground", ["white", "black"])
def test_a_small_strip_is_read_with_ground_around_it_and_its_boxes_stay(ground: str) -> None:
    strip = Image.new("RGB", (640, 60), ground)
    ink = "white" if ground == "black" else "black"
    ImageDraw.Draw(strip).text((20, 12), "Gate 42 is open", ink, ImageFont.load_default(30))
    (line,) = read_picture(strip)
    assert line.text == "Gate 42 is open"
    x1, y1, x2, y2 = line.box
    assert 5 < x1 < 30 and 5 < y1 < 25 and 200 < x2 < 300 and 35 < y2 <= 60


def test_rows_are_told_by_half_a_lines_height() -> None:
    lines = [
        OcrLine("c", 1.0, (0, 31, 10, 51)),
        OcrLine("b", 1.0, (50, 9, 60, 29)),
        OcrLine("a", 1.0, (0, 0, 10, 20)),
    ]
    assert lines_to_text(lines) == "a  b\nc"


def test_a_picture_without_words_is_a_document_with_a_note() -> None:
    document = read_document(Path("a.png"), save(Image.new("RGB", (64, 64), "red"), "PNG"))
    assert (document.text, document.media_type) == ("", "image")
    assert document.notes == ("no words could be read in the picture",)
    assert read_picture(Image.new("RGB", (900, 2))) == []


@pytest.mark.parametrize(("name", "kind"), [("a.png", "PNG"), ("a.jpg", "JPEG"), ("a.webp", "WEBP"), ("a.bmp", "BMP")])
def test_pictures_are_read_by_content_whatever_their_ending(name: str, kind: str) -> None:
    data = save(draw((40, 100, "Gate 42 is open")), kind)
    assert read_document(Path(name), data).text == "Gate 42 is open"
    assert read_document(Path("a.jpeg"), data).notes == ()


def test_a_turned_photograph_is_read_upright() -> None:
    upright = draw((40, 100, "This side up"))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = open_picture(save(upright.rotate(90, expand=True), "JPEG", exif=exif), max_pixels=1_000_000)
    assert turned.size == upright.size


def test_black_on_transparent_is_read_on_white() -> None:
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert open_picture(save(image, "PNG"), max_pixels=100).getpixel((0, 0)) == (255, 255, 255)


def test_a_large_picture_is_refused_by_its_header() -> None:
    data = save(Image.new("1", (3_000, 3_000)), "PNG")
    with pytest.raises(TooLarge, match="9,000,000, more than the 8,000,000"):
        read_document(Path("a.png"), data, limits=ReadLimits(max_pixels=8_000_000))
    with pytest.raises(Broken, match="far more pixels"):
        open_picture(save(Image.new("1", (20_000, 20_000)), "PNG"), max_pixels=8_000_000)


def test_damage_to_a_picture_is_a_reason() -> None:
    data = save(draw((40, 100, "words")), "PNG")
    with pytest.raises(Broken, match="picture"):
        open_picture(data[: len(data) // 2], max_pixels=1_000_000)
    with pytest.raises(Broken, match="none of PNG"):
        open_picture(save(Image.new("RGB", (4, 4)), "PCX"), max_pixels=100)


def test_the_engine_writes_nothing() -> None:
    code = (
        "from PIL import Image\nfrom retrieval.reading.ocr import read_picture\n"
        "assert read_picture(Image.new('RGB', (64, 64))) == []"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_importing_the_readers_loads_none_of_their_engines() -> None:
    heavy = ("rapidocr", "onnxruntime", "pypdfium2", "docx", "lxml", "PIL", "langchain_text_splitters", "numpy")
    modules = (
        "chunks",
        "decode",
        "documents",
        "formats.docx",
        "headings",
        "formats.html",
        "ocr",
        "pdf.document",
        "pictures",
    )
    names = ", ".join(f"retrieval.reading.{module}" for module in modules)
    code = f"import sys, {names}; print([name for name in {heavy!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert run.stdout == "[]\n"
