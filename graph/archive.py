"""Where sessions are remembered and their reports written."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from graph.answer import Summary, Turn
from graph.errors import ReportsOff, SessionMissing
from graph.report import render, write

if TYPE_CHECKING:
    from graph.session_store import Sessions


class Archive:
    """The sessions and the folder of their reports, none where no report may be written."""

    def __init__(self, sessions: "Sessions", reports: Path | None) -> None:
        self.sessions, self._reports = sessions, reports

    def summarize(self, session_id: str, title: str | None = None) -> Summary:
        """Write a session's summary as Markdown.

        Raises:
            SessionMissing: There is none of that name.
            ReportNotWritten, SessionStoreFailed: The disk.
            ReportsOff: Nothing may be written.
        """
        turns = self.sessions.turns(session_id)
        if not turns:
            raise SessionMissing(session_id)
        path = self.save(turns, session_id, title)
        return Summary(path=str(path), uri=f"session://{session_id}/report", turns=len(turns))

    def save(self, turns: Sequence[Turn], session_id: str, title: str | None = None) -> Path:
        """Write these turns into a new report; raises as `summarize`."""
        if self._reports is None:
            raise ReportsOff
        title = title or turns[0].question
        return write(self._reports, title, render(turns, title, session_id))
