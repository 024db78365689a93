"""What a model thinks before it answers, told apart from the answer while it is written. It knows no model.

Thinking comes between `<think>` and `</think>`, where the opening tag is often part of the prompt and never seen, or
from a server in a field of its own, which `model/remote/reply.py` reads.
"""

import re
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import BaseMessage

THINKING_KEY = "reasoning_content"
"""Key of a message's `additional_kwargs` that holds what was thought (the name that LangChain's integrations use)."""
WITHDRAWN_KEY = "withdrawn"
"""Key that is set where all that came before as text has turned out to be thinking."""
_TAGS = ("think", "thinking", "reasoning")
_OPENED = re.compile(rf"\s*<({'|'.join(_TAGS)})>", re.IGNORECASE)
_CLOSED = re.compile(rf"</({'|'.join(_TAGS)})>", re.IGNORECASE)
_NAMED = re.compile(r"think|reason|qwq|(?<![a-z0-9])r1(?![a-z0-9])|magistral", re.IGNORECASE)
_NOT_NAMED = re.compile(r"no[-_]?think|non[-_]?think|instruct", re.IGNORECASE)


def is_named_thinker(model: str) -> bool:
    """Return whether the model's name says that it thinks, such as `Qwen3-VL-8B-Thinking`."""
    return bool(_NAMED.search(model)) and not _NOT_NAMED.search(model)


def thinking_of(message: BaseMessage) -> str:
    """Return what was thought before the message."""
    return str(message.additional_kwargs.get(THINKING_KEY) or "")


def split_thinking(text: str) -> tuple[str, str]:
    """Return what was thought and what was said in a whole text; thinking that never ends leaves nothing said."""
    splitter = ThinkingSplitter(expects=True)
    first, last = splitter.feed(text), splitter.finish()
    return (first.thought + last.thought).strip(), first.said + last.said


@dataclass(frozen=True)
class Piece:
    """A part of what a model writes."""

    thought: str = ""
    said: str = ""

    def __add__(self, other: "Piece") -> "Piece":
        return Piece(self.thought + other.thought, self.said + other.said)


class ThinkingSplitter:
    """Tells thinking from saying in a text that comes in pieces.

    A closing tag without an opening one is known as such only when it comes. Until then the text passes for said,
    unless `expects` holds it back; `withdrawn` tells afterwards that what passed was thinking.
    """

    def __init__(self, *, expects: bool = False) -> None:
        """Begin; with `expects` a text that may be thinking without an opening tag is held back until it closes."""
        self.expects = expects
        self._held = ""
        self._state: Literal["beginning", "thinking", "unsure", "said"] = "beginning"
        self._passed = False
        self.thinks = False
        """Whether thinking was seen."""
        self.opened = False
        """Whether its opening tag was."""
        self.withdrawn = False
        """Whether a part of what was given out as said turned out to be thinking."""

    @property
    def holds_text(self) -> bool:
        """Whether text waits that `finish` gives out as said."""
        return self._state != "thinking" and bool(self._held.strip())

    def feed(self, text: str) -> Piece:
        """Take a piece of the text and return what is certain of it."""
        self._held += text
        if self._state == "beginning":
            self._begin()
        match self._state:
            case "beginning":
                return Piece()
            case "said":
                return Piece(said=self._take(len(self._held)))
        if closed := _CLOSED.search(self._held):
            thought = self._take(closed.start())
            self._take(closed.end() - closed.start())
            self.withdrawn, self._passed = self.withdrawn or self._passed, False
            self._state, self.thinks = "beginning", True
            return Piece(thought=thought) + self.feed("")
        if self._state == "thinking":
            return Piece(thought=self._take(self._certain()))
        said = "" if self.expects else self._take(self._certain())
        self._passed = self._passed or bool(said.strip())
        return Piece(said=said)

    def finish(self) -> Piece:
        """Return what was held back; thinking that never closed stays thinking."""
        rest = self._take(len(self._held))
        return Piece(thought=rest) if self._state == "thinking" else Piece(said=rest.lstrip() if self.thinks else rest)

    def _begin(self) -> None:
        """Find out how the text goes on where neither thinking nor saying has begun."""
        if opened := _OPENED.match(self._held):
            self._take(opened.end())
            self._state, self.thinks, self.opened = "thinking", True, True
            return
        begins = self._held.lstrip()
        if begins and not any(f"<{tag}>".startswith(begins.lower()) for tag in _TAGS):
            self._state = "said" if self.thinks else "unsure"
            if self.thinks:
                self._held = begins

    def _certain(self) -> int:
        """Return how many characters cannot be the beginning of a closing tag."""
        at = self._held.rfind("<")
        begins = at >= 0 and any(f"</{tag}>".startswith(self._held[at:].lower()) for tag in _TAGS)
        return at if begins else len(self._held)

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return taken
