"""Frames of a film at even times, by PyAV. It opens no address, plays no sound and decodes only what it needs."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from model.errors import ImageError

if TYPE_CHECKING:
    from PIL import Image

TIME_S = 20.0
"""Longest time that finding the frames may take; what was found until then is what is seen."""
MOST_DECODED = 600
"""Frames decoded on the way to one that is wanted: keyframes lie closer in what cameras and programs write."""
FRAME_PIXELS = 2_100_000
"""A frame among several is made smaller above it (1080p): all of them share one budget of the model."""


@dataclass(frozen=True)
class Frame:
    """A frame, upright and in RGB."""

    time_s: float
    """From the beginning of the film."""
    image: "Image.Image"
    size: tuple[int, int]
    """Width and height in the film, upright."""


def read_frames(
    source: str, file: BinaryIO, wanted: Callable[[float], Sequence[float]], *, full: bool = False
) -> tuple[list[Frame], float]:
    """Return the frames that are shown at the wanted moments, each once, and how many seconds the film takes.

    Args:
        source: As the caller named it.
        file: The film, which is read where it is needed.
        wanted: Called with the film's length in seconds; returns moments, ascending.
        full: Whether each frame is wanted at its full size.

    Raises:
        ImageError: It has sound alone, or cannot be decoded.
    """
    import av
    from av.error import FFmpegError

    av.logging.set_level(None)  # FFmpeg writes on stderr what is wrong with a file; the sentence below does, too
    try:
        with av.open(file, metadata_errors="ignore") as container:
            streams = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
            if not streams:
                raise ImageError("image_film_without_pictures", source=source)
            stream = streams[0]
            stream.thread_type = "AUTO"
            begin = _seconds(stream.start_time, stream.time_base)
            length = _length(container, stream, begin)
            found = _at(container, stream, begin, list(wanted(length)), full)
    except ImageError:
        raise
    # PyAV raises ValueError and others beside its own for hostile bytes.
    except (FFmpegError, ValueError, LookupError, ArithmeticError, OSError, MemoryError, AttributeError, TypeError):
        raise ImageError("image_film_damaged", source=source) from None
    if not found:
        raise ImageError("image_film_damaged", source=source)
    return found, length


def _length(container: Any, stream: Any, begin: float) -> float:
    """Return the film's length in seconds; where its header does not state it, by its last packet."""
    if stream.duration:
        return _seconds(stream.duration, stream.time_base)
    if container.duration:
        return max(0.0, float(container.duration) / 1_000_000)
    until, last = time.monotonic() + TIME_S / 2, 0.0
    for packet in container.demux(stream):
        if packet.pts is not None:
            last = max(last, _seconds(packet.pts, stream.time_base) - begin)
        if time.monotonic() > until:
            break
    container.seek(0)
    return last


def _at(container: Any, stream: Any, begin: float, moments: Sequence[float], full: bool) -> list[Frame]:
    until = time.monotonic() + TIME_S
    found: dict[float, Frame] = {}
    for moment in moments:
        if time.monotonic() > until:
            break
        frame, at = _shown_at(container, stream, begin, moment, until)
        if frame is not None and at not in found:
            found[at] = _frame(frame, at, full or len(moments) == 1)
    return [found[at] for at in sorted(found)]


def _shown_at(container: Any, stream: Any, begin: float, moment: float, until: float) -> tuple[Any, float]:
    """Return the last frame that begins at or before the moment, the first one if none does, and when it begins."""
    from av.error import FFmpegError

    target = int((moment + begin) / float(stream.time_base))
    try:
        container.seek(target, stream=stream, backward=True)
    except FFmpegError:
        container.seek(0)
    best, at, decoded = None, 0.0, 0
    try:
        for frame in container.decode(stream):
            shown = max(0.0, _seconds(frame.pts, stream.time_base) - begin) if frame.pts is not None else 0.0
            if best is not None and shown > moment + 1e-6:
                break
            best, at, decoded = frame, shown, decoded + 1
            if decoded >= MOST_DECODED or time.monotonic() > until:
                break
    except FFmpegError:  # behind a damaged place; what was decoded before it is as it was
        if best is None:
            return None, 0.0
    return best, at


def _frame(frame: Any, at: float, full: bool) -> Frame:
    image = frame.to_image()
    turned = int(getattr(frame, "rotation", 0) or 0) % 360
    if turned:  # a phone that was held upright
        image = image.rotate(turned, expand=True)
    size = image.size
    if not full and size[0] * size[1] > FRAME_PIXELS:
        share = (FRAME_PIXELS / (size[0] * size[1])) ** 0.5
        image = image.resize((max(1, int(size[0] * share)), max(1, int(size[1] * share))))
    return Frame(round(at, 3), image, size)


def _seconds(value: int | None, time_base: Any) -> float:
    return float(value * time_base) if value is not None and time_base is not None else 0.0
