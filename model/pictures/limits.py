"""What one picture may cost."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageLimits:
    """What one picture may cost."""

    bytes: int = 64 * 1024 * 1024
    """Largest file."""
    pixels: int = 70_000_000
    """Largest width times height, known from the header before anything is decoded."""
    jpeg_pixels: int = 220_000_000
    """Of a JPEG, which is made smaller while it is decoded."""
    frames: int = 1_000
    """Longest animation."""
    document_bytes: int = 256 * 1024 * 1024
    """Largest PDF."""
    film_bytes: int = 2 * 1024 * 1024 * 1024
    """Largest film; little of it is read."""
    scans: int = 100
    """Most passes of a progressive JPEG; cameras and programs write about ten."""
    url_chars: int = 4 * 1024 * 1024
    """Longest data: URL."""


DEFAULT_LIMITS = ImageLimits()


@dataclass(frozen=True)
class Sampling:
    """How much of what has several pictures is looked at where nobody says which."""

    frames: int = 8
    """Of a film or an animation, at even times."""
    pages: int = 4
    """Of a document, the first ones."""


ONE = Sampling(frames=1, pages=1)
