"""Catalogues that are damaged in every way, entered by the command line: told in one line, and repaired."""

import errno
import json
import os
import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.vectors import Vectors

pytestmark = pytest.mark.heavy

FILES = 40
PAGE = 4096


class Counting:
    """As many words, letters and vowels, and zeros as long as a real vector; it counts what it was asked."""

    fingerprint, dimension = "counting", 384
    asked: list[str] = []  # noqa: RUF012 - of all of them

    def knows(self, text: str, language: str | None = None) -> bool:
        return True

    def embed_documents(self, texts: Any) -> Vectors:
        self.asked.extend(texts)
        rows = np.zeros((len(texts), 384), np.float32)
        rows[:, :3] = [[len(t.split()), len(t), sum(t.count(v) for v in "aeiou")] for t in texts]
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def embed_query(self, text: str) -> Vectors:
        return np.asarray(self.embed_documents([text])[0])


@pytest.fixture(autouse=True)
def embedder(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    monkeypatch.setattr("retrieval.knowledge_base.open_embedder", lambda *_, **__: Counting())
    monkeypatch.setattr(Counting, "asked", [])
    return Counting


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge_base"
    folder.mkdir()
    chance = random.Random(1)
    for i in range(FILES):
        words = " ".join(f"w{chance.randrange(10**6)}" for _ in range(600))
        (folder / f"note{i:02}.txt").write_text(f"code{i:02} {words}", "utf-8")
        os.utime(folder / f"note{i:02}.txt", (1_700_000_000, 1_700_000_000))
    (folder / "empty.txt").touch()
    return folder


@pytest.fixture
def catalogue(lorgnette: Any, folder: Path, tmp_path: Path) -> Path:
    assert lorgnette("kb", "sync").exit_code == 0
    Counting.asked.clear()
    (path,) = (tmp_path / "home" / "kb").glob("*/catalogue.sqlite")
    return path


def overwrite(path: Path, start: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(data)


def middle(path: Path) -> None:
    size = path.stat().st_size // PAGE
    overwrite(path, size // 2 * PAGE, random.Random(2).randbytes(4 * PAGE))


def another_program(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()


def wrong_words(path: Path) -> None:
    """A page that SQLite finds nothing wrong with."""
    data = path.read_bytes()
    at = data.rindex(b"code00")
    overwrite(path, at, b"CODE99")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    # How, and whether all of it can be kept, or most, or nothing.
    "cut off": (lambda path: os.truncate(path, path.stat().st_size * 2 // 3 // PAGE * PAGE), "most"),
    "cut off within a page": (lambda path: os.truncate(path, path.stat().st_size * 2 // 3 + 100), "most"),
    "overwritten in the middle": (middle, "most"),
    "zeros in the middle": (lambda path: overwrite(path, path.stat().st_size // 2 // PAGE * PAGE, bytes(PAGE)), "most"),
    "no head": (lambda path: overwrite(path, 0, os.urandom(100)), "all"),
    "no first page": (lambda path: overwrite(path, 0, os.urandom(PAGE)), "all"),
    "empty": (lambda path: os.truncate(path, 0), "nothing"),
    "no database": (lambda path: path.write_text("something else, " * 1000), "nothing"),
    "another program's": (another_program, "nothing"),
}


def told(result: Any) -> str:
    """The one line that a failed command says."""
    assert (result.exit_code, result.stdout) == (1, "")
    line, rest = result.stderr.split("\n", 1)
    assert rest == "" and line.startswith("Error: ")
    return str(line)


def held(lorgnette: Any, query: str) -> list[tuple[Any, ...]]:
    return [
        (h["source"], h["start"], h["end"]) for h in json.loads(lorgnette("search", query, "--json").stdout)["hits"]
    ]


@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_catalogue_is_repaired_and_only_what_was_lost_is_embedded(
    case: str, lorgnette: Any, catalogue: Path
) -> None:
    damage, keeps = DAMAGES[case]
    before = [held(lorgnette, f"code{i:02}")[0] for i in range(0, FILES, 8)]
    damage(catalogue)
    spoilt = catalogue.read_bytes()
    Counting.asked.clear()
    repaired = lorgnette("kb", "doctor")
    assert repaired.exit_code == 0, repaired.output
    assert "damaged" in repaired.stderr
    (aside,) = catalogue.parent.glob("catalogue.sqlite.damaged-*")
    assert aside.read_bytes() == spoilt and str(aside) in repaired.stderr
    passages = f"{FILES} files, 1 skipped, "
    kept, again, counts, *indexes = repaired.stdout.splitlines()
    assert counts.startswith(f"catalogue  {passages}") and len(indexes) == 2
    assert all(line.endswith("sound") for line in indexes)
    total = int(counts.split()[-2])
    embedded = int(again.split()[-3])
    assert embedded == sum(" w" in text and len(text) > 200 for text in Counting.asked)
    if keeps == "nothing":
        assert (kept, embedded) == ("kept       0 files, 0 passages, 0 vectors", total)
    elif keeps == "all":
        assert (kept, embedded) == (f"kept       {FILES} files, {total} passages, {total} vectors", 0)
    else:
        assert 0 < embedded < total / 2 < int(kept.split()[-2])
    assert [held(lorgnette, f"code{i:02}")[0] for i in range(0, FILES, 8)] == before
    assert lorgnette("kb", "doctor", "--check").exit_code == 0


# Some is met only when it is read.
@pytest.mark.parametrize("case", [case for case in DAMAGES if "middle" not in case])
def test_a_damaged_catalogue_is_one_line_that_names_the_doctor(case: str, lorgnette: Any, catalogue: Path) -> None:
    DAMAGES[case][0](catalogue)
    spoilt = catalogue.read_bytes()
    for command in (("kb", "sync"), ("search", "code01"), ("kb", "list")):
        assert "run `lorgnette kb doctor`" in told(lorgnette(*command))
    assert catalogue.read_bytes() == spoilt
    checked = lorgnette("kb", "doctor", "--check")
    assert checked.exit_code == 1 and checked.stdout.startswith("catalogue  ")
    assert catalogue.read_bytes() == spoilt


def test_words_that_were_altered_are_found_out_and_read_again(lorgnette: Any, catalogue: Path) -> None:
    wrong_words(catalogue)
    assert "1 passages are not what was stored" in lorgnette("kb", "doctor", "--check").stdout
    repaired = lorgnette("kb", "doctor")
    assert repaired.exit_code == 0 and "read again 1 files, 1 passages embedded" in repaired.stdout
    assert [source for source, *_ in held(lorgnette, "code00")] == ["note00.txt"]


def test_a_lost_log_loses_what_was_in_it_and_nothing_else(lorgnette: Any, catalogue: Path, folder: Path) -> None:
    saved = catalogue.read_bytes()
    (folder / "later.txt").write_text("code77 comes later", "utf-8")
    lorgnette("kb", "sync")
    assert held(lorgnette, "code77")
    catalogue.write_bytes(saved)
    for end in ("-wal", "-shm"):
        catalogue.with_name(catalogue.name + end).unlink(missing_ok=True)
    assert held(lorgnette, "code77") == [] and held(lorgnette, "code05")
    lorgnette("kb", "sync")
    assert held(lorgnette, "code77")


def test_a_log_without_its_file_is_not_taken_for_that_of_a_new_one(lorgnette: Any, catalogue: Path) -> None:
    catalogue.with_name("catalogue.sqlite-wal").write_bytes(os.urandom(10_000))
    catalogue.unlink()
    assert lorgnette("kb", "sync").exit_code == 0
    assert held(lorgnette, "code05")


def newer(path: Path) -> bytes:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    return path.read_bytes()


def test_a_newer_catalogue_is_refused_and_not_touched(lorgnette: Any, catalogue: Path) -> None:
    saved = newer(catalogue)
    for command in (("kb", "sync"), ("search", "code01"), ("kb", "doctor"), ("kb", "doctor", "--check")):
        line = told(lorgnette(*command))
        assert "format 99" in line and "update Lorgnette" in line and "`lorgnette kb doctor --anew`" in line
    assert catalogue.read_bytes() == saved
    assert not list(catalogue.parent.glob("*damaged*"))


def test_a_newer_catalogue_with_damage_is_not_salvaged_either(lorgnette: Any, catalogue: Path) -> None:
    newer(catalogue)
    os.truncate(catalogue, catalogue.stat().st_size // 2)
    saved = catalogue.read_bytes()
    assert "lorgnette kb doctor" in told(lorgnette("search", "code01"))
    assert lorgnette("kb", "doctor").exit_code == 1
    assert catalogue.read_bytes() == saved and not list(catalogue.parent.glob("*damaged*"))


def test_a_newer_catalogue_is_put_aside_when_it_is_asked_for(lorgnette: Any, catalogue: Path) -> None:
    saved = newer(catalogue)
    assert lorgnette("kb", "doctor", "--anew").exit_code == 0
    (aside,) = catalogue.parent.glob("catalogue.sqlite.damaged-*")
    assert aside.read_bytes() == saved
    assert held(lorgnette, "code05") and len(Counting.asked) > FILES


def test_a_full_disk_in_the_middle_of_a_repair_leaves_everything_as_it_was(
    lorgnette: Any, catalogue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    middle(catalogue)
    before = {path.name: path.read_bytes() for path in catalogue.parent.glob("catalogue.sqlite*")}
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (catalogue.stat().st_size // 2, limits[1]))
    # A real full disk has another number.
    monkeypatch.setattr("retrieval.catalogue.database._is_full", lambda path: True)
    try:
        line = lorgnette("kb", "doctor").stderr.splitlines()[-1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert line.startswith("Error: There is no room for a new catalogue") and "free some space" in line
    # Whoever reads a log needs an index of it.
    now = {p.name: p.read_bytes() for p in catalogue.parent.glob("catalogue.sqlite*") if p.suffix != ".sqlite-shm"}
    assert {name: data for name, data in now.items() if data or name in before} == before
    assert lorgnette("kb", "doctor").exit_code == 0


def test_a_process_that_has_the_catalogue_open_goes_on_with_the_new_one(
    lorgnette: Any, catalogue: Path, folder: Path
) -> None:
    from common.home import data_home
    from lorgnette.settings import load_settings
    from retrieval.knowledge_base import KnowledgeBase

    base = KnowledgeBase(load_settings(), data_home())
    assert base.search("code05").hits
    (folder / "later.txt").write_text("code77 comes later", "utf-8")
    assert lorgnette("kb", "doctor", "--anew").exit_code == 0
    (hit,) = base.search("code77", 1).hits
    assert (hit.source, hit.stale) == ("later.txt", False)
    base.close()


@pytest.fixture
def read_only_home(lorgnette: Any, catalogue: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data folder and the documents, where this process may read and not write, whoever runs the test."""
    with tempfile.TemporaryDirectory() as name:
        documents, home = Path(name) / "documents", Path(name) / "home"
        shutil.copytree(folder, documents)
        monkeypatch.setenv("LORGNETTE_HOME", str(home))
        monkeypatch.setenv("LORGNETTE_KB", str(documents))
        monkeypatch.setenv("XDG_CONFIG_HOME", name)
        assert lorgnette("kb", "sync").exit_code == 0
        everything = [Path(name), *Path(name).rglob("*")]
        modes = {path: path.stat().st_mode for path in everything}
        for path in everything:
            path.chmod(0o555 if path.is_dir() else 0o444)
        monkeypatch.chdir(name)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)
            yield home
        finally:
            if user == 0:
                os.seteuid(user)
            for path, mode in modes.items():
                path.chmod(mode)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work another way there")
def test_a_read_only_data_folder_is_searched_and_says_what_it_cannot(lorgnette: Any, read_only_home: Path) -> None:
    found = lorgnette("search", "code05", "--json")
    assert found.exit_code == 0, found.output
    read = json.loads(found.stdout)
    assert [hit["source"] for hit in read["hits"]][:1] == ["note05.txt"]
    assert any("read-only" in note for note in read["degraded"])
    assert "LORGNETTE_HOME" in told(lorgnette("kb", "sync"))
    assert lorgnette("kb", "doctor", "--check").exit_code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work another way there")
def test_a_read_only_folder_of_documents_is_indexed(
    lorgnette: Any, read_only_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as other:
        monkeypatch.setenv("LORGNETTE_HOME", other)
        assert lorgnette("kb", "sync").stdout.splitlines()[-1].startswith(f"{FILES} added")
        assert held(lorgnette, "code05")


def test_the_disk_is_full_by_any_of_its_names(lorgnette: Any, catalogue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    middle(catalogue)
    monkeypatch.setattr("retrieval.catalogue.repair.os.fsync", full)
    assert "There is no room" in lorgnette("kb", "doctor").stderr.splitlines()[-1]
