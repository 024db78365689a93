"""What a session has said so far, as messages for the model: whole turns within a budget of tokens.

It reads no store and opens no file; the session hands it turns and pictures.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from graph.answer import Turn
from model.pictures.picture import Picture

STEP = 4
"""Old turns go by this many at once: what stays then begins with the same tokens for a while, and is not read anew."""
_HAN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


@dataclass(frozen=True)
class Exchange:
    """A turn with those of its pictures that can still be seen."""

    turn: Turn
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class History:
    """What the model is told of the session so far."""

    earlier: tuple[Picture, ...] = ()
    """Of turns whose words no longer fit."""
    exchanges: tuple[Exchange, ...] = ()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All of them, in the order in which the model sees them."""
        return (*self.earlier, *(picture for exchange in self.exchanges for picture in exchange.pictures))

    def messages(self, pictures: Sequence[Picture], text: str) -> list[BaseMessage]:
        """Return it as messages with a new one behind it; all pictures stand where they came first."""
        messages: list[BaseMessage] = []
        earlier = self.earlier
        for exchange in self.exchanges:
            messages.append(user_message([*earlier, *exchange.pictures], exchange.turn.question))
            messages.append(AIMessage(exchange.turn.said))
            earlier = ()
        return [*messages, user_message([*earlier, *pictures], text)]


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a model makes of the text: one a character in CJK, else one for four."""
    cjk = len(_HAN.findall(text))
    return cjk + (len(text) - cjk + 3) // 4


def first_kept(turns: Sequence[Turn], budget: int) -> int:
    """Return the index of the first turn that still fits with all later ones."""
    left = budget
    fits = len(turns)
    for index in range(len(turns) - 1, -1, -1):
        left -= estimated_tokens(turns[index].question) + estimated_tokens(turns[index].said)
        if left < 0:
            break
        fits = index
    return min(-(-fits // STEP) * STEP, len(turns))


def user_message(pictures: Sequence[Picture], text: str) -> HumanMessage:
    """Return a message of pictures, then text."""
    return HumanMessage([*picture_blocks(pictures), {"type": "text", "text": text}])


def picture_blocks(pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Return pictures as a message has them; frames of one film, one behind the other, are one video."""
    blocks: list[dict[str, Any]] = []
    for _, group in groupby(pictures, _film):
        of_one = list(group)
        if len(of_one) > 1 and of_one[0].time_s is not None:
            blocks.append({"type": "video", "frames": of_one, "times_s": [frame.time_s for frame in of_one]})
        else:
            blocks += [{"type": "image", "image": picture} for picture in of_one]
    return blocks


def _film(picture: Picture) -> object:
    return (picture.sha256, picture.part.region) if picture.time_s is not None else None
