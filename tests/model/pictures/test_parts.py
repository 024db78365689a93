"""A part of a file can be named: a region, a page, a moment. Names may be written loosely."""

import base64
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from model.errors import ImageError
from model.pictures.limits import Sampling
from model.pictures.open import Opened, open_again, open_picture, open_source
from model.pictures.source import Fragment, split_source

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 128, 0), (0, 0, 255), (255, 255, 255)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a picture whose left half is red and whose right half is blue, 40 x 20 pixels."""
    picture = Image.new("RGB", (40, 20), RED)
    picture.paste(BLUE, (20, 0, 40, 20))
    picture.save(tmp_path / "halves.png")
    return tmp_path


def refused(code: str, match: str | None = None) -> Any:
    return pytest.raises(ImageError, match=match, check=lambda error: error.code == code)


def colours(opened: Opened) -> list[tuple[int, ...]]:
    """Return the colour in the middle of each picture, as whole hundreds: films and pages are drawn with loss."""
    middles = [p.image.getpixel((p.width // 2, p.height // 2)) for p in opened.pictures]
    return [tuple(round(value / 100) for value in middle) for middle in middles if isinstance(middle, tuple)]


def rounded(*found: tuple[int, int, int]) -> list[tuple[int, ...]]:
    return [tuple(round(value / 100) for value in one) for one in found]


# Regions


def test_a_region_in_pixels_is_seen_at_full_resolution(root: Path) -> None:
    picture = open_picture("halves.png#xywh=20,0,20,20", [root])
    assert (picture.width, picture.height) == (20, 20)
    assert picture.image.getcolors() == [(400, BLUE)]


def test_a_region_in_percent_is_one_of_the_picture_whatever_its_size(root: Path) -> None:
    picture = open_picture("halves.png#xywh=percent:50,0,50,50", [root])
    assert picture.place == (20, 0, 40, 10)


def test_a_box_in_a_region_is_told_in_pixels_of_the_file(root: Path) -> None:
    picture = open_picture("halves.png#xywh=20,5,10,10", [root])
    assert picture.in_file(1, 2, 5, 6) == (21, 7, 25, 11)
    whole, scale = picture.to_draw_on()
    assert whole.size == (40, 20) and scale == 1


def test_a_region_that_stands_out_is_cut_at_the_edge_and_one_outside_is_refused(root: Path) -> None:
    assert open_picture("halves.png#xywh=30,10,100,100", [root]).place == (30, 10, 40, 20)
    with refused("image_region_outside", "40 x 20 pixels"):
        open_picture("halves.png#xywh=40,0,5,5", [root])


@pytest.mark.parametrize(
    "part",
    ["xywh=1,2,3", "xywh=a,b,c,d", "xywh=0,0,0,5", "xywh=em:0,0,1,1", "page=0", "page=5-2", "page=x", "t=", "t=5,1",
     "t=a", "page=1&crop=3"],
)  # fmt: skip
def test_a_part_that_cannot_be_read_is_told_with_the_forms_that_can(root: Path, part: str) -> None:
    with refused("image_part_unreadable", "write #xywh=X,Y,WIDTH,HEIGHT"):
        open_picture(f"halves.png#{part}", [root])


def test_a_sign_in_a_name_is_no_part(root: Path) -> None:
    for name in ("C#.png", "notes#page=3.png", "#xywh=1,1,1,1.png"):
        Image.new("RGB", (4, 4), GREEN).save(root / name)
        assert open_picture(name, [root]).image.getcolors() == [(16, GREEN)]


def test_parts_of_photographs_are_cut_before_they_are_reduced(root: Path) -> None:
    picture = Image.new("RGB", (6_000, 4_000), WHITE)
    ImageDraw.Draw(picture).rectangle((3_000, 2_000, 3_009, 2_009), fill=BLUE)
    picture.save(root / "photo.jpg", quality=95)
    whole = open_picture("photo.jpg", [root])
    assert whole.size == (6_000, 4_000) and whole.width * whole.height <= 16_777_216
    x = round(3_000 * whole.width / 6_000)
    assert whole.in_file(x, 0, x + 5, 5)[0] == pytest.approx(3_000, abs=2)
    near = open_picture("photo.jpg#xywh=2990,1990,30,30", [root])
    assert near.image.size == (30, 30)
    assert near.image.getpixel((15, 15)) == pytest.approx(BLUE, abs=12)


# Pages


@pytest.fixture
def report(root: Path) -> str:
    document = pypdfium2.PdfDocument.new()
    for number, colour in enumerate((RED, GREEN, BLUE, WHITE, RED, GREEN)):
        page = document.new_page(200, 100)
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), colour).save(buffer, "JPEG", quality=100, subsampling=0)
        image = pypdfium2.PdfImage.new(document)
        image.load_jpeg(buffer, inline=True)
        image.set_matrix(pypdfium2.PdfMatrix().scale(200, 100))
        page.insert_obj(image)
        page.gen_content()
        assert number < 6
    document.save(root / "report.pdf")
    return "report.pdf"


def test_a_page_of_a_pdf_is_a_picture(root: Path, report: str) -> None:
    assert colours(open_source(f"{report}#page=3", [root])) == rounded(BLUE)


def test_pages_may_be_named_from_to_and_with_a_region(root: Path, report: str) -> None:
    opened = open_source(f"{report}#page=2-3&xywh=percent:0,0,50,100", [root])
    assert colours(opened) == rounded(GREEN, BLUE)
    assert opened.pictures[0].place == (0, 0, 800, 800)
    assert not opened.notes


def test_without_a_page_the_first_ones_are_seen_and_a_note_says_so(root: Path, report: str) -> None:
    opened = open_source(report, [root])
    assert colours(opened) == rounded(RED, GREEN, BLUE, WHITE)
    assert opened.notes == ("report.pdf: pages 1 to 4 were looked at, of 6; others with #page=N or #page=M-N",)


def test_a_page_that_is_not_there_is_told_with_how_many_there_are(root: Path, report: str) -> None:
    with refused("image_page_missing", "which has 6"):
        open_source(f"{report}#page=7", [root])


def test_pages_of_a_tiff_are_seen_and_its_smaller_copies_are_not(root: Path) -> None:
    pages = [Image.new("RGB", (30, 30), colour) for colour in (RED, GREEN, BLUE)]
    pages[1].encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(root / "fax.tiff", save_all=True, append_images=pages[1:])
    assert colours(open_source("fax.tiff", [root])) == rounded(RED, BLUE)
    assert colours(open_source("fax.tiff#page=2", [root])) == rounded(BLUE)


# Moments


@pytest.fixture
def clip(root: Path) -> str:
    """A film of four seconds, ten frames a second: red, green, blue, white, a second each."""
    import av

    with av.open(str(root / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for number in range(40):
            colour = (RED, GREEN, BLUE, WHITE)[number // 10]
            for packet in stream.encode(av.VideoFrame.from_image(Image.new("RGB", (64, 64), colour))):
                container.mux(packet)
        container.mux(stream.encode())
    return "clip.mp4"


def test_a_film_is_seen_at_even_times_and_each_frame_knows_its_own(root: Path, clip: str) -> None:
    opened = open_source(clip, [root], sampling=Sampling(frames=5))
    assert [p.time_s for p in opened.pictures] == pytest.approx([0, 1, 2, 3, 3.9], abs=0.11)
    assert colours(opened)[1:] == rounded(RED, GREEN, BLUE, WHITE) or colours(opened)[:1] == rounded(RED)
    assert opened.notes and "a film of 4.0 s" in opened.notes[0]


def test_a_moment_and_a_stretch_of_a_film_can_be_named(root: Path, clip: str) -> None:
    assert colours(open_source(f"{clip}#t=1.5", [root])) == rounded(GREEN)
    stretch = open_source(f"{clip}#t=2.2,3.8", [root], sampling=Sampling(frames=2))
    assert colours(stretch) == rounded(BLUE, WHITE)
    assert colours(open_source(f"{clip}#t=npt:0:02.5", [root])) == rounded(BLUE)


def test_one_frame_of_a_film_can_be_opened_again(root: Path, clip: str) -> None:
    for picture in open_source(clip, [root], sampling=Sampling(frames=4)).pictures:
        assert picture.path is not None
        again = open_again(picture.path, str(picture.part), [root])
        assert again.image.tobytes() == picture.image.tobytes() and again.time_s == picture.time_s


def test_an_animation_is_a_film_too(root: Path) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    frames[0].save(root / "a.gif", save_all=True, append_images=frames[1:], duration=500)
    assert colours(open_source("a.gif", [root])) == rounded(RED, GREEN, BLUE)
    assert colours(open_source("a.gif#t=0.6", [root])) == rounded(GREEN)


def test_a_folder_of_frames_is_a_film_whose_times_nobody_knows(root: Path) -> None:
    episode = root / "episode"
    episode.mkdir()
    for number in range(9):
        colour = (RED, GREEN, BLUE)[number // 3]
        Image.new("RGB", (8, 8), colour).save(episode / f"{number:05d}-rgb.png")
        Image.new("L", (8, 8)).save(episode / f"{number:05d}-depth.png")
    opened = open_source("episode", [root], sampling=Sampling(frames=3))
    assert colours(opened) == rounded(RED, GREEN, BLUE)
    assert opened.pictures[0].time_s is None
    assert opened.notes[0].endswith("00000-rgb.png, 00004-rgb.png, 00008-rgb.png")
    (root / "empty").mkdir()
    with refused("image_not_a_file", "is a folder"):
        open_source("empty", [root])


def test_what_has_sound_alone_is_refused(root: Path) -> None:
    import av

    with av.open(str(root / "talk.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame(format="s16", layout="mono", samples=800)
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with refused("image_film_without_pictures", "sound and no pictures"):
        open_source("talk.mkv", [root])


@pytest.mark.parametrize("kept", [40, 400, 1500])
def test_a_film_that_breaks_off_is_seen_as_far_as_it_goes_or_refused(root: Path, clip: str, kept: int) -> None:
    (root / "cut.mp4").write_bytes((root / clip).read_bytes()[:kept])
    with refused("image_film_damaged", "convert it to MP4"):
        open_source("cut.mp4", [root])


@given(data=st.binary(max_size=300))
def test_any_bytes_behind_a_films_first_ones_open_or_raise_an_image_error(data: bytes) -> None:
    for head in (b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", b"RIFF\0\0\0\0AVI ", b"%PDF-1.7\n", b"OggS"):
        with suppress(ImageError):
            open_source(f"data:video/mp4;base64,{base64.b64encode(head + data).decode()}", [])


# Names that are written loosely


@pytest.mark.parametrize(
    "written", ["halves.png\n", ' "halves.png" ', "'halves.png'", "`halves.png`", "<halves.png>", "“halves.png”"]
)
def test_what_stands_around_a_path_does_no_harm(root: Path, written: str) -> None:
    assert open_picture(written, [root]).width == 40


def test_a_file_address_inside_the_roots_is_a_path(root: Path) -> None:
    Image.new("RGB", (4, 4), GREEN).save(root / "my photo #1.png")
    assert open_picture((root / "my photo #1.png").as_uri(), [root]).width == 4
    assert open_picture(f"file://localhost{root}/halves.png#xywh=0,0,3,3", [root]).width == 3


@pytest.mark.parametrize(
    ("there", "asked"),
    [("Screenshot 8.55.11\u202fPM.png", "Screenshot 8.55.11 PM.png"), ("cafe\u0301.png", "café.png"),
     ("a\u00a0b/c d.png", "a b/c\u2009d.png"), ("\u200eleft.png", "left.png")],
)  # fmt: skip
def test_blanks_and_accents_need_not_be_spelled_as_the_disk_has_them(root: Path, there: str, asked: str) -> None:
    (root / there).parent.mkdir(exist_ok=True)
    Image.new("RGB", (4, 4), GREEN).save(root / there)
    assert there != asked
    assert open_picture(asked, [root]).width == 4
    assert open_picture(str(root / asked), [root]).width == 4


def test_a_near_name_is_shown_with_what_tells_it_apart(root: Path) -> None:
    with refused(
        "image_not_found", r"'halves\.png' \(its character 2 is LATIN SMALL LETTER A \(U\+0061\), not CYRILLIC"
    ):
        open_picture("h\u0430lves.png", [root])


@given(st.text(max_size=40))
def test_any_text_behind_a_sign_is_a_part_a_name_or_an_image_error(text: str) -> None:
    try:
        name, part = split_source(f"a.png#{text}")
    except ImageError as error:
        assert error.code == "image_part_unreadable"
    else:
        assert part != Fragment() or name == f"a.png#{text}"
        if part != Fragment():
            assert split_source(f"a.png#{part}") == ("a.png", part)
