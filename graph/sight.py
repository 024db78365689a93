"""The pictures of a question: opened, made small enough for the time there is, and seen again in later turns."""

import operator
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graph.answer import Seen, Turn
from graph.history import Exchange, History, first_kept
from graph.settings import AgentSettings
from model.errors import ImageError
from model.open import REMOTE
from model.pictures.fit import fitted
from model.pictures.limits import Sampling
from model.pictures.open import Opened, open_again, open_source
from model.pictures.picture import Picture
from model.served import served

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.session_store import Sessions
    from model.open import ModelIdentity

SMALLER = (
    "pictures: {name} was looked at with {seen} of its {size} pixels, so that time is left for the answer; to see a "
    "part closer, name it with #xywh=X,Y,WIDTH,HEIGHT, or allow more time with time_budget_s"
)
MAX_PICTURES = 8  # of earlier turns that are seen again
LOOKING_SHARE = 0.4
"""Of the time budget, for reading the pictures of a question."""
MODEL_PIXELS = 16_777_216
"""More no model here looks at, whatever it is given."""


def open_pictures(
    images: Sequence[str], settings: AgentSettings, *, sampling: Sampling | None = None
) -> tuple[Opened, ...]:
    """Open what a question names; cheap beside a model, so that a mistyped path need not wait for one.

    Args:
        images: As the user named them.
        settings: Say which folders may be read.
        sampling: How many frames and pages; the bundled checkpoint, which knows no films and no documents of several
            pages, gets one.

    Raises:
        ImageError: A picture was refused.
    """
    return tuple(open_source(source, settings.roots, sampling=sampling) for source in images)


class Sight:
    """What one agent's model is shown."""

    def __init__(
        self, chat: "BaseChatModel", identity: "ModelIdentity", settings: AgentSettings, sessions: "Sessions | None"
    ) -> None:
        """Know the model that looks; `sessions` keeps pictures that came as data."""
        self._chat, self._identity, self._settings, self._sessions = chat, identity, settings, sessions

    def history(self, turns: Sequence[Turn], notes: list[str]) -> History:
        """Return what the model is told of the session, and note what it can no longer see."""
        first = first_kept(turns, self._settings.history_tokens)
        if first:
            notes.append(f"session: the first {first} questions no longer fit and were left out")
        left = MAX_PICTURES
        pictures: list[tuple[Picture, ...]] = []
        for turn in reversed(turns):
            again = [picture for seen in turn.images[:left] if (picture := self._again(seen, notes))]
            left -= len(again)
            pictures.insert(0, tuple(again))
        earlier = tuple(picture for group in pictures[:first] for picture in group)
        return History(earlier, tuple(map(Exchange, turns[first:], pictures[first:])))

    def _again(self, seen: Seen, notes: list[str]) -> Picture | None:
        path = Path(seen.path)
        kept = self._sessions is not None and path.is_relative_to(self._sessions.pictures)
        try:
            picture = open_again(path, seen.part, (path.parent,) if kept else self._settings.roots)
        except ImageError as error:
            notes.append(f"session: {seen.source} cannot be seen again ({error})")
            return None
        if picture.sha256 != seen.sha256:
            notes.append(f"session: {seen.source} has changed since it was asked about, and is not seen again")
            return None
        return fitted(self._frame(picture), seen.pixels or None)

    def _frame(self, picture: Picture) -> Picture:
        """Return a film's frame at the size that frames may have; any other picture as it is."""
        return picture if picture.time_s is None else fitted(picture, self._settings.video_max_pixels)

    def fitted(
        self, pictures: tuple[Picture, ...], deadline: float, notes: list[str]
    ) -> tuple[tuple[Picture, ...], int]:
        """Return the pictures at a size that leaves time for the answer, and its pixels, 0 for no limit."""
        pictures = tuple(map(self._frame, pictures))
        wanted = self._settings.max_pixels or MODEL_PIXELS
        affordable = served(self._chat).looking_pixels(LOOKING_SHARE * (deadline - time.monotonic()), len(pictures))
        # A server knows nothing of our budget; a model here scales by itself, and its own way costs nothing.
        limit = min(wanted, affordable) if affordable else wanted if self._identity.quantization == REMOTE else None
        if not pictures or limit is None:
            return pictures, 0
        smaller = tuple(fitted(picture, limit) for picture in pictures)
        for before, after in zip(pictures, smaller, strict=True):
            if after is not before and limit < wanted:
                notes.append(
                    SMALLER.format(
                        name=before.path.name if before.path else "a picture",
                        seen=f"{after.width:,} x {after.height:,}", size=f"{before.width:,} x {before.height:,}",
                    )
                )  # fmt: skip
                break
        return smaller, limit if any(map(operator.is_not, smaller, pictures)) else 0

    def noted(self, pictures: Sequence[Picture], session_id: str, pixels: int) -> tuple[Seen, ...]:
        """Note where the pictures can be read again; those that came as data are kept."""
        if self._sessions is None:
            return ()
        noted = []
        for picture in pictures:
            path = picture.path
            if path is None:
                path = self._sessions.keep_picture(session_id, picture.sha256, picture.data or b"")
            part = str(picture.part)
            noted.append(Seen(source=picture.source, path=str(path), sha256=picture.sha256, part=part, pixels=pixels))
        return tuple(noted)
