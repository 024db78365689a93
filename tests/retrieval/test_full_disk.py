"""A disk without room: what was indexed is searched, nothing is called damaged, and what cannot be done says why."""

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.catalogue.catalogue import Catalogue, CatalogueFull
from retrieval.catalogue.database import Database
from retrieval.index.projection import ProjectionDamaged, ProjectionFull, damage_translated
from retrieval.knowledge_base import FULL, KnowledgeBase
from retrieval.settings import RetrievalSettings


def full_from_now_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let SQLite fail as it does where the disk has no room for the files beside its own."""
    version_of = Database._version_of

    def refuse(self: Database, db: sqlite3.Connection) -> int:
        if not self.read_only:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return version_of(self, db)

    monkeypatch.setattr(Database, "_version_of", refuse)


@pytest.fixture
def settings(tmp_path: Path) -> RetrievalSettings:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "lamp.txt").write_text("The guarantee of the lamp lasts three years.", "utf-8")
    settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
    base = KnowledgeBase(settings, tmp_path / "home")
    base.sync()
    assert base.search("guarantee of the lamp").hits
    base.close()
    return settings


def test_what_was_indexed_is_searched_and_the_search_says_that_nothing_new_is(
    settings: RetrievalSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_from_now_on(monkeypatch)
    base = KnowledgeBase(settings, tmp_path / "home")
    found = base.search("guarantee of the lamp")
    assert [hit.source for hit in found.hits] == ["lamp.txt"] and FULL in found.degraded
    assert all(finding.sound for finding in base.compare())
    with pytest.raises(CatalogueFull, match="free some space"):
        base.sync()
    base.close()


def test_a_catalogue_that_cannot_be_made_says_that_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(path: Path) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(Database, "_create", lambda self: no_room(self.path))
    with pytest.raises(CatalogueFull):
        Catalogue(tmp_path / "catalogue.sqlite")


@pytest.mark.parametrize(
    "said",
    [
        "error returned from database: (code: 13) database or disk is full",
        "An IO error occurred: 'No space left on device (os error 28)'",
    ],
)
def test_an_index_without_room_is_not_called_damaged(said: str) -> None:
    with pytest.raises(ProjectionFull, match="free some space"), damage_translated(Path("index"), ValueError):
        raise ValueError(said)
    with pytest.raises(ProjectionDamaged), damage_translated(Path("index"), ValueError):
        raise ValueError("a checksum differs")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk of 40 MiB, where that is allowed."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=40m", "tmpfs", place], check=False).returncode
    ):
        pytest.skip("no disk may be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_disk_that_is_full_to_the_last_byte_is_searched(
    small_disk: Path, settings: RetrievalSettings, tmp_path: Path
) -> None:
    base = KnowledgeBase(settings, small_disk / "home")
    base.sync()
    assert base.search("guarantee of the lamp").hits
    base.close()
    with pytest.raises(OSError, match="No space"), (small_disk / "rest").open("wb", buffering=0) as rest:
        while rest.write(bytes(4096)):
            pass
    base = KnowledgeBase(settings, small_disk / "home")
    found = base.search("guarantee of the lamp")
    assert found.hits and FULL in found.degraded
    base.close()
