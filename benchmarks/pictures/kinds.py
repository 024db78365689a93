"""Pictures of every kind that people have: formats, modes, orientations, damage, films and documents, and odd names.

Each shows the drawing below, as its maker means it, or must be refused for a reason; the drawing has three colours at
known places, which any lossy format keeps.
"""

import base64
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIZE = 240, 160
PLACES = {"red": (45, 40), "blue": (195, 40), "green": (45, 120)}
COLOURS = {"red": (220, 30, 30), "blue": (30, 60, 220), "green": (30, 160, 60), "ground": (255, 255, 255)}
GROUND = 195, 120


@dataclass(frozen=True)
class Kind:
    """A file and what must come of it."""

    group: str
    name: str
    """Of the file; what `asked` names where that is empty."""
    data: bytes
    refused: str = ""
    """Code of the error; empty if it is seen."""
    grey: bool = False
    """Whether it has no colours, so that only light and dark are looked at."""
    asked: str = ""
    """How it is named."""


def drawing(mode: str = "RGB", scale: int = 1) -> Image.Image:
    """Return a red square, a blue one, a green one, on white; the lower right corner is left white."""
    image = Image.new("RGB", (SIZE[0] * scale, SIZE[1] * scale), COLOURS["ground"])
    draw = ImageDraw.Draw(image)
    for colour, (x, y) in PLACES.items():
        draw.rectangle(((x - 25) * scale, (y - 25) * scale, (x + 25) * scale, (y + 25) * scale), fill=COLOURS[colour])
    return image.convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """Return the bytes of a picture."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def kinds() -> Iterator[Kind]:
    """Yield all of them."""
    yield from _formats()
    yield from _modes()
    yield from _turned()
    yield from _moving()
    yield from _documents()
    yield from _damaged()
    yield from _named()


def _formats() -> Iterator[Kind]:
    plain = drawing()
    for name, form, options in (
        ("a.png", "PNG", {}), ("interlaced.png", "PNG", {"interlace": 1}), ("a.jpg", "JPEG", {"quality": 90}),
        ("progressive.jpg", "JPEG", {"progressive": True, "quality": 90}),
        ("444.jpg", "JPEG", {"subsampling": 0}), ("worst.jpg", "JPEG", {"quality": 15}), ("a.jpeg", "JPEG", {}),
        ("a.webp", "WEBP", {}), ("lossless.webp", "WEBP", {"lossless": True}), ("a.gif", "GIF", {}),
        ("a.bmp", "BMP", {}), ("a.dib", "DIB", {}), ("a.tif", "TIFF", {}),
        ("lzw.tif", "TIFF", {"compression": "tiff_lzw"}),
        ("deflate.tif", "TIFF", {"compression": "tiff_adobe_deflate"}),
        ("jpeg.tif", "TIFF", {"compression": "jpeg"}), ("a.ico", "ICO", {"sizes": [(240, 160)]}),
        ("a.jp2", "JPEG2000", {}), ("a.ppm", "PPM", {}), ("a.tga", "TGA", {}),
        ("a.avif", "AVIF", {"quality": 90}), ("a.mpo", "MPO", {}),
    ):  # fmt: skip
        yield Kind("formats", name, saved(plain, form, **options))
    yield Kind("formats", "wrong-ending.png", saved(plain, "JPEG"))
    yield Kind("formats", "without-ending", saved(plain, "PNG"))
    yield Kind("formats", "a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image_is_svg")
    yield Kind("formats", "a.psd", b"8BPS" + bytes(60), "image_format_refused")
    yield Kind("formats", "a.txt.png", b"These are words.", "image_format_refused")


def _modes() -> Iterator[Kind]:
    grey = drawing("L")
    yield Kind("modes", "grey.png", saved(grey, "PNG"), grey=True)
    yield Kind("modes", "grey.jpg", saved(grey, "JPEG"), grey=True)
    yield Kind("modes", "black-and-white.png", saved(drawing("1"), "PNG"), grey=True)
    yield Kind("modes", "fax.tif", saved(drawing("1"), "TIFF", compression="group4"), grey=True)
    yield Kind("modes", "palette.png", saved(drawing().quantize(16), "PNG"))
    yield Kind("modes", "cmyk.jpg", saved(drawing("CMYK"), "JPEG"))
    yield Kind("modes", "cmyk.tif", saved(drawing("CMYK"), "TIFF"))
    yield Kind("modes", "ycbcr.tif", saved(drawing("YCbCr"), "TIFF"))
    for bits in (10, 12, 14, 16):
        few = (np.asarray(grey).astype(np.uint32) * (2**bits - 1) // 255).astype(np.uint16)
        yield Kind("modes", f"{bits}-bits.png", saved(Image.fromarray(few), "PNG"), grey=True)
    real = np.asarray(grey).astype(np.float32) / 255
    yield Kind("modes", "float.tif", saved(Image.fromarray(real), "TIFF"), grey=True)
    wide = np.asarray(grey).astype(np.int32) * 257
    yield Kind("modes", "32-bits.tif", saved(Image.fromarray(wide), "TIFF"), grey=True)
    clear = drawing("RGBA")
    clear.putalpha(Image.fromarray(((np.asarray(grey) < 250) * 255).astype(np.uint8)))
    yield Kind("modes", "clear-ground.png", saved(clear, "PNG"))
    yield Kind("modes", "clear-ground.webp", saved(clear, "WEBP", lossless=True))
    yield Kind("modes", "clear-ground.gif", saved(clear, "GIF"))
    yield Kind("modes", "grey-alpha.png", saved(drawing("LA"), "PNG"), grey=True)
    yield Kind("modes", "clear-colour.png", saved(drawing().quantize(8), "PNG", transparency=0))


def _turned() -> Iterator[Kind]:
    ways = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    for number, way in ways.items():
        exif = Image.Exif()
        exif[0x0112] = number
        stored = drawing() if way is None else drawing().transpose(way)
        yield Kind("turned", f"exif-{number}.jpg", saved(stored, "JPEG", exif=exif, quality=90))
    exif = Image.Exif()
    exif[0x0112] = 6
    for form, name in (("PNG", "exif-6.png"), ("WEBP", "exif-6.webp"), ("TIFF", "exif-6.tif")):
        yield Kind("turned", name, saved(drawing().transpose(Image.Transpose.ROTATE_90), form, exif=exif))
    exif[0x0112] = 9
    yield Kind("turned", "exif-of-no-meaning.jpg", saved(drawing(), "JPEG", exif=exif, quality=90))
    yield Kind("turned", "large.jpg", saved(drawing(scale=25), "JPEG", quality=80))


def _moving() -> Iterator[Kind]:
    frames = [drawing(), drawing()]
    ImageDraw.Draw(frames[1]).point((0, 0), fill="black")  # or Pillow leaves the second frame out
    for form, name in (("GIF", "moving.gif"), ("WEBP", "moving.webp"), ("PNG", "moving.png")):
        more = {"save_all": True, "append_images": frames[1:], "duration": 300}
        yield Kind("moving", name, saved(frames[0], form, **more))
    blank = Image.new("RGB", SIZE, "white")
    yield Kind("moving", "blank-first.gif", saved(
        blank, "GIF", save_all=True, append_images=frames, duration=300), asked="blank-first.gif#t=0.4")  # fmt: skip
    for name, codec, pixels in (
        ("film.mp4", "mpeg4", "yuv420p"), ("film.mov", "mpeg4", "yuv420p"), ("film.avi", "mpeg4", "yuv420p"),
        ("film.mkv", "ffv1", "yuv420p"), ("film.webm", "libvpx-vp9", "yuv420p"),
    ):  # fmt: skip
        film = _film(name, codec, pixels)
        if film:
            yield Kind("moving", name, film)
    film = _film("film.mp4", "mpeg4", "yuv420p")
    yield Kind("moving", "moment.mp4", film, asked="moment.mp4#t=0.5")
    yield Kind("moving", "cut-off.mp4", film[:600], "image_film_damaged")
    yield Kind("moving", "sound.mp3", b"ID3" + bytes(500), "image_film_without_pictures")


def _film(name: str, codec: str, pixels: str) -> bytes:
    """Return a film of a second in which nothing moves; empty where the codec cannot be had."""
    import av

    file = io.BytesIO()
    form = {"mkv": "matroska"}.get(name.rpartition(".")[2], name.rpartition(".")[2])
    try:
        with av.open(file, "w", format=form) as container:
            stream: Any = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = *SIZE, pixels
            for _ in range(10):
                container.mux(stream.encode(av.VideoFrame.from_image(drawing())))
            container.mux(stream.encode())
    except (av.error.FFmpegError, ValueError):
        return b""
    return file.getvalue()


def _documents() -> Iterator[Kind]:
    page, other = drawing(), Image.new("RGB", SIZE, "black")
    yield Kind("documents", "page.pdf", saved(page, "PDF"))
    yield Kind("documents", "second.pdf", saved(other, "PDF", save_all=True, append_images=[page]),
               asked="second.pdf#page=2")  # fmt: skip
    yield Kind(
        "documents", "no-such-page.pdf", saved(page, "PDF"), "image_page_missing", asked="no-such-page.pdf#page=3"
    )
    yield Kind("documents", "cut.pdf", b"%PDF-1.7\n" + bytes(100), "image_damaged")
    yield Kind("documents", "pages.tif", saved(page, "TIFF", save_all=True, append_images=[other]),
               asked="pages.tif#page=1")  # fmt: skip
    yield Kind("documents", "second.tif", saved(other, "TIFF", save_all=True, append_images=[page]),
               asked="second.tif#page=2")  # fmt: skip


def _damaged() -> Iterator[Kind]:
    jpeg, png = saved(drawing(), "JPEG", quality=90), saved(drawing(), "PNG")
    yield Kind("damaged", "no-end.jpg", jpeg[:-2])
    yield Kind("damaged", "half.jpg", jpeg[: len(jpeg) // 2], "image_damaged")
    yield Kind("damaged", "half.png", png[: len(png) // 2], "image_damaged")
    yield Kind("damaged", "empty.png", b"", "image_file_empty")
    yield Kind("damaged", "head.png", png[:20], "image_damaged")
    yield Kind("damaged", "more-behind.jpg", jpeg + bytes(5000))
    yield Kind("damaged", "more-behind.png", png + b"secret" * 100)
    yield Kind("damaged", "zeros.jpg", bytes(5000), "image_format_refused")
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    yield Kind("damaged", "bomb.png", b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) +
               _chunk(b"IDAT", zlib.compress(bytes(1000))) + _chunk(b"IEND", b""), "image_too_many_pixels")  # fmt: skip


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _named() -> Iterator[Kind]:
    png = saved(drawing(), "PNG")
    encoded = base64.b64encode(png).decode()
    for name, asked in (
        ("with blanks.png", '"with blanks.png"'), ("Screenshot 8.55\u202fPM.png", "Screenshot 8.55 PM.png"),
        ("cafe\u0301.png", "caf\u00e9.png"), ("图.png", "图.png\n"), ("C#.png", "C#.png"), ("-dash.png", "-dash.png"),
        ("a'b.png", "a'b.png"), ("emoji 🙂.png", "emoji 🙂.png"),
    ):  # fmt: skip
        yield Kind("names", name, png, asked=asked)
    yield Kind("names", "region.png", saved(_with_border(), "PNG"), asked="region.png#xywh=100,50,240,160")
    yield Kind("names", "there.png", png, "image_not_found", asked="their.png")
    for name, asked in (
        ("plain", f"data:image/png;base64,{encoded}"), ("unpadded", f"data:image/png;base64,{encoded.rstrip('=')}"),
        ("url-safe", f"data:image/png;base64,{base64.urlsafe_b64encode(png).decode()}"),
        ("escaped", f"data:image/png;base64,{encoded.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}"),
        ("wrapped", f"data:image/png;base64,{encoded[:70]}\n{encoded[70:]}"),
        ("of any type", f"data:application/octet-stream;base64,{encoded}"),
    ):  # fmt: skip
        yield Kind("data: URLs", f"{name}.url", b"", asked=asked)
    yield Kind("data: URLs", "words.url", b"", "image_data_url_invalid", asked="data:text/plain,hello")
    yield Kind("addresses", "web.url", b"", "image_web_address", asked="https://example.org/a.png")


def _with_border() -> Image.Image:
    image = Image.new("RGB", (440, 260), "black")
    image.paste(drawing(), (100, 50))
    return image


def is_seen(image: Image.Image, grey: bool) -> bool:
    """Return whether the picture shows the drawing, whatever its size."""
    if abs(image.width / image.height - SIZE[0] / SIZE[1]) > 0.05:
        return False
    ground = _at(image, GROUND)
    if grey:
        return all(sum(ground) - sum(_at(image, place)) > 150 for place in PLACES.values())
    near = all(
        sum(abs(a - b) for a, b in zip(_at(image, place), COLOURS[colour], strict=True)) < 130
        for colour, place in PLACES.items()
    )
    return near and all(
        sum(abs(a - b) for a, b in zip(ground, _at(image, p), strict=True)) > 150 for p in PLACES.values()
    )


def _at(image: Image.Image, place: tuple[int, int]) -> tuple[int, ...]:
    """Return the mean colour around a place, which black and white pictures show by dots."""
    x, y = place[0] * image.width / SIZE[0], place[1] * image.height / SIZE[1]
    reach = 10 * image.width / SIZE[0]
    part = np.asarray(image.crop((int(x - reach), int(y - reach), int(x + reach), int(y + reach))), float)
    return tuple(int(value) for value in part.mean((0, 1)))
