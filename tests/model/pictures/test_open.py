"""The hostile corpus: every rule for opening a picture, entered by `open_picture`."""

import base64
import hashlib
import io
import os
import random
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from model.errors import ImageError
from model.pictures import files as images
from model.pictures.limits import DEFAULT_LIMITS, ImageLimits
from model.pictures.open import open_picture
from model.pictures.picture import Picture, to_data_url
from model.pictures.rgb import to_rgb

RED = (255, 0, 0)


def refused(code: str, match: str | None = None) -> Any:
    """Expect that a picture is refused for this reason, in a sentence that holds the words."""
    return pytest.raises(ImageError, match=match, check=lambda error: error.code == code)


on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pics"
    folder.mkdir()
    Image.new("RGB", (4, 3), RED).save(folder / "red.png")
    return folder


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = tmp_path / "pics-secret"
    folder.mkdir()
    Image.new("RGB", (9, 9)).save(folder / "secret.png")
    return folder / "secret.png"


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def open_bytes(root: Path, data: bytes, limits: ImageLimits = DEFAULT_LIMITS) -> Picture:
    (root / "file.png").write_bytes(data)
    return open_picture("file.png", [root], limits=limits)


def pixels(picture: Picture) -> list[object]:
    image = picture.image
    return [image.getpixel((x, y)) for y in range(image.height) for x in range(image.width)]


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


def gif(frames: int, between: bytes = b"") -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return (
        b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + (frame + between) * frames + b";"
    )


# What is opened


def test_a_picture_tells_its_source_its_real_path_its_size_and_its_hash(root: Path) -> None:
    picture = open_picture("red.png", [root])
    assert (picture.source, picture.path) == ("red.png", (root / "red.png").resolve())
    assert (picture.width, picture.height) == (4, 3)
    assert picture.sha256 == hashlib.sha256((root / "red.png").read_bytes()).hexdigest()
    assert (picture.image.mode, pixels(picture)) == ("RGB", [RED] * 12)


def test_pictures_of_the_same_bytes_are_equal_and_can_be_keys(root: Path) -> None:
    assert len({open_picture("red.png", [root]), open_picture("red.png", [root])}) == 1


def test_importing_the_module_does_not_import_pillow() -> None:
    code = "import sys, model.pictures.open; sys.exit(any(name in sys.modules for name in ('PIL', 'torch', 'numpy')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "MPO"])
def test_each_allowed_format_opens_whatever_the_file_is_called(root: Path, form: str) -> None:
    two = {"save_all": True, "append_images": [Image.new("RGB", (8, 6))]} if form == "MPO" else {}
    picture = open_bytes(root, encoded(Image.new("RGB", (8, 6), RED), form, **two))
    r, g, b = picture.image.tobytes()[:3]
    assert picture.image.size == (8, 6)
    assert r > 250 and g < 5 and b < 5


@pytest.mark.parametrize("form", ["PCX", "SGI"])
def test_a_format_that_is_not_allowed_is_refused(root: Path, form: str) -> None:
    with refused("image_format_refused", "convert it to PNG"):
        open_bytes(root, encoded(Image.new("RGB", (16, 16)), form))


@pytest.mark.parametrize("text", [b"The password is swordfish.", b"%!PS"])
def test_text_that_is_called_png_is_refused_without_quoting_it(root: Path, text: bytes) -> None:
    with refused("image_format_refused") as caught:
        open_bytes(root, text)
    assert text.decode() not in str(caught.value)


# Names that are no paths


