"""Opens what a stranger named to be looked at: pictures, pages and frames, from one safe read and a bounded decode.

It fetches nothing, runs nothing, and does not know models: scaling down to a pixel budget is the processor's.
"""

import hashlib
import io
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from model.errors import ImageError
from model.pictures.data_url import is_data_url, read_data_url
from model.pictures.decode import Contents, Decoded, contents, decode, decode_frames
from model.pictures.files import SUFFIXES, opened
from model.pictures.frame_folder import evenly, frames_of
from model.pictures.kinds import HEAD_BYTES, Kind, kind_of
from model.pictures.limits import DEFAULT_LIMITS, ONE, ImageLimits, Sampling
from model.pictures.picture import Picture
from model.pictures.source import WHOLE, Fragment, Region, split_source

if TYPE_CHECKING:
    from PIL import Image

MOST_PAGES = 8
"""So many pages may be named at once."""
_HASHED_AT_ONCE = 1 << 20
_NO_SUCH_NAME = ("image_not_found", "image_web_address", "image_device_name", "image_drawn_gone")


@dataclass(frozen=True)
class Opened:
    """What a source showed."""

    pictures: tuple[Picture, ...]
    """At least one."""
    notes: tuple[str, ...] = ()
    """What of it is not seen, in words."""


def open_source(
    source: str, roots: Sequence[Path], *, limits: ImageLimits = DEFAULT_LIMITS, sampling: Sampling | None = None
) -> Opened:
    """Open what `source` names: a picture, pages of a document, frames of a film, or a region of any of them.

    Args:
        source: A path, absolute, with `~`, or relative to one of the roots; a `file:` address inside them; a base64
            data: URL; or `lorgnette://picture/ID`. Behind it a part may stand, as `model.pictures.source` reads it.
        roots: Folders that may be read, with all below them; a relative path is tried against each in order.
        limits: What it may cost.
        sampling: How many pages or frames are taken where the source does not say which.

    Raises:
        ImageError: By its `code` for each reason; nothing else is raised for any text or any bytes.
    """
    sampling = sampling or Sampling()
    try:
        name, part = split_source(source)
    except ImageError as unreadable:
        with suppress(ImageError):  # a file may be called so
            return _from_disk(source, source, WHOLE, roots, limits, sampling)
        raise unreadable from None
    if is_data_url(source):
        mime, data = read_data_url(name, limits)
        sha256 = hashlib.sha256(data).hexdigest()
        file = _File(f"data:{mime};sha256={sha256}", None, sha256, data)
        return _looked_at(file, io.BytesIO(data), kind_of(data[:HEAD_BYTES]), part, limits, sampling)
    if part != WHOLE:  # here, too
        try:
            return _from_disk(source, source, WHOLE, roots, limits, sampling)
        except ImageError as error:
            if error.code not in _NO_SUCH_NAME:
                raise
    return _from_disk(source, name, part, roots, limits, sampling)


def open_picture(source: str, roots: Sequence[Path], *, limits: ImageLimits = DEFAULT_LIMITS) -> Picture:
    """Open the one picture that `source` names: the first page of a document, one frame of a film.

    Raises:
        ImageError: As `open_source`.
    """
    return open_source(source, roots, limits=limits, sampling=ONE).pictures[0]


def open_again(path: Path, part: str, roots: Sequence[Path]) -> Picture:
    """Open a part of a file once more, as `Picture.part` named it.

    Raises:
        ImageError: As `open_source`.
    """
    fragment = split_source(f"x#{part}")[1] if part else WHOLE
    return _from_disk(str(path), str(path), fragment, roots, DEFAULT_LIMITS, ONE).pictures[0]


@dataclass(frozen=True)
class _File:
    source: str
    path: Path | None
    sha256: str
    data: bytes
    """Empty for a film, which is read where it is needed."""

    def picture(self, decoded: Decoded, part: Fragment, time_s: float | None = None) -> Picture:
        """Return the picture, cut to the part's region."""
        kept = self.data if self.path is None else None
        whole = Picture(self.source, self.path, decoded.image, self.sha256, part, kept, time_s, decoded.size)
        return whole if part.region is None else _cut(whole, part.region)


