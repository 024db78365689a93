"""Small pieces that several views use: buttons that say what they do, errors in words, and questions to the user."""

import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from common.errors import LorgnetteError
from common.safe_text import printable
from page.words import Say

logger = logging.getLogger(__name__)


def icon_button(icon: str, label: str, on_click: Callable[..., Any] | None = None) -> ui.button:
    """Make a round button whose purpose a screen reader says and a pointer shows."""
    button = ui.button(icon=icon, on_click=on_click).props("flat round dense")
    button.props["aria-label"] = label
    button.tooltip(label)
    return button


def words_of(error: BaseException, say: Say) -> str:
    """Return what the user reads of an error; one that nobody foresaw is for the log."""
    if isinstance(error, LorgnetteError):
        return printable(str(error))
    logger.error("unexpected failure in the page", exc_info=error)
    return say("unexpected", kind=type(error).__name__)


@contextmanager
def told(say: Say) -> Iterator[None]:
    """Show what fails in the body, and go on."""
    try:
        yield
    except Exception as error:  # the page's edge: the user gets a sentence, the log the rest
        tell(words_of(error, say), "negative")


def tell(text: str, kind: Any = "info") -> None:
    """Show a text for a while; as text, whatever it holds."""
    ui.notify(printable(text), type=kind, multi_line=True, close_button="OK", timeout=8000)


async def confirmed(question: str, yes: str, no: str) -> bool:
    """Ask the user, and return whether the answer was yes."""
    # In the page itself: a list that is drawn anew must not take the question with it.
    with ui.context.client.content, ui.dialog() as dialog, ui.card():
        ui.label(question)
        with ui.row().classes("w-full justify-end"):
            ui.button(no, on_click=lambda: dialog.submit(False)).props("flat")
            ui.button(yes, on_click=lambda: dialog.submit(True)).props("color=negative")
    answer = await dialog
    dialog.delete()
    return bool(answer)


async def asked_text(label: str, value: str, yes: str, no: str) -> str | None:
    """Let the user change a text; None where that was given up."""
    with ui.context.client.content, ui.dialog() as dialog, ui.card().classes("w-full"):
        field = ui.input(label, value=value).classes("w-full").props("autofocus")
        field.on("keydown.enter", lambda: dialog.submit(field.value))
        with ui.row().classes("w-full justify-end"):
            ui.button(no, on_click=lambda: dialog.submit(None)).props("flat")
            ui.button(yes, on_click=lambda: dialog.submit(field.value))
    answer = await dialog
    dialog.delete()
    return None if answer is None else str(answer)


Action = Callable[[], Awaitable[None] | None]
