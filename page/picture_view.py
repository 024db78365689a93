"""A picture with its boxes, which can be zoomed, and a part of which can be marked to be asked about.

It opens no picture: sizes and scale come with `Shown`, and boxes are in pixels of the file.
"""

import re
from collections.abc import Callable, Sequence
from html import escape

from nicegui import events, ui

from common.safe_text import printable
from graph.answer import Box
from lorgnette.box_drawing import COLOURS
from page.elements import icon_button, tell
from page.pictures import Shown
from page.words import Say

ZOOMS = (100, 150, 200, 300, 400)
SMALLEST = 4
"""A region of fewer pixels of the file is a click."""
Region = tuple[int, int, int, int]
"""Left, top, width, height in pixels of the file."""
_NUMBERS = re.compile(r"\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*")


def boxes_svg(boxes: Sequence[Box], scale: float, side: float) -> str:
    """Return the boxes as SVG over a picture of which one pixel of the file is `scale` pixels.

    Args:
        boxes: In pixels of the file.
        scale: Of the picture as it is sent.
        side: The longer side of what is sent, by which letters are sized.
    """
    parts, letter = [], max(12.0, side / 36)
    for number, box in enumerate(boxes):
        colour = COLOURS[number % len(COLOURS)]
        x, y, width, height = (
            round(value * scale, 1) for value in (box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1)
        )  # fmt: skip
        frame = f'x="{x}" y="{y}" width="{width}" height="{height}" fill="none" vector-effect="non-scaling-stroke"'
        parts.append(f'<rect {frame} stroke="black" stroke-width="5"/>')
        parts.append(f'<rect class="lo-box" {frame} stroke="{colour}" stroke-width="3"/>')
        label = escape(printable(box.label) or str(number + 1))
        top = y - letter * 0.3 if y > letter * 1.3 else y + letter
        parts.append(
            f'<text x="{x + 2}" y="{round(top, 1)}" font-size="{letter:.1f}" fill="{colour}" stroke="black" '
            f'stroke-width="{letter / 6:.1f}" paint-order="stroke" font-family="sans-serif">{label}</text>'
        )
    return "".join(parts)


class PictureView:
    """One picture."""

    def __init__(
        self, shown: Shown, boxes: Sequence[Box], say: Say, on_region: Callable[[Shown, Region], None] | None = None
    ) -> None:
        """Show it where the caller is.

        Args:
            shown: Measured.
            boxes: Of this picture.
            say: The page's texts.
            on_region: Told of a part that is to be asked about; without it none can be marked.
        """
        self._shown, self._say, self._on_region = shown, say, on_region
        self._from: tuple[float, float] | None = None
        self.region: Region | None = None
        self._zoom = 0
        self._boxes = boxes_svg(boxes, shown.scale, max(shown.width, shown.height) * shown.scale)
        name = say("picture_of", name=printable(shown.name)) if shown.name else say("picture")
        with ui.column().classes("w-full gap-1"):
            with ui.row().classes("items-center gap-1"):
                icon_button("zoom_in", say("zoom_in"), lambda: self.zoom(1))
                icon_button("zoom_out", say("zoom_out"), lambda: self.zoom(-1))
                ui.label(printable(shown.name)).classes("lo-note text-caption")
            with ui.element("div").classes("w-full overflow-auto").style("max-height: 75vh"):
                self.image = ui.interactive_image(
                    shown.url,
                    content=self._boxes,
                    on_mouse=self._pointed if on_region else None,
                    events=["mousedown", "mousemove", "mouseup"] if on_region else [],
                ).classes("lo-picture")
                self.image.props["role"] = "img"
                self.image.props["aria-label"] = self._described(name, boxes)
                self._size()
            if on_region is not None:
                self._region_row()

    def zoom(self, by: int) -> None:
        """Show it larger or smaller."""
        self._zoom = min(max(self._zoom + by, 0), len(ZOOMS) - 1)
        self._size()

    def mark(self, region: Region) -> None:
        """Mark a part."""
        self.region = region
        x, y, width, height = (round(value * self._shown.scale, 1) for value in region)
        self.image.set_content(
            f'{self._boxes}<rect class="lo-region" x="{x}" y="{y}" width="{width}" height="{height}" fill="#e69f00" '
            'fill-opacity=".25" stroke="#e69f00" stroke-width="2" vector-effect="non-scaling-stroke"/>'
        )

    def _size(self) -> None:
        width = round(self._shown.width * self._shown.scale)
        # Small pictures are shown at twice their size at most: beyond, nothing more is seen.
        self.image.style(f"width: {ZOOMS[self._zoom]}%; max-width: {max(320, 2 * width) * ZOOMS[self._zoom] // 100}px")

    def _described(self, name: str, boxes: Sequence[Box]) -> str:
        places = "; ".join(f"{printable(b.label) or '?'} {b.x1},{b.y1} – {b.x2},{b.y2}" for b in boxes)
        return f"{name}. {self._say('boxes')}: {places}" if places else name

    def _region_row(self) -> None:
        with ui.row().classes("w-full items-center gap-2"):
            self._numbers = ui.input(self._say("region_numbers")).classes("col-grow").props("dense")
            ui.button(self._say("ask_region"), icon="crop", on_click=self._ask).props("dense outline no-caps")
        ui.label(self._say("region_hint")).classes("text-caption lo-note")

    def _pointed(self, event: events.MouseEventArguments) -> None:
        at = event.image_x / self._shown.scale, event.image_y / self._shown.scale
        if event.type == "mousedown":
            self._from = at
        elif self._from is not None:
            region = self._between(self._from, at)
            if event.type == "mouseup" or not event.buttons:
                self._from = None
            if region[2] >= SMALLEST and region[3] >= SMALLEST:
                self.mark(region)
                self._numbers.value = ",".join(map(str, region))

    def _between(self, a: tuple[float, float], b: tuple[float, float]) -> Region:
        left, right = sorted(min(max(0, round(x)), self._shown.width) for x in (a[0], b[0]))
        top, bottom = sorted(min(max(0, round(y)), self._shown.height) for y in (a[1], b[1]))
        return left, top, right - left, bottom - top

    def _ask(self) -> None:
        assert self._on_region is not None
        read = _NUMBERS.fullmatch(self._numbers.value or "")
        region = tuple(map(int, read.groups())) if read else (0, 0, 0, 0)
        left, top, width, height = region
        if not (width and height and left < self._shown.width and top < self._shown.height):
            tell(self._say("region_unreadable", width=self._shown.width, height=self._shown.height), "warning")
            return
        self._on_region(self._shown, (left, top, width, height))


def show_large(
    shown: Shown, boxes: Sequence[Box], say: Say, on_region: Callable[[Shown, Region], None] | None = None
) -> None:
    """Show a picture in a dialog of its own."""
    with ui.dialog().props("maximized") as dialog, ui.card().classes("w-full"):
        with ui.row().classes("w-full justify-end"):
            icon_button("close", say("close"), dialog.close)

        def chosen(picture: Shown, region: Region) -> None:
            dialog.close()
            assert on_region is not None
            on_region(picture, region)

        PictureView(shown, boxes, say, chosen if on_region is not None else None)
    dialog.on("hide", dialog.delete)
    dialog.open()
