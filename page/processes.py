"""Commands of Lorgnette in processes of their own, which outlive the page; another page finds them by their files.

Each has a place, the folder that it writes; beside it lie what it said (`PLACE.log`) and which process it is
(`PLACE.run.json`).
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from common.atomic_files import write_whole
from page.errors import PageError

TOLD_BYTES = 4_000
"""So much of what a process wrote is shown."""
CREATED_TOLERANCE_S = 2.0


class Processes:
    """Those that this page began, and those that others did."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def begin(self, place: Path, command: list[str], *, goes_on: bool = False, **known: str) -> None:
        """Begin a command of `lorgnette`.

        Args:
            place: The folder that it writes.
            command: Its words after `lorgnette`.
            goes_on: Whether what an earlier one wrote to the terminal stays.
            known: Kept beside the process for whoever goes on with it.

        Raises:
            PageError: It runs already, or cannot be started.
        """
        with self._lock:
            if self.pid(place) is not None:
                raise PageError("page_run_runs", folder=str(place))
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                with _beside(place, "log").open("ab" if goes_on else "wb") as told:
                    child = subprocess.Popen(
                        [sys.executable, "-m", "cli.main", *command], stdin=subprocess.DEVNULL, stdout=told,
                        stderr=subprocess.STDOUT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, start_new_session=True,
                    )  # fmt: skip
            except OSError as error:
                raise PageError("page_run_failed", reason=error.strerror or str(error)) from error
            self._children.append(child)
            process = {"pid": child.pid, "created": _created(child.pid), **known}
            write_whole(_beside(place, "run.json"), json.dumps(process))

    def stop(self, place: Path) -> None:
        """Ask a process to end in its own time."""
        if (pid := self.pid(place)) is not None:
            import psutil

            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).terminate()

    def pid(self, place: Path) -> int | None:
        """Return the process of a place while it lives; another one of the same number is none."""
        import psutil

        said = said_of(place)
        pid, created = said.get("pid"), said.get("created")
        if not isinstance(pid, int) or not isinstance(created, int | float):
            return None
        self._reap()
        try:
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                return pid if abs(process.create_time() - created) < CREATED_TOLERANCE_S else None
        except psutil.NoSuchProcess:
            pass
        self._reap()  # it has ended just now, unless threads of it are still ending
        return pid if any(child.pid == pid for child in self._children) else None

    def _reap(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]


def said_of(place: Path) -> dict[str, Any]:
    """Return what is known of the process that wrote a place last; empty where there was none."""
    try:
        said = json.loads(_beside(place, "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def told_of(place: Path) -> str:
    """Return the last of what it wrote to the terminal."""
    file = _beside(place, "log")
    try:
        with file.open("rb") as told:
            told.seek(max(0, file.stat().st_size - TOLD_BYTES))
            return told.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _beside(place: Path, ending: str) -> Path:
    return place.with_name(f"{place.name}.{ending}")


def _created(pid: int) -> float | None:
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
