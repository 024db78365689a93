"""A process that syncs is killed where its parent wants it: at any SQL statement, file read or vector made.

The child prints a line before each step and waits for an answer; the parent kills it instead of answering. Nothing
depends on time.
"""

import hashlib
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.reading.recipe import Recipe
from retrieval.sync.sync import sync
from tests.retrieval.conftest import LetterEmbedder

pytestmark = pytest.mark.heavy

CHILD = """
import hashlib, importlib.util, sqlite3, sys
from pathlib import Path

conftest = importlib.util.spec_from_file_location("fakes", sys.argv[3])
fakes = importlib.util.module_from_spec(conftest)
conftest.loader.exec_module(fakes)
from retrieval.catalogue.catalogue import Catalogue
from retrieval.reading.recipe import Recipe
from retrieval.sync.sync import sync

def step(line):
    sys.stdout.write(line + "\\n")
    sys.stdout.flush()
    sys.stdin.readline()

class Letters(fakes.LetterEmbedder):
    def embed_documents(self, texts):
        step("step")
        return super().embed_documents(texts)

def read(path, data):
    step("step")
    return fakes._read(path, data)

catalogue = Catalogue(Path(sys.argv[1]))
catalogue._database.connection().set_trace_callback(lambda statement: step("step"))
sync(catalogue, Path(sys.argv[2]), Letters(), Recipe(read, fakes._split, "paragraphs", 10_000),
     progress=lambda source, done, total: step("stored " + source))
step("done")
"""


def _edit(folder: Path, chance: random.Random, at: int) -> None:
    """Add, edit, rename and delete some files, each with times of their own."""
    there = sorted(folder.iterdir())
    for path in chance.sample(there, min(2, len(there))):
        path.unlink()
    there = sorted(folder.iterdir())
    for path in chance.sample(there, min(2, len(there))):
        path.rename(folder / f"moved{chance.randrange(10**6)}.txt")
    there = sorted(folder.iterdir())
    new = [folder / f"new{chance.randrange(10**6)}.txt" for _ in range(4)]
    for path in (*chance.sample(there, min(3, len(there))), *new):
        words = ["common\n\nshared", *("abc"[chance.randrange(3)] * chance.randrange(1, 40) for _ in range(4))]
        path.write_text("\n\n".join(words))
        os.utime(path, (at, at))


def _run(catalogue: Path, folder: Path, kill_at: int | None) -> tuple[set[str], int]:
    """Sync in a child and kill it at a step; gives what it said was stored, and how many steps there were."""
    fakes = Path(__file__).parents[1] / "conftest.py"
    stored: set[str] = set()
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, catalogue, folder, fakes],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin and child.stdout
        steps = 0
        for line in child.stdout:
            if line == "done\n":
                child.stdin.close()
                break
            if line.startswith("stored "):
                stored.add(line.removeprefix("stored ").rstrip("\n"))
            if steps == kill_at:
                child.kill()
                break
            steps += 1
            child.stdin.write("\n")
            child.stdin.flush()
    return stored, steps


def _paragraphs(data: bytes) -> list[str]:
    return data.decode().split("\n\n")


def _check(path: Path, folder: Path, stored: set[str], versions: dict[str, bytes]) -> None:
    """Whatever the catalogue says of a file is one whole version of it, and of an acknowledged file the present one."""
    catalogue = Catalogue(path)
    assert catalogue.check() == []
    held: dict[str, list[tuple[int, str]]] = {}
    for page in catalogue.pages():
        vectors = dict(zip(*catalogue.vectors([c.number for c in page], "letters"), strict=True))
        for chunk in page:
            letters = np.array([chunk.text.count(letter) for letter in "abc"] + [1], np.float32)
            np.testing.assert_allclose(vectors[chunk.number], letters / np.linalg.norm(letters), rtol=1e-6)
            for place in chunk.occurrences:
                held.setdefault(place.source, []).append((place.ordinal, place.text))
    for row in catalogue.files():
        texts = [text for _, text in sorted(held[row.source])]
        assert texts == _paragraphs(versions[row.sha256])
    for source in stored - {"embedding"}:
        stored_row = catalogue.file(source)
        assert stored_row and stored_row.sha256 == hashlib.sha256((folder / source).read_bytes()).hexdigest()
    catalogue.close()


def _rounds(tmp_path: Path, paragraphs: Recipe, letters: LetterEmbedder, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    folder, path = tmp_path / "docs", tmp_path / "data" / "kb.sqlite"
    folder.mkdir()
    versions: dict[str, bytes] = {}
    for i in range(rounds):
        _edit(folder, chance, 1_700_000_000 + i)
        for file in folder.iterdir():
            versions[hashlib.sha256(file.read_bytes()).hexdigest()] = file.read_bytes()
        # The smallest of these syncs takes 130 steps.
        kill_at = chance.randrange(10, 120)
        stored, steps = _run(path, folder, kill_at)
        assert steps == kill_at, "it was over before it could be killed"
        _check(path, folder, stored, versions)
    catalogue, fresh = Catalogue(path), Catalogue(tmp_path / "fresh.sqlite")
    sync(catalogue, folder, letters, paragraphs)
    sync(fresh, folder, letters, paragraphs)
    assert {r.source: r.sha256 for r in catalogue.files()} == {r.source: r.sha256 for r in fresh.files()}
    ids = [{c.id: len(c.occurrences) for page in kb.pages() for c in page} for kb in (catalogue, fresh)]
    assert ids[0] == ids[1] and catalogue.check() == []
    catalogue.close()
    fresh.close()


def test_a_killed_sync_leaves_every_file_whole_and_loses_none_acknowledged(
    tmp_path: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    _rounds(tmp_path, paragraphs, letters, rounds=3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 4))
def test_ten_killed_syncs_leave_every_file_whole(
    tmp_path: Path, paragraphs: Recipe, letters: LetterEmbedder, seed: int
) -> None:
    _rounds(tmp_path, paragraphs, letters, rounds=10, seed=seed)
