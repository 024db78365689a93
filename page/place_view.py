"""Shows where a passage stands: the picture of its page, and its words framed in those around them."""

import asyncio
from html import escape

from nicegui import ui

from common.safe_text import printable
from page.cited import CitedPage, Place, cited_page
from page.desk import Desk
from page.elements import icon_button, told
from page.picture_view import PictureView
from page.words import Say


async def show_place(place: Place, desk: Desk, say: Say) -> None:
    """Open it in a dialog."""
    with told(say):
        found = await asyncio.to_thread(cited_page, place, desk.documents, desk.pictures)
        with ui.dialog().props("maximized") as dialog, ui.card().classes("w-full"):
            with ui.row().classes("w-full items-center no-wrap"):
                page = f", {say('page_number', page=place.page)}" if place.page is not None else ""
                ui.label(f"{printable(place.source)}{page}").classes("text-subtitle1 col-grow")
                icon_button("close", say("close"), dialog.close)
            if found.stale:
                ui.label(say("changed_since")).classes("text-warning")
            draw_page(found, say)
        dialog.on("hide", dialog.delete)
        dialog.open()


def draw_page(found: CitedPage, say: Say) -> None:
    """Show the page's picture, in which the words are framed, and the words."""
    if found.picture is not None:
        PictureView(found.picture, [], say)
    if found.note:
        ui.label(printable(found.note)).classes("lo-note")
    words = f"{escape(printable(found.before))}<mark class='lo-mark'>{escape(printable(found.quote))}</mark>"
    ui.html(f"{words}{escape(printable(found.after))}").classes("lo-words w-full")
