"""Makes an opened picture smaller for a pixel budget; boxes are still told in the pixels of its file."""

import math
from dataclasses import replace

from model.pictures.picture import Picture


def fitted(picture: Picture, pixels: int | None) -> Picture:
    """Return the picture with at most so many pixels, itself where it has no more; None is no limit."""
    image = picture.image
    if pixels is None or image.width * image.height <= pixels:
        return picture
    from PIL import Image

    scale = math.sqrt(pixels / (image.width * image.height))
    size = max(1, int(image.width * scale)), max(1, int(image.height * scale))
    return replace(picture, image=image.resize(size, Image.Resampling.LANCZOS), whole=picture.whole or image)