@pytest.mark.parametrize(
    ("source", "code", "fix"),
    [
        ("", "image_source_empty", "give a path"),
        (" \t\n", "image_source_empty", "give a path"),
        ("red.png\0.txt", "image_name_has_nul", "remove it"),
        ("file://server/share/a.png", "image_file_url", "copy the picture here"),
        ("file:///etc/passwd", "image_outside_roots", "allow its folder"),
        ("FILE:/etc/passwd", "image_outside_roots", "allow its folder"),
        ("lorgnette://picture/" + "0" * 32, "image_drawn_gone", "ask again"),
        ("http://127.0.0.1/a.png", "image_web_address", "download it"),
        (" https://example.org/a.png", "image_web_address", "download it"),
        ("HTTPS:example.org/a.png", "image_web_address", "download it"),
        ("ftp://example.org/a.png", "image_web_address", "download it"),
        ("s3://bucket/a.png", "image_web_address", "download it"),
        ("gopher+x://a", "image_web_address", "download it"),
        ("javascript:alert(1)", "image_web_address", "download it"),
        (r"\\server\share\a.png", "image_network_path", "copy the picture"),
        ("//server/share/a.png", "image_network_path", "copy the picture"),
        (r"\\?\C:\a.png", "image_network_path", "copy the picture"),
        (r"\\.\pipe\a", "image_network_path", "copy the picture"),
        (r"/\server/a.png", "image_network_path", "copy the picture"),
        ("CON", "image_device_name", "rename"),
        ("nul.png", "image_device_name", "rename"),
        ("folder/COM1.jpg", "image_device_name", "rename"),
        (r"C:\pics\LPT9 .png", "image_device_name", "rename"),
        ("COM¹", "image_device_name", "rename"),
        ("CONIN$", "image_device_name", "rename"),
        ("\ud800.png", "image_not_readable", "check its name"),
        ("a" * 5_000 + ".png", "image_not_readable", "check its name"),
    ],
)
def test_what_is_no_path_is_refused_with_its_own_error_that_names_the_fix(
    root: Path, source: str, code: str, fix: str
) -> None:
    with refused(code, fix) as caught:
        open_picture(source, [root])
    assert getattr(caught.value, "source", source) == source
    assert len(str(caught.value).encode()) < 600 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["console.png", "com10.png", "at 12:30.png", "a:b.png", "~x.png", "..png", "a b%20.png"]
)
def test_a_name_that_only_looks_odd_opens(root: Path, name: str) -> None:
    if os.name == "nt" and ":" in name:
        pytest.skip("no such file names on Windows")
    (root / name).write_bytes((root / "red.png").read_bytes())
    assert open_picture(name, [root]).width == 4


# Roots


def test_a_path_outside_the_roots_is_refused_with_the_roots_and_the_option(root: Path, secret: Path) -> None:
    with refused("image_outside_roots", "--root DIR") as caught:
        open_picture(str(secret), [root])
    assert caught.value.roots == (root.resolve(),)
    assert str(root.resolve()) in str(caught.value)


@pytest.mark.parametrize(
    "source", ["../pics-secret/secret.png", "x/../../pics-secret/secret.png", "/etc/passwd", "~/a.png"]
)
def test_no_spelling_leads_out_of_the_roots(root: Path, secret: Path, source: str) -> None:
    with refused("image_outside_roots"):
        open_picture(source, [root])


def test_the_refusal_does_not_tell_whether_a_file_outside_exists(root: Path, secret: Path) -> None:
    texts = []
    for name in ("secret.png", "absent.png"):
        with refused("image_outside_roots") as caught:
            open_picture(str(secret.with_name(name)), [root])
        texts.append(str(caught.value).replace(name, ""))
    assert texts[0] == texts[1]


def test_without_roots_no_file_opens(root: Path) -> None:
    with refused("image_outside_roots", "--root DIR"):
        open_picture(str(root / "red.png"), [])


