"""Where sessions are kept: LangGraph's checkpoints in SQLite or Postgres, one question at a time in each session.

Answers nothing and reads no picture. A checkpoint holds the finished turns (`graph.answer.Turn`) and nothing else.
"""

import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

from common.atomic_files import write_whole
from graph.answer import Turn
from graph.errors import GraphError, SessionBusy, SessionIdInvalid, SessionMissing, SessionStoreFailed
from model.call_options import Cancelled
from retrieval.locks import POLL_S, FileLock
from retrieval.store import without_password

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver

_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
MOST_TITLE_CHARS = 120
_BUSY_MS = 30_000  # that SQLite waits for another process's write


@dataclass(frozen=True)
class SessionInfo:
    """A session in a list."""

    id: str
    turns: int
    first_question: str
    last_asked_at: str
    """ISO 8601, UTC."""
    title: str = ""
    """As the user named it; empty where the first question is its name."""


class Sessions:
    """The sessions of one store; several processes may use it, and several threads of each."""

    def __init__(self, where: str, folder: Path) -> None:
        """Name the store; it is opened with the first use.

        Args:
            where: A file's path, or `postgresql://...`.
            folder: For locks and for pictures that came as data.
        """
        self._where, self._folder = where, folder
        self._opening = threading.Lock()
        self._closing = ExitStack()
        self._saver: BaseCheckpointSaver[str] | None = None
        self._connection: Any = None

    @property
    def pictures(self) -> Path:
        """The folder of pictures that came as data."""
        return self._folder / "pictures"

    @property
    def checkpointer(self) -> "BaseCheckpointSaver[str]":
        """What the graph saves with.

        Raises:
            SessionStoreFailed: It cannot be opened.
        """
        with self._opening, self.failures():
            if self._saver is None:
                self._saver = self._postgres() if self._is_url else self._sqlite()
            return self._saver

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Turn what a store raises into SessionStoreFailed."""
        errors: tuple[type[Exception], ...] = (sqlite3.Error, OSError)
        if self._is_url:
            import psycopg

            errors = (psycopg.Error, OSError)
        try:
            yield
        except errors as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise SessionStoreFailed(without_password(self._where), reason) from error

    @contextmanager
    def exclusively(self, session_id: str, deadline: float, cancel: threading.Event) -> Iterator[None]:
        """Hold the session, or two answers would each forget the other's turn.

        Raises:
            SessionBusy: It was not free by the deadline, in seconds of `time.monotonic()`.
            Cancelled: While waiting.
        """
        check_id(session_id)
        with self.failures():
            folder = self._folder / "locks"
            folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / session_id)
        while not lock.try_acquire():
            if time.monotonic() >= deadline:
                raise SessionBusy(session_id)
            if cancel.wait(POLL_S):
                raise Cancelled
        try:
            yield
        finally:
            lock.release()

    def turns(self, session_id: str) -> list[Turn]:
        """Return the finished turns, the oldest first; none where there is no such session.

        Raises:
            SessionIdInvalid, SessionStoreFailed: As their names say.
        """
        config = config_of(session_id)
        saver = self.checkpointer
        with self.failures():
            saved = saver.get_tuple(config)
        return [] if saved is None else _turns(saved.checkpoint)

    def infos(self) -> list[SessionInfo]:
        """Return all sessions, the latest asked first."""
        saver = self.checkpointer
        latest: dict[str, dict[str, Any]] = {}
        with self.failures():
            for saved in saver.list(None):  # newest first
                latest.setdefault(saved.config["configurable"]["thread_id"], saved.checkpoint)  # type: ignore[arg-type]
        found = []
        for session_id, checkpoint in latest.items():
            if turns := _turns(checkpoint):
                title = self._title(session_id)
                found.append(SessionInfo(session_id, len(turns), turns[0].question, turns[-1].asked_at, title))
        return sorted(found, key=lambda info: info.last_asked_at, reverse=True)

    def ids(self, prefix: str, limit: int) -> list[str]:
        """Return the sessions whose names begin so, the latest asked first."""
        saver = self.checkpointer
        if self._connection is None:
            return [info.id for info in self.infos() if info.id.startswith(prefix)][:limit]
        # Ids of checkpoints grow with time, and reading them all would take as long as the user has talked.
        query = (
            "SELECT thread_id FROM checkpoints WHERE substr(thread_id, 1, ?) = ? "
            "GROUP BY thread_id ORDER BY max(checkpoint_id) DESC LIMIT ?"
        )
        with self.failures(), saver.lock:  # type: ignore[attr-defined]
            return [name for (name,) in self._connection.execute(query, (len(prefix), prefix, limit))]

    def rename(self, session_id: str, title: str) -> None:
        """Name a session for the user's eyes; an empty title takes the name away.

        Raises:
            SessionIdInvalid, SessionStoreFailed: As their names say.
        """
        file = self._folder / "titles" / check_id(session_id)
        title = " ".join(title.split())[:MOST_TITLE_CHARS]
        with self.failures():
            if not title:
                file.unlink(missing_ok=True)
                return
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(file, title, private=True)

    def _title(self, session_id: str) -> str:
        try:
            return (self._folder / "titles" / session_id).read_text("utf-8")
        except (OSError, UnicodeError):
            return ""

    def delete(self, session_id: str) -> None:
        """Forget a session and the pictures that were kept for it.

        Raises:
            SessionMissing: There is none of that name.
        """
        if not self.turns(session_id):
            raise SessionMissing(session_id)
        with self.failures():
            self.checkpointer.delete_thread(session_id)
            rmtree(self.pictures / session_id, ignore_errors=True)
            for beside in ("locks", "titles"):
                (self._folder / beside / session_id).unlink(missing_ok=True)

    def keep_picture(self, session_id: str, sha256: str, data: bytes) -> Path:
        """Keep a picture that came as data, so that later questions can see it; returns its file."""
        file = self.pictures / check_id(session_id) / sha256
        with self.failures():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(file, data, private=True)
        return file

    def forget_old_checkpoints(self, session_id: str) -> None:
        """Drop all checkpoints of a session but the last: each holds every turn, so they would grow with the square."""
        if self._connection is None:
            return
        with self.failures(), self._saver.lock, self._connection as connection:  # type: ignore[union-attr]
            for table in ("checkpoints", "writes"):
                connection.execute(
                    f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < "
                    "(SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?)",
                    (session_id, session_id),
                )

    def close(self) -> None:
        """Close the store."""
        with self._opening:
            self._saver = self._connection = None
            self._closing.close()

    @property
    def _is_url(self) -> bool:
        return self._where.startswith(("postgresql://", "postgres://"))

    def _sqlite(self) -> "BaseCheckpointSaver[str]":
        from langgraph.checkpoint.sqlite import SqliteSaver

        file = Path(self._where).expanduser()
        file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(file, timeout=_BUSY_MS / 1000, check_same_thread=False)
        saver = SqliteSaver(connection)
        self._closing.callback(_close_when_idle, connection, saver.lock)
        saver.setup()
        with suppress(OSError):
            file.chmod(0o600)  # conversations are the user's own
        self._connection = connection
        return saver

    def _postgres(self) -> "BaseCheckpointSaver[str]":
        try:
            from langgraph.checkpoint.postgres import PostgresSaver
        except ImportError as error:
            raise GraphError(
                "Sessions in Postgres need packages that are not installed: run `pip install 'lorgnette[postgres]'`."
            ) from error
        saver = self._closing.enter_context(PostgresSaver.from_conn_string(self._where))
        saver.setup()
        return saver


def _close_when_idle(connection: sqlite3.Connection, lock: AbstractContextManager[Any]) -> None:
    # SQLite crashes the process when a connection is closed under a query of another thread.
    with lock:
        connection.close()


def check_id(session_id: str) -> str:
    """Return the id.

    Raises:
        SessionIdInvalid: It is no plain name.
    """
    if not _ID.fullmatch(session_id):
        raise SessionIdInvalid(session_id)
    return session_id


def config_of(session_id: str) -> "RunnableConfig":
    """Return LangGraph's configuration for the session."""
    return {"configurable": {"thread_id": check_id(session_id), "checkpoint_ns": ""}}


def _turns(checkpoint: Any) -> list[Turn]:
    return [Turn.model_validate(turn) for turn in checkpoint["channel_values"].get("turns", [])]
