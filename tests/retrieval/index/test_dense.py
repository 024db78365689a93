"""The dense projection: Chroma beside numpy, over vectors that a reader can compare by eye."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from retrieval.index.dense import ChromaIndex, DenseIndex, DimensionMismatch, ExactIndex
from retrieval.index.projection import ProjectionDamaged
from retrieval.vectors import Vectors

# Chroma's own imports warn under Python 3.11, once in a process; that is not ours to fail on.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")

EAST, NORTH, NORTHEAST, WEST = (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 0.0)
NAME = "知识库, some embedder"


def rows(*vectors: tuple[float, float]) -> Vectors:
    return np.array(vectors, np.float32)


@pytest.fixture(params=["chroma", "exact"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DenseIndex]:
    opened: DenseIndex = ChromaIndex(tmp_path / "dense", NAME, 2) if request.param == "chroma" else ExactIndex(2)
    opened.add([1, 2, 5, 8], rows(EAST, NORTH, NORTHEAST, WEST))
    opened.commit(1)
    yield opened
    opened.close()


def found(index: DenseIndex, vector: tuple[float, float], top_k: int = 9, allowed: set[int] | None = None) -> list[int]:
    return [number for number, _ in index.search(rows(vector)[0], top_k, allowed)]


def test_nearest_come_first_with_their_cosines(index: DenseIndex) -> None:
    pairs = index.search(rows((3.0, 0.0))[0], 9)
    assert [number for number, _ in pairs] == [1, 5, 2, 8]
    assert [cosine for _, cosine in pairs] == pytest.approx([1.0, 0.5**0.5, 0.0, -1.0], abs=1e-6)
    assert found(index, EAST, top_k=2) == [1, 5]


def test_only_allowed_passages_are_found(index: DenseIndex) -> None:
    assert found(index, EAST, allowed={8, 2, 99}) == [2, 8]
    assert found(index, EAST, top_k=1, allowed={8, 2}) == [2]
    assert found(index, EAST, allowed=set()) == []


def test_adding_a_number_again_replaces_it_and_removing_it_twice_is_no_error(index: DenseIndex) -> None:
    index.add([1], rows(WEST))
    index.remove([8])
    index.remove([8, 99])
    index.commit(2)
    assert (found(index, EAST), index.count, sorted(index.numbers()), index.generation) == ([5, 2, 1], 3, [1, 2, 5], 2)


def test_vectors_of_another_length_are_refused(index: DenseIndex) -> None:
    with pytest.raises(DimensionMismatch, match="kb sync"):
        index.add([9], np.ones((1, 3), np.float32))
    with pytest.raises(DimensionMismatch):
        index.search(np.ones(3, np.float32), 1)
    assert index.count == 4


def test_empty_lists_are_no_error(index: DenseIndex) -> None:
    index.add([], np.zeros((0, 2), np.float32))
    index.remove([])
    assert index.count == 4


def test_chroma_agrees_with_numpy_when_filtered_and_when_not(tmp_path: Path) -> None:
    """Clustered, as real vectors are: HNSW loses its way among random ones."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(20, 16))
    vectors = np.asarray(centres[np.arange(1500) % 20] + random.normal(size=(1500, 16)), np.float32)
    numbers = [3 * n for n in range(1500)]
    chroma, exact = ChromaIndex(tmp_path, NAME, 16), ExactIndex(16)
    chroma.add(numbers, vectors)
    exact.add(numbers, vectors)
    for query in vectors[:20] + 0.3:
        assert [n for n, _ in chroma.search(query, 10)] == [n for n, _ in exact.search(query, 10)]
        allowed = set(numbers[::7])
        filtered, expected = chroma.search(query, 10, allowed), exact.search(query, 10, allowed)
        assert [n for n, _ in filtered] == [n for n, _ in expected]
        assert [c for _, c in filtered] == pytest.approx([c for _, c in expected], abs=1e-5)
    chroma.close()


def test_records_are_written_and_read_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.dense._PAGE", 2)
    index = ChromaIndex(tmp_path, NAME, 2)
    index.add([1, 2, 3, 4, 5], rows(EAST, NORTH, NORTHEAST, WEST, WEST))
    assert sorted(index.numbers()) == [1, 2, 3, 4, 5]
    assert found(index, EAST, allowed={1, 2, 3, 4, 5}) == [1, 3, 2, 4, 5]
    index.remove([1, 2, 3])
    assert sorted(index.numbers()) == [4, 5]
    index.close()


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    first = ChromaIndex(tmp_path, NAME, 2)
    first.add([4], rows(EAST))
    first.commit(7)
    first.close()
    second = ChromaIndex(tmp_path, NAME, 2)
    assert (second.generation, found(second, EAST)) == (7, [4])
    second.close()


@pytest.mark.parametrize(("name", "dimension"), [("another embedder", 2), (NAME, 3)])
def test_a_folder_of_another_embedder_is_refused(tmp_path: Path, name: str, dimension: int) -> None:
    ChromaIndex(tmp_path, NAME, 2).close()
    with pytest.raises(ProjectionDamaged, match="made by"):
        ChromaIndex(tmp_path, name, dimension)


@pytest.mark.parametrize("damage", ["garbage", "no database", "no generation", "no graph"])
def test_a_damaged_folder_is_refused_and_can_be_made_anew(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "dense"
    index = ChromaIndex(folder, NAME, 2)
    angles = np.linspace(0, 3, 2500)  # more than Chroma keeps outside its graph files
    index.add(range(2500), np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    index.commit(1)
    index.close()
    if damage == "garbage":
        (folder / "chroma.sqlite3").write_bytes(b"garbage" * 1000)
    elif damage == "no graph":
        graph = [*folder.glob("*/*.bin"), *folder.glob("*/*.pickle")]
        assert graph
        for file in graph:
            file.unlink()
    else:
        (folder / ("chroma.sqlite3" if damage == "no database" else "projection.json")).unlink()
    with pytest.raises(ProjectionDamaged, match="kb doctor"):
        ChromaIndex(folder, NAME, 2)
    folder.rename(tmp_path / "aside")
    new = ChromaIndex(folder, NAME, 2)
    new.add([1], rows(EAST))
    assert (found(new, EAST), new.generation) == ([1], 0)
    new.close()