def test_tilde_is_the_home_folder_in_paths_and_in_roots(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    monkeypatch.setenv("USERPROFILE", str(root.parent))
    assert open_picture("~/pics/red.png", [Path("~/pics")]).path == (root / "red.png").resolve()


def test_relative_paths_are_tried_against_the_roots_in_order(root: Path, tmp_path: Path) -> None:
    second = tmp_path / "second"
    second.mkdir()
    for name in ("red.png", "only.png"):
        Image.new("RGB", (7, 7)).save(second / name)
    assert open_picture("red.png", [root, second]).width == 4
    assert open_picture("red.png", [second, root]).width == 7
    assert open_picture("only.png", [root, second]).width == 7


def test_a_relative_path_may_lead_from_one_root_into_another(root: Path, secret: Path) -> None:
    assert open_picture("../pics-secret/secret.png", [root, secret.parent]).width == 9


@on_posix
@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_out_of_the_roots_is_refused(root: Path, secret: Path, linked: str) -> None:
    (root / "link.png").symlink_to(secret)
    (root / "link").symlink_to(secret.parent)
    with refused("image_outside_roots"):
        open_picture("link.png" if linked == "file" else "link/secret.png", [root])


@on_posix
def test_a_link_that_stays_inside_the_roots_opens(root: Path) -> None:
    (root / "link.png").symlink_to("red.png")
    assert open_picture("link.png", [root]).path == (root / "red.png").resolve()


@on_posix
def test_a_root_that_is_a_link_is_resolved_too(root: Path, tmp_path: Path) -> None:
    (tmp_path / "alias").symlink_to(root)
    assert open_picture(str(root / "red.png"), [tmp_path / "alias"]).width == 4
    assert open_picture(str(tmp_path / "alias" / "red.png"), [root]).width == 4


@on_posix
def test_a_loop_of_links_is_refused(root: Path) -> None:
    (root / "a.png").symlink_to("b.png")
    (root / "b.png").symlink_to("a.png")
    with refused("image_not_readable"):
        open_picture("a.png", [root])


@on_posix
@pytest.mark.parametrize("swapped", ["file", "folder"])
def test_a_link_put_in_between_check_and_opening_is_not_followed(
    root: Path, secret: Path, swapped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = root / "inner"
    inner.mkdir()
    (inner / "secret.png").write_bytes((root / "red.png").read_bytes())
    open_beneath = images._open_beneath

    def swap_then_open(root: Path, path: Path) -> int:
        (inner / "secret.png").unlink()
        if swapped == "file":
            (inner / "secret.png").symlink_to(secret)
        else:
            inner.rmdir()
            inner.symlink_to(secret.parent)
        return open_beneath(root, path)

    monkeypatch.setattr(images, "_open_beneath", swap_then_open)
    with refused("image_moved", "try again"):
        open_picture("inner/secret.png", [root])


# Files that are no picture files


def test_a_missing_file_suggests_pictures_of_similar_name_beside_it(root: Path) -> None:
    (root / "read.txt").touch()
    (root / "Reed.PNG").touch()
    with refused("image_not_found", r"did you mean 'red\.png' or 'Reed\.PNG'") as caught:
        open_picture(str(root / "reds.png"), [root])
    assert caught.value.suggestions == ("red.png", "Reed.PNG")


def test_a_missing_file_with_nothing_similar_says_to_check_the_name(root: Path) -> None:
    with refused("image_not_found", "check the name"):
        open_picture("no/such/holiday.png", [root])


def test_a_missing_root_suggests_nothing_from_beside_it(root: Path, tmp_path: Path) -> None:
    with refused("image_root_missing") as caught:
        open_picture(str(tmp_path / "gone.png"), [tmp_path / "gone.png"])
    Image.new("1", (1, 1)).save(tmp_path / "gona.png")
    with refused("image_root_missing") as caught:
        open_picture(str(tmp_path / "gone.png"), [tmp_path / "gone.png"])
    assert "did you mean" not in str(caught.value)


def test_a_path_through_a_file_is_a_missing_file(root: Path) -> None:
    with refused("image_not_found"):
        open_picture("red.png/red.png", [root])


@on_posix
@pytest.mark.parametrize("source", [".", "inner"])
def test_a_folder_is_refused(root: Path, source: str) -> None:
    (root / "inner").mkdir()
    with refused("image_not_a_file", "is a folder"):
        open_picture(source, [root])


@on_posix
def test_a_pipe_that_nobody_writes_to_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    with refused("image_not_a_file", "is a pipe"):
        open_picture("pipe.png", [root])


@on_posix
def test_a_device_is_refused(root: Path) -> None:
    with refused("image_not_a_file", "is a device"):
        open_picture("/dev/null", [Path("/dev")])


@on_posix
def test_a_socket_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s.png")
        with refused("image_not_readable"):
            open_picture("s.png", [root])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(root: Path) -> None:
    (root / "red.png").chmod(0)
    with refused("image_not_readable", "permissions"):
        open_picture("red.png", [root])


def test_an_empty_file_is_refused(root: Path) -> None:
    with refused("image_file_empty", "is empty"):
        open_bytes(root, b"")


def test_a_file_of_more_bytes_than_the_limit_is_refused_and_one_of_just_as_many_opens(root: Path) -> None:
    size = (root / "red.png").stat().st_size
    assert open_picture("red.png", [root], limits=ImageLimits(bytes=size)).width == 4
    with refused("image_file_too_large") as caught:
        open_picture("red.png", [root], limits=ImageLimits(bytes=size - 1))
    assert caught.value.limit == size - 1


def test_a_file_that_grows_after_its_size_was_checked_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_byte(descriptor: int) -> os.stat_result:
        values = list(os.stat(descriptor))
        values[6] = 1
        return os.stat_result(values)

    monkeypatch.setattr(os, "fstat", one_byte)
    with refused("image_file_too_large"):
        open_picture("red.png", [root], limits=ImageLimits(bytes=10))


def test_a_sparse_file_of_a_terabyte_is_refused_without_reading_it(root: Path) -> None:
    with (root / "huge.png").open("wb") as file:
        file.truncate(1 << 40)
    with refused("image_file_too_large"):
        open_picture("huge.png", [root])


# Bombs


class Decoded(BaseException):
    """Pillow was asked for pixels; no ImageError, so that no handler can turn it into one."""


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: object) -> None:
        raise Decoded

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)


