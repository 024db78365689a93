"""What one picture may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageLimits:
    """What one picture may cost."""

    bytes: int = 32 * 1024 * 1024
    """Largest file."""
    pixels: int = 50_000_000
    """Largest width times height, known from the header before anything is decoded."""
    frames: int = 1_000
    """Longest animation; only the first frame is ever decoded."""
    scans: int = 100
    """Most passes of a progressive JPEG; cameras and programs write about ten."""
    url_chars: int = 4 * 1024 * 1024
    """Longest data: URL."""


DEFAULT_LIMITS = ImageLimits()
