"""Brings a picture of any mode to 8 bits of red, green and blue, so that what was drawn can be seen."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

GROUNDS = (255, 48, 128)
"""Greys on which something transparent is laid; white, unless the drawing would vanish on it."""
_NEAR = 60  # greys that far apart are told apart
_MOST_HIDDEN = 0.2  # share of the drawing
_WHITES = (1023, 4095, 16383, 65535)
"""Of cameras and microscopes, which put 10, 12, 14 or 16 bits into 16."""


def to_rgb(image: "Image.Image") -> "Image.Image":
    """Return `image` as RGB of 8 bits: transparency on a ground that shows it, deeper greys scaled to 0..255."""
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        return _to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        canvas = Image.new("RGBA", image.size, (_ground(layer),) * 3)
        canvas.alpha_composite(layer)
        return canvas.convert("RGB")
    return image.convert("RGB")


def _ground(layer: "Image.Image") -> int:
    """Return the grey on which least of a drawing is hidden: its pixels as often as they are opaque."""
    import numpy as np

    small = layer.copy()
    small.thumbnail((256, 256))
    grey, alpha = np.asarray(small.convert("RGB").convert("L"), int), np.asarray(small.getchannel("A"), float)
    drawn = alpha.sum()
    if not drawn or alpha.min() > 250:
        return GROUNDS[0]
    hidden = [float(alpha[abs(grey - ground) < _NEAR].sum() / drawn) for ground in GROUNDS]
    return GROUNDS[0] if hidden[0] <= _MOST_HIDDEN else GROUNDS[hidden.index(min(hidden))]


def _to_8_bits(image: "Image.Image") -> "Image.Image":
    """Return a grey picture of 16 or 32 bits, or of floats, as L; Pillow itself would clip it at 255."""
    grey = image.convert("F")
    # No file says reliably what white is: it is the least usual white that holds the brightest pixel.
    brightest = max(float(value) for value in grey.getextrema() if isinstance(value, (int, float)))
    usual = _WHITES if image.mode.startswith("I;16") else (1, 255, *_WHITES) if image.mode == "F" else (255, *_WHITES)
    white = next((white for white in usual if brightest <= white), brightest)
    return grey.point(lambda value: value * (255 / white) + 0.5).convert("L")  # F to L cuts, hence the half
