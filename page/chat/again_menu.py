"""The menu that asks a question again: with another effort, or another model of this machine."""

from collections.abc import Awaitable, Callable

from nicegui import ui

from common.safe_text import printable
from graph.settings import Effort
from page.words import Say

EFFORTS: tuple[Effort, ...] = ("quick", "normal", "thorough")


class AgainMenu:
    """It draws itself where it is made."""

    def __init__(
        self,
        say: Say,
        with_effort: Callable[[Effort], Awaitable[None]],
        models: Callable[[], Awaitable[list[str]]] | None,
        with_model: Callable[[str], Awaitable[None]],
    ) -> None:
        """Draw the button.

        Args:
            say: The page's texts.
            with_effort: Asks with another effort.
            models: Read when the menu opens, because models come and go; None offers none.
            with_model: Asks with another model.
        """
        self._say, self._models, self._with_model = say, models, with_model
        again = ui.button(icon="replay").props("flat round dense").classes("lo-again")
        again.props["aria-label"] = say("ask_again")
        with again, ui.menu() as menu:
            for effort in EFFORTS:
                ui.menu_item(say("again_with", effort=say(effort)), lambda effort=effort: with_effort(effort))
            self._others = ui.column().classes("w-full gap-0")
        menu.on("before-show", self._offer)

    async def _offer(self) -> None:
        found = [] if self._models is None else await self._models()
        self._others.clear()
        with self._others:
            for model in found:
                text = self._say("again_with", effort=printable(model))
                ui.menu_item(text, lambda model=model: self._with_model(model)).classes("w-full")
