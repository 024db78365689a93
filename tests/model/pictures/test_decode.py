"""What cameras, phones, microscopes and drawing programs write is seen as they mean it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from model.errors import ImageError
from model.pictures.decode import decode
from model.pictures.limits import DEFAULT_LIMITS
from model.pictures.open import open_picture

DATA = Path(__file__).parents[2] / "data" / "phone_pictures"
SIZE = (192, 128)


def shapes(mode: str = "RGB") -> Image.Image:
    """A red square in the left upper corner, a blue one in the middle."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((10, 10, 50, 50), fill="red")
    draw.rectangle((80, 60, 120, 100), fill="blue")
    return image.convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def seen(data: bytes, name: str = "picture") -> Image.Image:
    return decode(name, data, DEFAULT_LIMITS).image


def near(image: Image.Image, place: tuple[int, int], color: tuple[int, int, int], most: int = 30) -> bool:
    pixel = image.getpixel(place)
    assert isinstance(pixel, tuple)
    return all(abs(found - wanted) <= most for found, wanted in zip(pixel, color, strict=True))


RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


@pytest.mark.parametrize(
    ("form", "name", "options"),
    [
        ("AVIF", "a.avif", {}), ("TIFF", "a.tif", {}), ("TIFF", "a.tif", {"compression": "tiff_lzw"}),
        ("TIFF", "a.tif", {"compression": "jpeg"}), ("ICO", "a.ico", {"sizes": [(192, 128)]}),
        ("JPEG2000", "a.jp2", {}),
        ("PPM", "a.ppm", {}), ("TGA", "a.tga", {}), ("DIB", "a.dib", {}), ("WEBP", "a.webp", {"lossless": True}),
    ],
    ids=lambda value: str(value),
)  # fmt: skip
def test_each_format_shows_its_picture(form: str, name: str, options: dict[str, Any]) -> None:
    image = seen(saved(shapes(), form, **options), name)
    assert image.mode == "RGB"
    assert near(image, (30, 30), RED) and near(image, (100, 80), BLUE)


def test_a_phones_picture_is_seen(tmp_path: Path) -> None:
    picture = open_picture("base.heic", (DATA,))
    assert (picture.width, picture.height) == (192, 192)
    colors = np.asarray(picture.image, int)
    assert ((colors[..., 0] > 180) & (colors[..., 1] < 90) & (colors[..., 2] < 90)).sum() > 500, "the red circle"


def test_a_phones_picture_stands_upright() -> None:
    turned, base = (np.asarray(open_picture(name, (DATA,)).image, int) for name in ("exif6.heic", "base.heic"))
    differences = [abs(np.rot90(base, quarter) - turned).mean() for quarter in range(4)]
    assert min(differences) == differences[3], "a quarter to the right, as its tag says"


def test_bytes_that_are_no_tga_are_not_taken_for_one() -> None:
    data = saved(shapes(), "TGA").partition(b"TRUEVISION")[0]  # as old programs wrote it, without a mark
    with pytest.raises(ImageError, match="no picture of a known format"):
        seen(data, "a.bin")


@pytest.mark.parametrize("end", [1, 2])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}], ids=str)
def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(options: dict[str, Any], end: int) -> None:
    data = saved(shapes(), "JPEG", **options)
    assert seen(data[:-end]).tobytes() == seen(data).tobytes()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 95}], ids=str)
@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
def test_a_jpeg_that_lacks_pixels_is_refused(options: dict[str, Any], share: float) -> None:
    noise = Image.effect_noise(SIZE, 80).convert("RGB")
    data = saved(noise, "JPEG", **options)
    with pytest.raises(ImageError, match="damaged or truncated"):
        seen(data[: int(share * len(data))])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_few_bits_in_sixteen_are_shown_at_their_true_range(bits: int) -> None:
    grey = np.full((64, 64), 2**bits - 1, np.uint16)
    grey[20:40, 20:40] = 2 ** (bits - 2)
    image = seen(saved(Image.fromarray(grey), "PNG"))
    assert near(image, (5, 5), WHITE, 2)
    assert near(image, (30, 30), (64, 64, 64), 4)


DRAWINGS: list[tuple[str, str]] = [("white", "dark"), ("black", "white"), ("red", "white"), ("lightgrey", "dark")]


@pytest.mark.parametrize(("ink", "ground"), DRAWINGS)
@pytest.mark.parametrize("form", ["PNG", "WEBP"])
def test_a_drawing_on_a_transparent_ground_is_seen(ink: str, ground: str, form: str) -> None:
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((40, 30, 100, 90), fill=ink)
    found = seen(saved(image, form, **({"lossless": True} if form == "WEBP" else {})))
    behind, drawn = found.getpixel((2, 2)), found.getpixel((70, 60))
    assert isinstance(behind, tuple) and isinstance(drawn, tuple)
    assert (sum(behind) > 600) == (ground == "white")
    assert sum(abs(a - b) for a, b in zip(behind, drawn, strict=True)) > 150


def test_a_drawing_in_black_and_white_is_seen_whole() -> None:
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 20, 80, 80), fill="black")
    draw.rectangle((100, 20, 160, 80), fill="white")
    found = seen(saved(image, "PNG"))
    ground, black, white = (found.convert("L").getpixel(place) for place in ((2, 2), (50, 50), (130, 50)))
    assert isinstance(ground, int) and isinstance(black, int) and isinstance(white, int)
    assert abs(ground - black) > 60 and abs(ground - white) > 60


def animated(*frames: Image.Image, form: str) -> bytes:
    return saved(frames[0], form, save_all=True, append_images=list(frames[1:]), duration=100, loop=0)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_with_a_blank_beginning_shows_its_first_picture(form: str) -> None:
    blank = Image.new("RGB", SIZE, "white")
    assert near(seen(animated(blank, blank, shapes(), form=form)), (30, 30), RED, 60)


def test_an_animation_of_nothing_is_a_blank_picture() -> None:
    assert near(seen(animated(*[Image.new("RGB", SIZE, "white")] * 3, form="GIF")), (30, 30), WHITE)


def test_a_tiff_of_pages_shows_its_first() -> None:
    assert near(seen(animated(shapes(), Image.new("RGB", SIZE, "black"), form="TIFF"), "a.tiff"), (30, 30), RED)


Cut = Callable[[bytes], bytes]


@pytest.mark.parametrize("form", ["AVIF", "TIFF", "ICO", "JPEG2000", "PPM"])
@pytest.mark.parametrize("cut", [lambda data: data[: len(data) // 2], lambda data: data[:12]], ids=["half", "head"])
def test_a_damaged_one_is_refused_in_one_sentence(form: str, cut: Cut) -> None:
    with pytest.raises(ImageError) as caught:
        seen(cut(saved(shapes(), form)))
    assert "\n" not in str(caught.value)
