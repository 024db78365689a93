"""Draw an example again: `python -m finetune.data.drawn.draw_example examples/shapes.png`, fewer.png or bars.png."""

import sys
from pathlib import Path
from random import Random

from finetune.data.drawn.domains import DOMAINS, draw
from finetune.data.drawn.scenes import Scene, Thing, draw_scene

SHAPES = Scene(
    480,
    360,
    (
        Thing("circle", "red", "large", 80, 90, 46),
        Thing("star", "yellow", "large", 180, 250, 52),
        Thing("square", "blue", "large", 270, 100, 50, 0.1),
        Thing("circle", "red", "small", 345, 285, 24),
        Thing("triangle", "green", "large", 415, 165, 48),
    ),
)
FEWER = Scene(
    480,
    360,
    (
        Thing("circle", "blue", "large", 110, 110, 50),
        Thing("square", "red", "large", 325, 115, 48),
        Thing("triangle", "yellow", "large", 200, 255, 50),
    ),
)


def main() -> None:
    """Write the example picture to the path on the command line."""
    path = Path(sys.argv[1])
    if path.stem in DOMAINS:
        picture = draw(path.stem, Random("example")).picture
    else:
        picture = draw_scene(Random(4), {"shapes": SHAPES, "fewer": FEWER}[path.stem], ease=1.0)
    picture.save(path)


if __name__ == "__main__":
    main()
