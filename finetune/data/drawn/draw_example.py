"""Draw one of the README's pictures: `python -m finetune.data.draw_example examples/shapes.png`, or `bars.png`."""

import sys
from pathlib import Path
from random import Random

from finetune.data.drawn.domains import DOMAINS, draw
from finetune.data.drawn.scenes import Scene, Thing, draw_scene

EXAMPLE = Scene(
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


def main() -> None:
    """Write the example picture to the path on the command line."""
    path = Path(sys.argv[1])
    picture = (
        draw(path.stem, Random("example")).picture if path.stem in DOMAINS else draw_scene(Random(4), EXAMPLE, ease=1.0)
    )
    picture.save(path)


if __name__ == "__main__":
    main()