@pytest.mark.parametrize("side", [8_400, 10_000, 30_000, 2_000_000_000])
@pytest.mark.usefixtures("no_decoding")
def test_a_png_bomb_is_refused_by_its_header(root: Path, side: int) -> None:
    with refused("image_too_many_pixels", "scale it down") as caught:
        open_bytes(root, png(side, side, png_chunk(b"IDAT", zlib.compress(bytes(100_000)))))
    assert caught.value.limit == 70_000_000
    assert caught.value.size in ((side, side), None)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
@pytest.mark.usefixtures("no_decoding")
def test_the_pixel_limit_holds_for_every_format(root: Path, form: str) -> None:
    data = encoded(Image.frombytes("L", (20, 11), bytes(220)), form)
    with refused("image_too_many_pixels", "20 x 11 pixels") as caught:
        open_bytes(root, data, ImageLimits(pixels=219, jpeg_pixels=219))
    assert caught.value.size == (20, 11)
    with pytest.raises(Decoded):
        open_bytes(root, data, ImageLimits(pixels=220, jpeg_pixels=220))


def test_a_gif_whose_first_frame_is_larger_than_its_screen_counts_by_the_frame(root: Path) -> None:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 9_000, 9_000, 0) + b"\x02\x02\x44\x01\x00;"
    with refused("image_too_many_pixels"):
        open_bytes(root, gif(0)[:-1] + frame)