def _from_disk(
    source: str, name: str, part: Fragment, roots: Sequence[Path], limits: ImageLimits, sampling: Sampling
) -> Opened:
    try:
        return _from_file(source, name, part, roots, limits, sampling)
    except ImageError as error:
        folder = Path(str(error.values.get("path", "")))
        is_root = any(os.path.realpath(root.expanduser()) == os.fspath(folder) for root in roots)
        is_folder = error.code == "image_not_a_file" and not is_root and folder.is_dir()
        frames = _frames_in(folder, sampling.frames) if is_folder else []
        if not frames:
            raise
    shown = [_from_file(source, str(frame), part, [folder], limits, ONE).pictures[0] for frame in frames]
    seen = ", ".join(frame.name for frame in frames)
    note = f"{folder.name}: taken for a film, of its pictures were seen {seen}"
    return Opened(tuple(shown), (note,))


def _frames_in(folder: Path, most: int) -> list[Path]:
    """Return evenly spaced pictures of a folder that is a film; none where it holds fewer than two."""
    try:
        names = frames_of([name for name in os.listdir(folder) if name.lower().endswith(SUFFIXES)])
    except OSError:
        return []
    return [folder / name for name in evenly(names, most)] if len(names) > 1 else []


def _from_file(
    source: str, name: str, part: Fragment, roots: Sequence[Path], limits: ImageLimits, sampling: Sampling
) -> Opened:
    with opened(name, roots, source) as (path, file):
        head = file.read(HEAD_BYTES)
        kind = kind_of(head)
        most = {"film": limits.film_bytes, "pdf": limits.document_bytes}.get(kind, limits.bytes)
        if file.seek(0, os.SEEK_END) > most:
            raise ImageError("image_file_too_large", source=source, limit=most)
        file.seek(0)
        digest, data = hashlib.sha256(), b""
        if kind == "film":
            size = 0
            while piece := file.read(_HASHED_AT_ONCE):
                digest.update(piece)
                size += len(piece)
                if size > most:
                    break
        else:
            data = file.read(most + 1)
            digest.update(data)
            size = len(data)
        if size > most:  # it grew meanwhile
            raise ImageError("image_file_too_large", source=source, limit=most)
        file.seek(0)
        return _looked_at(_File(source, path, digest.hexdigest(), data), file, kind, part, limits, sampling)


def _looked_at(
    file: _File, stream: BinaryIO, kind: Kind, part: Fragment, limits: ImageLimits, sampling: Sampling
) -> Opened:
    if kind == "sound":
        raise ImageError("image_film_without_pictures", source=file.source)
    if kind == "film":
        return _film(file, stream, part, sampling)
    if kind == "pdf":
        return _pdf(file, part, sampling)
    found = contents(file.source, file.data, limits)
    if len(found.pages) > 1 or part.pages is not None:
        return _tiff_pages(file, found, part, limits, sampling)
    if found.animated and (sampling.frames > 1 or part.seconds is not None):
        return _animation(file, part, limits, sampling)
    if part.seconds is not None:
        raise ImageError("image_part_missing", source=file.source, part=part, kind="a picture that does not move")
    picture = decode(file.source, file.data, limits, full=part.region is not None)
    note = "the first frame that shows something was looked at; others with #t=SECONDS"
    return Opened((file.picture(picture, part),), (f"{_name(file)}: {note}",) if found.animated else ())


def _film(file: _File, stream: BinaryIO, part: Fragment, sampling: Sampling) -> Opened:
    from model.pictures.film import read_frames

    if part.pages is not None:
        raise ImageError("image_part_missing", source=file.source, part=part, kind="a film")
    moments = _Moments(file.source, part, sampling.frames)
    frames, length = read_frames(file.source, stream, moments, full=part.region is not None)
    return _of_film(file, [(f.time_s, Decoded(f.image, f.size)) for f in frames], length, part, moments)


def _animation(file: _File, part: Fragment, limits: ImageLimits, sampling: Sampling) -> Opened:
    moments = _Moments(file.source, part, sampling.frames)
    frames = decode_frames(file.source, file.data, limits, moments, full=part.region is not None)
    return _of_film(file, frames, moments.length, part, moments)


