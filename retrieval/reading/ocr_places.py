"""Where on its page OCR read each line, in the order in which the page's text has them. It reads nothing itself."""

from retrieval.reading.layout import Run, in_reading_order
from retrieval.reading.ocr import Reading
from retrieval.records import Line, Region


def placed(reading: Reading, size: tuple[int, int], page: int) -> list[Line]:
    """Return the lines with their places in thousandths of the picture, as it was before it was turned to be read.

    Args:
        reading: Of the picture.
        size: Its width and height in pixels.
        page: Which page it is, from 1.
    """
    runs = [Run(line.text, *line.box, order=n) for n, line in enumerate(reading.lines)]
    ordered = [reading.lines[run.order] for row in in_reading_order(runs) for run in row]
    return [
        Line(line.text, _region(line.ink or line.box, size, reading.turned, page), reading.turned) for line in ordered
    ]


def _region(box: tuple[int, int, int, int], size: tuple[int, int], turned: int, page: int) -> Region:
    x1, y1, x2, y2 = box
    width, height = size
    match turned:  # against the clock
        case 90:
            x1, y1, x2, y2 = width - y2, x1, width - y1, x2
        case 180:
            x1, y1, x2, y2 = width - x2, height - y2, width - x1, height - y1
        case 270:
            x1, y1, x2, y2 = y1, height - x2, y2, height - x1
    return Region(
        page,
        *(
            round(min(max(1_000 * at / side, 0.0), 1_000.0), 1)
            for at, side in ((x1, width), (y1, height), (x2, width), (y2, height))
        ),
    )
