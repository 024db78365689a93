"""Bringing an index forward: what is written, what is not, and what is left when it is stopped."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import FileRow, StoredChunk
from retrieval.index.catch_up import catch_up
from retrieval.index.dense import ExactIndex
from retrieval.records import Chunk
from retrieval.vectors import Vectors

EAST = np.array([1, 0], np.float32)


class Keeping(ExactIndex):
    """Keeps the passages, as servers do, and remembers what it was told."""

    keeps_passages = True

    def __init__(self) -> None:
        super().__init__(2)
        self.sources: dict[int, str] = {}
        self.written: list[int] = []
        self.commits: list[int] = []

    def add(self, numbers: Sequence[int], vectors: Vectors, chunks: Sequence[StoredChunk] = ()) -> None:
        super().add(numbers, vectors)
        self.written += numbers
        self.sources |= {number: c.occurrences[0].source for number, c in zip(numbers, chunks, strict=True)}

    def commit(self, generation: int) -> None:
        super().commit(generation)
        self.commits.append(generation)

    @property
    def held(self) -> list[int]:
        return list(self.numbers())


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "kb.sqlite", kept_generations=8)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.catch_up.PAGE", 2)


def row(source: str) -> FileRow:
    return FileRow(source=source, sha256=source, size=3, mtime_ns=5, state="indexed")


def put(catalogue: Catalogue, source: str, *ids: str) -> None:
    chunks = [Chunk(id, id, 0, len(id)) for id in ids]
    catalogue.put_file(row(source), chunks, dict.fromkeys(ids, EAST), "letters")


def test_it_writes_what_is_there_and_then_only_what_is_new(catalogue: Catalogue) -> None:
    index = Keeping()
    put(catalogue, "a", "one", "two", "three")
    assert catch_up(catalogue, index, "letters").written == 3
    put(catalogue, "b", "four")
    assert catch_up(catalogue, index, "letters").written == 1
    assert (index.held, index.generation) == ([1, 2, 3, 4], catalogue.generation)
    assert catch_up(catalogue, index, "letters").written == 0


def test_what_has_gone_is_taken_out(catalogue: Catalogue) -> None:
    index = Keeping()
    put(catalogue, "a", "one")
    put(catalogue, "b", "two")
    catch_up(catalogue, index, "letters")
    catalogue.remove_files(["a"])
    assert catch_up(catalogue, index, "letters").removed == 1
    assert index.held == [2]


def test_passages_without_a_vector_of_this_embedder_are_left_out(catalogue: Catalogue) -> None:
    index = Keeping()
    put(catalogue, "a", "one")
    catalogue.put_file(row("b"), [Chunk("two", "two", 0, 3)])
    assert catch_up(catalogue, index, "letters").written == 1
    assert catch_up(catalogue, Keeping(), "another").written == 0
    catalogue.set_vectors({2: EAST}, "letters")
    assert catch_up(catalogue, index, "letters").written == 1


def test_what_was_stopped_goes_on_from_the_last_whole_generation(catalogue: Catalogue) -> None:
    index, stop = Keeping(), threading.Event()
    for source in "abcde":
        put(catalogue, source, source)
    put(catalogue, "f", "f", "g", "h")
    first = catch_up(catalogue, index, "letters", lambda _what, done, _total: stop.set() if done == 4 else None, stop)
    assert (first.written, first.complete, index.held) == (4, False, [1, 2, 3, 4])
    assert index.generation == 4
    put(catalogue, "a", "later")  # "a" has gone meanwhile
    second = catch_up(catalogue, index, "letters")
    assert (second.written, second.removed, second.complete) == (5, 1, True)
    assert (index.held, index.generation) == ([2, 3, 4, 5, 6, 7, 8, 9], catalogue.generation)


def test_removals_that_are_noted_behind_a_stop_are_not_forgotten(catalogue: Catalogue) -> None:
    index, stop = Keeping(), threading.Event()
    put(catalogue, "a", "a")
    catch_up(catalogue, index, "letters")
    catalogue.remove_files(["a"])
    for source in "bcdef":
        put(catalogue, source, source)
    catch_up(catalogue, index, "letters", lambda *_: stop.set(), stop)
    catch_up(catalogue, index, "letters")
    assert index.held == [2, 3, 4, 5, 6]


def test_an_index_too_far_behind_is_compared_and_not_emptied(catalogue: Catalogue) -> None:
    index = Keeping()
    put(catalogue, "a", "a")
    put(catalogue, "b", "b")
    catch_up(catalogue, index, "letters")
    catalogue.remove_files(["a"])
    for n in range(20):  # removals are remembered for 8 generations
        put(catalogue, "c", f"c{n}")
    index.written.clear()
    catch_up(catalogue, index, "letters")
    assert index.written == [22] and index.held == [2, 22]


def test_an_index_ahead_of_an_older_copy_of_the_catalogue_is_written_anew(catalogue: Catalogue) -> None:
    index = Keeping()
    ExactIndex.add(index, [1, 7], np.stack([-EAST, -EAST]))
    index.commit(99)
    put(catalogue, "a", "one")
    catch_up(catalogue, index, "letters")
    assert (index.held, index.search(EAST, 1), index.generation) == ([1], [(1, 1.0)], catalogue.generation)


def test_a_renamed_file_and_a_lost_place_are_written_anew_where_passages_are_kept(catalogue: Catalogue) -> None:
    index = Keeping()
    put(catalogue, "a", "shared", "own")
    put(catalogue, "b", "shared")
    catch_up(catalogue, index, "letters")
    assert index.sources == {1: "a", 2: "a"}
    catalogue.rename("a", row("z"))
    catch_up(catalogue, index, "letters")
    assert index.sources == {1: "b", 2: "z"}
    catalogue.remove_files(["b"])
    catch_up(catalogue, index, "letters")
    assert index.sources == {1: "z", 2: "z"}
    put(catalogue, "y", "shared")
    catch_up(catalogue, index, "letters")
    put(catalogue, "y", "other")
    catch_up(catalogue, index, "letters")
    assert index.sources[1] == "z"


def test_a_renamed_file_costs_an_index_of_numbers_nothing(catalogue: Catalogue) -> None:
    index = ExactIndex(2)
    put(catalogue, "a", "one")
    catch_up(catalogue, index, "letters")
    catalogue.rename("a", row("z"))
    assert catch_up(catalogue, index, "letters").written == 0