def _of_film(
    file: _File, frames: Sequence[tuple[float, Decoded]], length: float, part: Fragment, moments: "_Moments"
) -> Opened:
    pictures = tuple(file.picture(one, replace(part, seconds=(at, None)), time_s=at) for at, one in frames)
    times = ", ".join(f"{round(at, 2):g}" for at, _ in frames)
    notes = [f"{_name(file)}: a film of {length:.1f} s, of which the frames at {times} s were seen; others with "
             f"#t=START,END"]  # fmt: skip
    if part.seconds is not None and part.seconds[0] > length:
        notes.append(f"{_name(file)}: it is over before {part.seconds[0]:g} s; its end was looked at")
    return Opened(pictures, tuple(notes) if not moments.single else tuple(notes[1:]))


class _Moments:
    """Chooses at which moments a film is looked at: evenly from its first to its last, or within what was named."""

    def __init__(self, source: str, part: Fragment, count: int) -> None:
        self._part, self._count = part, count
        self.single = part.seconds is not None and part.seconds[1] is None
        self.length = 0.0

    def __call__(self, length: float) -> Sequence[float]:
        self.length = length
        start, end = self._part.seconds or (0.0, None)
        if self._part.seconds is not None and self.single:
            return [min(start, length)]
        start, end = min(start, length), min(length if end is None else end, length)
        if self._count == 1:
            return [(start + end) / 2]
        # The last moment lies a little before the end, where the last frame is still shown.
        step = max(0.0, end - start - min(0.05, (end - start) / 2)) / (self._count - 1)
        return [start + step * n for n in range(self._count)]


def _pdf(file: _File, part: Fragment, sampling: Sampling) -> Opened:
    from model.pictures.pages import count_pdf_pages, draw_page

    count = count_pdf_pages(file.source, file.data)
    return _pages(
        file, count, lambda number: draw_page(file.source, file.data, number, closer=part.region is not None), part,
        sampling,
    )  # fmt: skip


def _tiff_pages(file: _File, found: Contents, part: Fragment, limits: ImageLimits, sampling: Sampling) -> Opened:
    def page(number: int) -> Decoded:
        at = found.pages[number]
        return decode(file.source, file.data, limits, page=at, full=part.region is not None)

    return _pages(file, len(found.pages), page, part, sampling)


def _pages(file: _File, count: int, page: Callable[[int], Decoded], part: Fragment, sampling: Sampling) -> Opened:
    if part.seconds is not None:
        raise ImageError("image_part_missing", source=file.source, part=part, kind="a document")
    if not count:
        raise ImageError("image_damaged", source=file.source)
    first, last = part.pages or (1, count)
    if first > count:
        raise ImageError("image_page_missing", source=file.source, page=first, count=count)
    most = MOST_PAGES if part.pages else sampling.pages
    numbers = range(first, min(last, count, first + most - 1) + 1)
    pictures = tuple(
        file.picture(page(number - 1), replace(part, pages=(number, number) if count > 1 else part.pages))
        for number in numbers
    )
    notes = []
    if len(numbers) < min(last, count) - first + 1:
        seen = f"page {first} was" if len(numbers) == 1 else f"pages {first} to {numbers[-1]} were"
        notes.append(f"{_name(file)}: {seen} looked at, of {count}; others with #page=N or #page=M-N")
    return Opened(pictures, tuple(notes))


def _cut(whole: Picture, region: Region) -> Picture:
    """Return the region of the picture at full resolution."""
    width, height = whole.size
    across, down = (width / 100, height / 100) if region.percent else (1.0, 1.0)
    left, top = round(region.x * across), round(region.y * down)
    right, bottom = round((region.x + region.width) * across), round((region.y + region.height) * down)
    right, bottom = min(max(right, left + 1), width), min(max(bottom, top + 1), height)
    if left >= width or top >= height:
        raise ImageError("image_region_outside", source=whole.source, region=region, width=width, height=height)
    wide, high = whole.image.width / width, whole.image.height / height
    box = (
        int(left * wide), int(top * high), max(int(left * wide) + 1, round(right * wide)),
        max(int(top * high) + 1, round(bottom * high)),
    )  # fmt: skip
    return replace(whole, image=whole.image.crop(box), place=(left, top, right, bottom), whole=_smaller(whole.image))


def _smaller(image: "Image.Image") -> "Image.Image":
    """Return the picture at a size at which boxes are drawn into it."""
    copy = image.copy()
    copy.thumbnail((2_048, 2_048))
    return copy


def _name(file: _File) -> str:
    return file.path.name if file.path is not None else "the data: URL"
