"""Conversations as a client may read them again: every turn as JSON, or all as one Markdown report. It asks no model.

What questions, answers and passages say is data here, stripped and marked as such: it may have been written by a
document or a picture once.
"""

import json
import threading
from typing import TYPE_CHECKING, Any

from common.safe_text import escaped
from lorgnette.answer_text import MAX_RESULT_BYTES
from lorgnette.archive import required_archive
from lorgnette.settings import Settings
from lorgnette.untrusted_text import cleaned

if TYPE_CHECKING:
    from graph.answer import Turn
    from graph.archive import Archive

ROOM = 20_000  # bytes for what stands around the turns
LEFT_OUT = "the first {} questions are left out: they do not fit into 900 KB"


class SessionResource:
    """The sessions under the addresses `session://`; every method reads the store, and may be called on any thread."""

    def __init__(self, settings: Settings, max_bytes: int = MAX_RESULT_BYTES) -> None:
        self._settings, self._max_bytes = settings, max_bytes
        self._opening = threading.Lock()
        self._archive: Archive | None = None

    def turns(self, session_id: str) -> dict[str, Any]:
        """Return every turn; where they do not fit, the latest that do.

        Raises:
            SessionMissing, SessionIdInvalid: There is none of that name.
            SessionsOff, SessionStoreFailed: None can be read.
        """
        items = [_turn(turn) for turn in self._turns(session_id)]
        left, kept = self._max_bytes - ROOM, list[dict[str, Any]]()
        for item in reversed(items):
            left -= len(json.dumps(item, ensure_ascii=False, indent=2).encode()) * 21 // 20  # deeper in, more blanks
            if left < 0:
                break
            kept.insert(0, item)
        missing = len(items) - len(kept)
        note = LEFT_OUT.format(missing) if missing else None
        return {"untrusted": True, "session_id": session_id, "questions": len(items), "turns": kept, "note": note}

    def report(self, session_id: str) -> str:
        """Return the report as `save_session_summary` would write it now; where it does not fit, of the latest turns.

        Raises:
            SessionMissing, SessionIdInvalid: There is none of that name.
            SessionsOff, SessionStoreFailed: None can be read.
        """
        from graph.report import render

        turns = self._turns(session_id)
        for first in range(len(turns)):
            text = render(turns[first:], turns[0].question, session_id)
            if len(json.dumps(text, ensure_ascii=False).encode()) <= self._max_bytes - ROOM:
                break
        return text if first == 0 else f"{text}\n*{LEFT_OUT.format(first).capitalize()}.*\n"

    def names(self, prefix: str, limit: int) -> list[str]:
        """Return sessions whose names begin so, the latest first."""
        return self._opened().sessions.ids(prefix, limit) if self._settings.sessions != "none" else []

    def close(self) -> None:
        """Close the store."""
        with self._opening:
            if self._archive is not None:
                self._archive.sessions.close()
                self._archive = None

    def _turns(self, session_id: str) -> "list[Turn]":
        from graph.errors import SessionMissing

        turns = self._opened().sessions.turns(session_id)
        if not turns:
            raise SessionMissing(session_id)
        return turns

    def _opened(self) -> "Archive":
        with self._opening:
            self._archive = self._archive or required_archive(self._settings)
            return self._archive


def _turn(turn: "Turn") -> dict[str, Any]:
    item = turn.model_dump(mode="python", exclude={"said"})
    for place in (*item["evidence"], *item["answer"]["citations"]):
        place["source"] = escaped(place["source"])
    for image in item["images"]:
        image |= {"source": escaped(image["source"][:1000]), "path": escaped(image["path"])}
    found: dict[str, Any] = cleaned(item)
    return found
