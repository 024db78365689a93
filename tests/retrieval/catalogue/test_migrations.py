"""A catalogue of each older version opens as one of today, with nothing lost, whoever else opens it and whatever stops.

`version_1.sql` is a dump of a catalogue that Lorgnette wrote before there were migrations.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from retrieval.catalogue.catalogue import Catalogue, CatalogueNewer, CatalogueReadOnly
from retrieval.catalogue.migrations import MIGRATIONS, READABLE
from retrieval.catalogue.repair import salvage
from retrieval.catalogue.schema import VERSION
from retrieval.knowledge_base import KnowledgeBase, catalogue_path
from retrieval.reading.recipe import open_recipe
from retrieval.search.verify import verify
from retrieval.settings import RetrievalSettings
from retrieval.sync.sync import sync

EXAMPLES = Path(__file__).parents[3] / "knowledge_base"
TABLES = ("meta", "files", "chunks", "vectors", "spans", "tombstones", "sqlite_sequence")
EMBEDDER = "all-MiniLM-L6-v2:60c758432aa596c3:256"


def write_version_1(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(Path(__file__).with_name("version_1.sql").read_text("utf-8"))
        db.execute("PRAGMA journal_mode = WAL")
    return path


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A catalogue of version 1: three files, seven passages, each with a vector."""
    return write_version_1(tmp_path / "old.sqlite")


def content(path: Path) -> dict[str, list[dict[str, Any]]]:
    """All rows of all tables, by name of their columns."""
    with closing(sqlite3.connect(path)) as db:
        db.row_factory = sqlite3.Row
        return {table: [dict(row) for row in db.execute(f"SELECT * FROM {table}")] for table in TABLES}


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_there_is_a_way_from_every_older_version() -> None:
    older = list(range(1, VERSION))
    assert sorted(READABLE) == older and sorted(MIGRATIONS) == [one + 1 for one in older]


def test_a_file_of_version_1_becomes_one_of_today_and_loses_nothing(old: Path) -> None:
    before = content(old)
    assert [len(before[table]) for table in ("files", "chunks", "vectors", "spans")] == [3, 7, 7, 7]
    with closing(Catalogue(old)) as catalogue:
        assert (catalogue.identity, catalogue.generation) == ("ed530338079c491887352f8b7467e479", 13)
        assert catalogue.check() == [] and catalogue.counts().vectors == {EMBEDDER: 7}
        assert [(row.source, row.ctime_ns) for row in catalogue.files()] == [
            ("calibration.html", 0),
            ("handbook/returns.md", 0),
            ("prices.csv", 0),
        ]
    assert version(old) == VERSION
    after = content(old)
    assert all(row.pop("ctime_ns") == 0 for row in after["files"])
    assert after == before


def test_its_tables_are_those_of_a_new_file(old: Path, tmp_path: Path) -> None:
    def tables(path: Path) -> dict[str, Any]:
        Catalogue(path).close()
        with closing(sqlite3.connect(path)) as db:
            names = [name for (name,) in db.execute("SELECT name FROM sqlite_master ORDER BY name")]
            return {name: db.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in names}

    assert tables(old) == tables(tmp_path / "new.sqlite")


