"""Pictures that are no drawn shapes: something like a photograph and something like a page. It asks nothing."""

from random import Random

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


def something_else(rng: Random, width: int, height: int) -> Image.Image:
    """Draw a picture of which nothing is to be said: clouds of colour, or lines of small marks."""
    return _clouds(rng, width, height) if rng.random() < 0.6 else _page(rng, width, height)


def _clouds(rng: Random, width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(rng.getrandbits(32))
    layers = np.zeros((height, width, 3), dtype=np.float32)
    for cells in (3, 7, 16, 40)[: rng.randint(2, 4)]:
        small = noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
        grown = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
        layers += np.asarray(grown, dtype=np.float32) / 255 * cells**-0.7
    layers = (layers - layers.min()) / (np.ptp(layers) or 1)
    tint = np.array([rng.uniform(0.4, 1) for _ in range(3)], dtype=np.float32)
    return Image.fromarray((layers * tint * 255).astype(np.uint8))


def _page(rng: Random, width: int, height: int) -> Image.Image:
    paper, ink = ((250, 250, 248), (40, 40, 45)) if rng.random() < 0.8 else ((30, 30, 34), (210, 210, 210))
    page = Image.new("RGB", (width, height), paper)
    pen = ImageDraw.Draw(page)
    line = max(3, round(height / rng.randint(10, 24)))
    for y in range(line, height - line, line):
        x, end = round(width * 0.08), round(width * rng.uniform(0.5, 0.94))
        while x < end:
            word = round(line * rng.uniform(0.4, 2.2))
            pen.rectangle((x, y, min(x + word, end), y + round(line * 0.45)), fill=ink)
            x += word + max(2, round(line * 0.4))
    return page.filter(ImageFilter.GaussianBlur(line * 0.08))
