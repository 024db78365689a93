"""Counts GIF frames and JPEG scans from the structure of the file, and stops counting at a limit.

It decodes nothing, judges nothing, and takes any bytes: where the structure ends early, so does the count.
"""

import re

# The markers that a length follows. FF before anything else is data, filling, a restart, or what libjpeg passes over:
# to read a length there would let a hostile file hide scans in the bytes that are then skipped.
_JPEG_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")


def count_gif_frames(data: bytes, limit: int) -> int:
    """Return the number of frames, at most `limit` + 1 (GIF89a specification, sections 18 to 27)."""
    frames = 0
    position = 13 + (_gif_palette_bytes(data[10]) if len(data) > 10 else 0)
    while position < len(data) and frames <= limit:
        if data[position] == 0x2C:  # image: separator, 9 bytes of which the last is flags, palette, code size, blocks
            frames += 1
            flags = data[position + 9] if position + 9 < len(data) else 0
            position = _after_gif_blocks(data, position + 11 + _gif_palette_bytes(flags))
        elif data[position] == 0x21:  # extension: introducer, label, blocks
            position = _after_gif_blocks(data, position + 2)
        elif data[position] == 0x3B:  # trailer
            break
        else:
            position += 1
    return frames


def count_jpeg_scans(data: bytes, limit: int) -> int:
    """Return the number of scans of the first picture in the file, at most `limit` + 1 (ITU-T T.81, annex B).

    A progressive JPEG has about ten; each costs a pass over the whole picture, and fits into 80 bytes.
    """
    scans, position = 0, 2
    while scans <= limit and (marker := _JPEG_MARKER.search(data, position)):
        kind = marker[0][1]
        if kind == 0xD9:  # end of image
            break
        scans += kind == 0xDA
        # The two bytes after the marker say how long its segment is; a thumbnail inside one is thus passed over.
        position = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return scans


def _gif_palette_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_gif_blocks(data: bytes, position: int) -> int:
    """Return the position after a chain of blocks, each led by its length, that ends with length 0."""
    while position < len(data) and data[position]:
        position += data[position] + 1
    return position + 1