def test_a_picture_that_does_not_fit_into_memory_is_to_be_scaled_down(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(self: object) -> None:
        raise MemoryError

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with refused("image_too_many_pixels", "scale it down"):
        open_picture("red.png", [root])


@pytest.mark.usefixtures("no_decoding")
def test_a_gif_of_ten_thousand_frames_is_refused_without_decoding_one(root: Path) -> None:
    with refused("image_too_many_frames", "more than 1,000 frames") as caught:
        open_bytes(root, gif(10_000))
    assert caught.value.limit == 1_000


@pytest.mark.parametrize("between", [b"", b"\x21\xf9\x04\0\0\0\0\0", b"\x21\xfe\x03\x2c\x2c\x2c\0", b"\0\0"])
def test_gif_frames_are_counted_exactly_whatever_stands_between_them(root: Path, between: bytes) -> None:
    assert open_bytes(root, gif(5, between), ImageLimits(frames=5)).width == 1
    with refused("image_too_many_frames"):
        open_bytes(root, gif(6, between), ImageLimits(frames=5))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_an_animation_up_to_the_limit_shows_its_first_frame_and_above_it_is_refused(root: Path, form: str) -> None:
    colours = [RED, (0, 255, 0), (0, 0, 255)]
    first, *others = [Image.new("RGB", (8, 8), colour) for colour in colours]
    data = encoded(first, form, save_all=True, append_images=others, **({"lossless": True} if form == "WEBP" else {}))
    assert set(pixels(open_bytes(root, data, ImageLimits(frames=3)))) == {RED}
    with refused("image_too_many_frames", "of its own"):
        open_bytes(root, data, ImageLimits(frames=2))


@pytest.mark.parametrize(
    "hidden_behind", [b"", b"\xff\x01\xf0\xf0", b"\xff\x02\xf0\xf0", b"\xff\xfe\x00\x04\xff\xd9", b"\xff\xff\xff"]
)
@pytest.mark.usefixtures("no_decoding")
def test_a_jpeg_of_very_many_scans_is_refused_without_decoding_it(root: Path, hidden_behind: bytes) -> None:
    data = encoded(Image.new("L", (64, 64)), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    bomb = data[:last] + hidden_behind + data[last:-2] * 101 + b"\xff\xd9"
    with refused("image_too_many_scans", "more than 100 scans"):
        open_bytes(root, bomb)


def test_a_progressive_jpeg_with_a_thumbnail_and_a_tail_full_of_scans_opens(root: Path) -> None:
    data = encoded(Image.new("RGB", (64, 64), RED), "JPEG", progressive=True, comment=b"\xff\xda" * 200)
    assert open_bytes(root, data + b"\xff\xda\x00\x02" * 200).width == 64


# Damage


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_truncated_picture_is_refused(root: Path, form: str, share: float) -> None:
    noise = Image.frombytes("RGB", (40, 40), random.Random(0).randbytes(4_800))
    data = encoded(noise, form)
    with refused("image_damaged", "export or copy it again"):
        open_bytes(root, data[: int(len(data) * share)])


def test_no_error_carries_bytes_of_the_file(root: Path) -> None:
    with pytest.raises(ImageError) as caught:
        open_bytes(root, png(4, 4, png_chunk(b"SECR", b"swordfish")[:-4] + b"\0\0\0\0", png_chunk(b"SEC1", b"x")))
    assert "SEC" not in str(caught.value) and caught.value.__suppress_context__


JPEG_AND_OTHERS = [
    encoded(Image.frombytes("RGB", (12, 9), random.Random(1).randbytes(324)), form, **options)
    for form, options in (
        ("PNG", {}),
        ("JPEG", {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"}),
        ("JPEG", {"progressive": True}),
        ("GIF", {}),
        ("WEBP", {}),
        ("BMP", {}),
        ("MPO", {"save_all": True, "append_images": [Image.new("RGB", (12, 9))]}),
    )
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(JPEG_AND_OTHERS)))
    for _ in range(draw(st.integers(0, 8))):
        data[draw(st.integers(0, len(data) - 1))] ^= draw(st.integers(1, 255))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@given(data=damaged() | st.binary(max_size=200))
@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_open_or_raise_an_image_error(data: bytes) -> None:
    url = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    try:
        assert open_picture(url, []).image.mode == "RGB"
    except ImageError as refused:
        assert str(refused).isprintable()


@given(source=st.text(max_size=60) | st.from_regex(r"(\.\./|~|/|data:|[a-z]+://|\\\\)?.{0,30}"))
@settings(max_examples=400, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_as_a_name_is_refused_with_an_image_error(root: Path, source: str) -> None:
    with pytest.raises(ImageError) as caught:
        open_picture(source, [root])
    assert str(caught.value).isprintable()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors in /proc")
def test_two_hundred_refusals_leave_no_descriptor_open(root: Path) -> None:
    os.mkfifo(root / "pipe.png")
    (root / "text.png").write_text("no picture")
    (root / "empty.png").touch()
    (root / "loop.png").symlink_to("loop.png")
    sources = [
        ".",
        "pipe.png",
        "text.png",
        "empty.png",
        "loop.png",
        "absent.png",
        "red.png/x",
        "no/such.png",
        "red.png",
    ]
    before = len(os.listdir("/proc/self/fd"))
    for turn in range(200):
        with pytest.raises(ImageError):
            open_picture(sources[turn % len(sources)], [root], limits=ImageLimits(bytes=20))
    assert len(os.listdir("/proc/self/fd")) == before


# Colours and turns


def rgba(alpha: int) -> Image.Image:
    return Image.new("RGBA", (2, 2), (*RED, alpha))


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("1", (2, 2), 1), (255, 255, 255)),
        (Image.new("L", (2, 2), 77), (77, 77, 77)),
        (Image.new("I;16", (2, 2), 40_000), (156, 156, 156)),
        (rgba(255), RED),
        (rgba(0), (255, 255, 255)),
        (rgba(51), (255, 204, 204)),
        (Image.new("LA", (2, 2), (0, 51)), (204, 204, 204)),
        (Image.new("RGB", (2, 2), RED).convert("P"), RED),
    ],
    ids=["1", "L", "I;16", "RGBA", "RGBA clear", "RGBA thin", "LA", "P"],
)
def test_each_png_mode_becomes_the_rgb_that_a_viewer_shows_on_white(
    root: Path, image: Image.Image, colour: tuple[int, int, int]
) -> None:
    assert pixels(open_bytes(root, encoded(image, "PNG"))) == [colour] * 4


@pytest.mark.parametrize(("mode", "key"), [("L", 0), ("RGB", (0, 0, 0)), ("P", 0), ("P", b"\0"), ("1", 0)])
def test_a_transparent_colour_of_a_png_becomes_white(root: Path, mode: str, key: object) -> None:
    image = Image.new(mode, (2, 2))
    if mode == "P":
        image.putpalette([0, 0, 0, 9, 9, 9])
    assert pixels(open_bytes(root, encoded(image, "PNG", transparency=key))) == [(255, 255, 255)] * 4


def test_a_cmyk_jpeg_becomes_rgb(root: Path) -> None:
    picture = open_bytes(root, encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100))
    r, g, b = picture.image.crop((4, 4, 5, 5)).tobytes()
    assert r > 250 and g < 5 and b < 5