@pytest.fixture
def folder(tmp_path: Path, old: Path) -> Path:
    """The folder of that catalogue, with the times that it has in there."""
    made = tmp_path / "docs"
    for row in content(old)["files"]:
        path = made / os.fsdecode(row["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(EXAMPLES / os.fsdecode(row["path"]), path)
        os.utime(path, ns=(row["mtime_ns"], row["mtime_ns"]))
    return made


def test_it_is_searched_and_its_passages_are_verified(tmp_path: Path, folder: Path) -> None:
    settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
    write_version_1(catalogue_path(settings, tmp_path / "home"))
    with closing(KnowledgeBase(settings, tmp_path / "home")) as base:
        hit = base.search("seal of the inner box", top_k=1).hits[0]
        assert hit.source == "handbook/returns.md" and "seal of the inner box" in hit.text
        place = next(c for page in base.catalogue.pages() for c in page if c.text == hit.text).occurrences[0]
        assert verify(base.catalogue, folder, place, open_recipe(settings)).status == "exact"


def test_the_next_sync_remembers_change_times_without_opening_a_file(
    old: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.reading.recipe.READER_VERSION", 2)  # newer readers would read it all again
    recipe = open_recipe(RetrievalSettings(kb=folder))
    with closing(Catalogue(old)) as catalogue:
        with monkeypatch.context() as patched:
            patched.setattr("retrieval.reading.prepare.read_content", lambda *_: pytest.fail("it was opened"))
            report = sync(catalogue, folder, None, recipe)
        assert (report.unchanged, report.updated, report.added, report.removed) == (3, 0, 0, 0)
        assert {row.source: row.ctime_ns for row in catalogue.files()} == {
            row.source: (folder / row.source).stat().st_ctime_ns for row in catalogue.files()
        }
        # No projection has anything to do, and the sync after it writes nothing.
        assert not len(catalogue.changed_since(13, places=True)[0])
        before = catalogue.generation
        assert sync(catalogue, folder, None, recipe).unchanged == 3 and catalogue.generation == before


OPEN = """
import sys
from pathlib import Path
from retrieval.catalogue.catalogue import Catalogue

sys.stdin.readline()
catalogue = Catalogue(Path(sys.argv[1]))
print(len(catalogue.files()), len(catalogue.numbers()), catalogue.check())
"""


def test_processes_that_open_it_at_once_migrate_it_once(old: Path) -> None:
    pipes: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    children = [subprocess.Popen([sys.executable, "-c", OPEN, str(old)], **pipes) for _ in range(4)]
    for child in children:
        assert child.stdin
        child.stdin.write("\n")
        child.stdin.flush()
    for child in children:
        said, errors = child.communicate()
        assert (said, errors) == ("3 7 []\n", "")
    assert version(old) == VERSION


KILLED = """
import os, signal, sys
from pathlib import Path
from retrieval.catalogue import catalogue

prepare = catalogue.prepare

def watched(db):
    prepare(db)
    db.set_trace_callback(lambda said: said.startswith(sys.argv[2]) and os.kill(os.getpid(), signal.SIGKILL))

catalogue.prepare = watched
catalogue.Catalogue(Path(sys.argv[1]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill works another way there")
@pytest.mark.parametrize("at", ["ALTER TABLE", "PRAGMA user_version = 2", "COMMIT"])
def test_a_kill_in_the_middle_leaves_the_file_of_before(old: Path, at: str) -> None:
    before = content(old)
    killed = subprocess.run([sys.executable, "-c", KILLED, old, at], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert version(old) == 1 and content(old) == before
    with closing(Catalogue(old)) as catalogue:
        assert version(old) == VERSION and catalogue.check() == []


def test_a_migration_that_fails_leaves_the_file_of_before(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = content(old)

    def fail(db: sqlite3.Connection) -> None:
        MIGRATIONS[2](db)
        db.execute("DELETE FROM vectors")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("retrieval.catalogue.catalogue.MIGRATIONS", {2: fail})
        with pytest.raises(KeyboardInterrupt):
            Catalogue(old)
    assert version(old) == 1 and content(old) == before


def test_a_newer_version_is_refused_with_what_to_do_and_left_alone(old: Path) -> None:
    Catalogue(old).close()
    with closing(sqlite3.connect(old)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    before = content(old)
    with pytest.raises(CatalogueNewer, match=rf"format {VERSION + 1}.*update Lorgnette, or run `lorgnette kb doctor"):
        Catalogue(old)
    assert version(old) == VERSION + 1 and content(old) == before


@pytest.fixture
def read_only() -> Iterator[Path]:
    """A catalogue of version 1 that this process may read and not write, whoever runs the test."""
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        path = write_version_1(Path(name) / "old.sqlite")
        path.chmod(0o444)
        path.parent.chmod(0o555)
        try:
            if before == 0:
                os.seteuid(65534)
            yield path
        finally:
            os.seteuid(before)
            path.parent.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work another way there")
def test_where_it_cannot_be_migrated_it_is_read_as_it_is(read_only: Path) -> None:
    with closing(Catalogue(read_only)) as catalogue:
        assert catalogue.read_only and catalogue.check() == []
        assert [row.ctime_ns for row in catalogue.files()] == [0, 0, 0] and len(catalogue.known()) == 3
        assert len(next(catalogue.pages())) == 7
        with pytest.raises(CatalogueReadOnly, match="reading only"):
            catalogue.touch({})


@pytest.mark.parametrize("lost", [0, 4096], ids=["nothing", "the first page"])
def test_a_damaged_file_of_version_1_is_repaired_as_one_of_today(old: Path, lost: int) -> None:
    with old.open("r+b") as file:
        file.write(b"\xff" * lost)
    salvaged = salvage(old)
    assert (salvaged.files, salvaged.lost_files, salvaged.chunks, salvaged.vectors) == (3, 0, 7, 7)
    with closing(Catalogue(old)) as catalogue:
        assert version(old) == VERSION and catalogue.check() == []
        assert catalogue.identity == "ed530338079c491887352f8b7467e479"