def test_sixteen_bits_of_grey_are_scaled_and_not_clipped(root: Path) -> None:
    image = Image.new("I;16", (256, 1))
    for x in range(256):
        image.putpixel((x, 0), x * 257)
    assert pixels(open_bytes(root, encoded(image, "PNG"))) == [(x, x, x) for x in range(256)]


@pytest.mark.parametrize(
    ("mode", "brightest", "half", "shown"),
    [
        ("I;16", 65_535, 128, 0),
        ("I", 255, 128, 128),
        ("I", 65_535, 32_896, 128),
        ("I", 510_000, 256_000, 128),
        ("F", 1.0, 0.5, 128),
        ("F", 255.0, 128.0, 128),
        ("F", 65_535.0, 32_896.0, 128),
    ],
)
def test_deep_greys_are_scaled_to_the_white_that_their_values_suggest(
    mode: str, brightest: float, half: float, shown: int
) -> None:
    image = Image.new(mode, (2, 1), half)
    image.putpixel((1, 0), brightest)
    rgb = to_rgb(image)
    assert [rgb.getpixel((x, 0)) for x in (0, 1)] == [(shown,) * 3, (255,) * 3]


def test_a_palette_with_alpha_is_laid_on_white() -> None:
    image = rgba(51).convert("PA")
    assert to_rgb(image).getpixel((0, 0)) == (255, 204, 204)


@pytest.mark.parametrize("mode", ["HSV", "YCbCr", "RGBX", "RGBa"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert to_rgb(Image.new(mode, (2, 2))).mode == "RGB"


# The stored picture is numbered 0 1 2 / 3 4 5; the table says how each EXIF orientation is to be shown.
SHOWN = {
    1: [[0, 1, 2], [3, 4, 5]],
    2: [[2, 1, 0], [5, 4, 3]],
    3: [[5, 4, 3], [2, 1, 0]],
    4: [[3, 4, 5], [0, 1, 2]],
    5: [[0, 3], [1, 4], [2, 5]],
    6: [[3, 0], [4, 1], [5, 2]],
    7: [[5, 2], [4, 1], [3, 0]],
    8: [[2, 5], [1, 4], [0, 3]],
    9: [[0, 1, 2], [3, 4, 5]],
}


@pytest.mark.parametrize("orientation", SHOWN)
def test_exif_rotation_is_applied(root: Path, orientation: int) -> None:
    stored = Image.frombytes("L", (3, 2), bytes(40 * value for value in range(6)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = open_bytes(root, encoded(stored, "PNG", exif=exif))
    red, width = picture.image.tobytes()[::3], picture.width
    rows = [[value // 40 for value in red[start : start + width]] for start in range(0, len(red), width)]
    assert rows == SHOWN[orientation]


@pytest.mark.parametrize("exif", [b"Exif\0\0", b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\xff\xff\0\x01"])
def test_broken_exif_leaves_the_picture_as_it_is_stored(root: Path, exif: bytes) -> None:
    assert open_bytes(root, encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif)).image.size == (8, 4)


# data: URLs


def url(data: bytes, head: str = "data:image/png;base64,") -> str:
    return head + base64.b64encode(data).decode()


RED_PNG = encoded(Image.new("RGB", (4, 3), RED), "PNG")


def test_a_data_url_opens_without_roots_and_is_shortened_to_its_hash() -> None:
    picture = open_picture(url(RED_PNG), [])
    assert picture.path is None
    assert picture.source == f"data:image/png;sha256={picture.sha256}"
    assert pixels(picture) == [RED] * 12


@pytest.mark.parametrize(
    "change",
    [
        lambda text: " \n" + text,
        lambda text: text.replace("data:image/png", "DATA:Image/PNG"),
        lambda text: text.replace(";base64", ";name=a.png;base64"),
        lambda text: text.replace(";", " ; "),
        lambda text: text.replace("=", "%3D").replace("+", "%2B").replace("/", "%2F").replace("image%2F", "image/"),
        lambda text: text[:60] + "\r\n " + text[60:] + "\n",
        lambda text: text.rstrip("="),
    ],
    ids=["blank before", "capitals", "parameter", "blanks in head", "percent", "line break", "no padding"],
)
def test_a_data_url_may_be_written_loosely(change: Callable[[str], str]) -> None:
    assert open_picture(change(url(RED_PNG)), []).width == 4


@pytest.mark.parametrize(
    "text",
    [
        "data:",
        "data:image/png;base64",
        "data:,hello",
        "data:image/png,hello",
        "data:text/plain;base64,aGVsbG8=",
        "data:text/html;x=image/png;base64,aGVsbG8=",
        "data:image/png;base64,not*base64",
        "data:image/png;base64,A",
        "data:image/png;base64,%ZZ%",
        "data:image/png;base64,é\ud800",
    ],
)
def test_a_data_url_that_is_no_image_in_base64_is_refused(text: str) -> None:
    with refused("image_data_url_invalid", "write it as"):
        open_picture(text, [])


def test_a_data_url_of_nothing_is_refused() -> None:
    with refused("image_file_empty"):
        open_picture("data:image/png;base64,", [])


@pytest.mark.parametrize(("data", "code"), [(b"swordfish", "image_format_refused"), (b"<svg/>", "image_is_svg")])
def test_a_data_url_is_judged_by_its_bytes_and_not_by_its_type(data: bytes, code: str) -> None:
    with refused(code) as caught:
        open_picture(url(data, "data:image/svg+xml;base64,"), [])
    assert base64.b64encode(data).decode() not in str(caught.value)


def test_a_data_url_of_more_characters_than_the_limit_is_refused() -> None:
    text = url(RED_PNG)
    assert open_picture(text, [], limits=ImageLimits(url_chars=len(text))).width == 4
    with refused("image_data_url_too_long", "save the picture as a file") as caught:
        open_picture(text, [], limits=ImageLimits(url_chars=len(text) - 1))
    assert (caught.value.chars, caught.value.limit) == (len(text), len(text) - 1)


def test_the_byte_limit_holds_for_data_urls() -> None:
    with refused("image_file_too_large"):
        open_picture(url(RED_PNG), [], limits=ImageLimits(bytes=len(RED_PNG) - 1))


def test_the_limits_by_default_are_those_that_are_documented() -> None:
    limits = ImageLimits()
    assert (limits.bytes, limits.pixels, limits.frames, limits.url_chars) == (64 << 20, 70_000_000, 1_000, 4 << 20)


# What goes out again


def test_a_small_picture_goes_out_as_png_without_loss(root: Path) -> None:
    text = to_data_url(open_picture("red.png", [root]))
    assert text.startswith("data:image/png;base64,")
    assert pixels(open_picture(text, [])) == [RED] * 12


def test_a_large_picture_goes_out_as_jpeg_of_the_same_size(root: Path) -> None:
    text = to_data_url(open_bytes(root, encoded(Image.new("RGB", (1_025, 1_024), RED), "PNG")))
    assert text.startswith("data:image/jpeg;base64,")
    assert open_picture(text, []).image.size == (1_025, 1_024)


@pytest.mark.parametrize("side", [8, 1_100])
def test_no_comment_place_or_profile_goes_out(root: Path, side: int) -> None:
    exif = Image.Exif()
    exif[0x010E] = "at home"
    image = Image.new("RGB", (side, side))
    data = encoded(image, "JPEG", comment=b"at home", exif=exif, icc_profile=b"at home" * 20)
    assert data.count(b"at home") == 22
    sent = base64.b64decode(to_data_url(open_bytes(root, data)).partition(",")[2])
    picture = Image.open(io.BytesIO(sent))
    assert not {"comment", "exif", "icc_profile"} & set(picture.info)
