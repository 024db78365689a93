"""One contract for every engine of the dense index: real ones, over vectors that a reader can compare by eye."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.catalogue.rows import Occurrence, StoredChunk
from retrieval.index.dense import ChromaIndex, DenseIndex, DimensionMismatch, ExactIndex
from retrieval.index.engines.engine import EngineUnavailable, PackageMissing, engine_name
from retrieval.index.engines.open import discard, open_engine
from retrieval.index.projection import ProjectionDamaged
from retrieval.store import parse_store
from retrieval.vectors import Vectors

# The engines' own packages warn as they are imported or forgotten; that is not ours to fail on.
pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning", "ignore::FutureWarning"
)

EAST, NORTH, NORTHEAST, WEST = (1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (-1.0, 0.0)
SERVERS = [pytest.param(kind, marks=pytest.mark.database) for kind in ("chroma-server", "milvus", "postgres")]


def rows(*vectors: tuple[float, float]) -> Vectors:
    return np.array(vectors, np.float32)


def passage(number: int, text: str = "", source: str = "a.md", **place: Any) -> StoredChunk:
    text = text or f"passage {number}"
    values = {"ordinal": 0, "start": 7, "end": 7 + len(text), "page": None, "text": text} | place
    return StoredChunk(
        number, f"id{number}", text, ("Lamp", "风扇"), (Occurrence(source, "sha", 3, 5, 1.0, "markdown", "", **values),)
    )


def add(index: DenseIndex, numbers: Sequence[int], vectors: Vectors) -> None:
    index.add(numbers, vectors, [passage(number) for number in numbers] if index.keeps_passages else ())


@dataclass
class Engine:
    """Opens indexes of one engine, the one named `name` unless another is asked for."""

    kind: str
    name: str
    url: str
    folder: Path
    opened: list[DenseIndex] = field(default_factory=list)

    def open(self, dimension: int = 2, name: str = "") -> DenseIndex:
        name = self.name + name
        if self.kind == "exact":
            index: DenseIndex = ExactIndex(dimension)
        elif self.kind == "chroma":
            index = ChromaIndex(self.folder / engine_name(name), name, dimension)
        else:
            index = open_engine(parse_store(self.url), name, dimension)
        self.opened.append(index)
        return index


@pytest.fixture(params=["exact", "chroma", *SERVERS])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    kind = request.param
    url = request.getfixturevalue(f"{kind.replace('-', '_')}_url") if kind not in ("exact", "chroma") else ""
    engine = Engine(kind, f"知识库 of {tmp_path}", url, tmp_path)  # servers are shared by tests, names are not
    yield engine
    for index in engine.opened:
        index.close()


@pytest.fixture
def index(engine: Engine) -> DenseIndex:
    index = engine.open()
    add(index, [1, 2, 5, 8], rows(EAST, NORTH, NORTHEAST, WEST))
    index.commit(1)
    return index


durable = pytest.mark.parametrize("engine", ["chroma", *SERVERS], indirect=True)
on_servers = pytest.mark.parametrize("engine", SERVERS, indirect=True)


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
    assert found(index, EAST, allowed={99}) == []


def test_adding_a_number_again_replaces_it_and_removing_it_twice_is_no_error(index: DenseIndex) -> None:
    add(index, [1], rows(WEST))
    index.remove([8])
    index.remove([8, 99])
    index.commit(2)
    assert (found(index, EAST), index.count, sorted(index.numbers()), index.generation) == ([5, 2, 1], 3, [1, 2, 5], 2)


@pytest.mark.parametrize("engine", ["exact", *SERVERS], indirect=True)  # embedded Chroma is never given any
def test_of_equal_numbers_in_one_call_the_last_wins(engine: Engine) -> None:
    index = engine.open()
    add(index, [1, 2, 1], rows(EAST, NORTH, WEST))
    index.commit(1)
    assert (found(index, EAST), index.count) == ([2, 1], 2)


def test_vectors_of_another_length_are_refused(index: DenseIndex) -> None:
    with pytest.raises(DimensionMismatch, match="kb sync"):
        add(index, [9], np.ones((1, 3), np.float32))
    with pytest.raises(DimensionMismatch):
        index.search(np.ones(3, np.float32), 1)
    assert index.count == 4


def test_empty_lists_are_no_error(index: DenseIndex) -> None:
    add(index, [], np.zeros((0, 2), np.float32))
    index.remove([])
    index.commit(2)
    assert (index.count, index.generation) == (4, 2)


def test_each_agrees_with_numpy_when_filtered_and_when_not(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clustered, as real vectors are: HNSW loses its way among random ones. Batches are small, so that all are used."""
    for module in ("chroma_server", "milvus", "postgres"):
        if sys.modules.get(f"retrieval.engines.{module}"):
            monkeypatch.setattr(f"retrieval.engines.{module}.BATCH", 90)
            monkeypatch.setattr(f"retrieval.engines.{module}.ALLOWED_AT_ONCE", 50, raising=False)
            monkeypatch.setattr(f"retrieval.engines.{module}._PAGE", 70)
    random = np.random.default_rng(0)
    centres = random.normal(size=(20, 16))
    vectors = np.asarray(centres[np.arange(400) % 20] + random.normal(size=(400, 16)), np.float32)
    numbers = [3 * n for n in range(400)]
    index, exact = engine.open(16), ExactIndex(16)
    add(index, numbers, vectors)
    index.remove(numbers[300:310])
    index.commit(1)
    exact.add(numbers, vectors)
    exact.remove(numbers[300:310])
    assert sorted(index.numbers()) == list(exact.numbers())
    for query in vectors[:8] + 0.3:
        for allowed in (None, set(numbers[::4]), set(range(0, 1200, 2))):
            pairs, expected = index.search(query, 10, allowed), exact.search(query, 10, allowed)
            assert [n for n, _ in pairs] == [n for n, _ in expected]
            assert [c for _, c in pairs] == pytest.approx([c for _, c in expected], abs=1e-5)


@pytest.mark.slow
@durable
def test_under_a_filter_nothing_is_lost_of_a_collection_with_a_graph(engine: Engine) -> None:
    """Enough for the engines to build their graphs, which lose their way where many of the nearest are not allowed."""
    random = np.random.default_rng(0)
    vectors = np.asarray(
        random.normal(size=(100, 64))[np.arange(8000) % 100] + random.normal(size=(8000, 64)), np.float32
    )
    index, exact = engine.open(64), ExactIndex(64)
    for start in range(0, 8000, 1000):
        add(index, range(start, start + 1000), vectors[start : start + 1000])
    index.commit(1)
    exact.add(range(8000), vectors)
    for share, least in ((1, 0.98), (3, 0.995), (100, 1.0)):
        allowed = None if share == 1 else set(range(0, 8000, share))
        pairs = [(index.search(query, 100, allowed), exact.search(query, 100, allowed)) for query in vectors[:70:7]]
        lost = [len(dict(expected).keys() - dict(got).keys()) / len(expected) for got, expected in pairs]
        assert sum(lost) / len(lost) <= 1 - least, f"of every {share}"


@on_servers
def test_more_than_the_graph_keeps_can_be_asked_for(engine: Engine) -> None:
    angles = np.linspace(0, 3, 260)
    index = engine.open()
    add(index, range(260), np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    index.commit(1)
    assert found(index, EAST, top_k=250) == list(range(250))


@durable
def test_what_was_committed_is_there_after_reopening(engine: Engine) -> None:
    first = engine.open()
    add(first, [4], rows(EAST))
    first.commit(7)
    first.close()
    second = engine.open()
    assert (second.generation, second.count, found(second, EAST)) == (7, 1, [4])


@durable
def test_indexes_of_other_names_do_not_mix(engine: Engine) -> None:
    first, second = engine.open(), engine.open(3, name=", another embedder")
    add(first, [4], rows(EAST))
    first.commit(7)
    assert (second.count, second.generation, list(second.numbers())) == (0, 0, [])


@durable
def test_an_index_of_another_dimension_is_refused(engine: Engine) -> None:
    engine.open().close()
    with pytest.raises(ProjectionDamaged, match="made by"):
        engine.open(3)


@on_servers
def test_a_discarded_index_begins_anew(engine: Engine, index: DenseIndex) -> None:
    index.close()
    discard(parse_store(engine.url), engine.name)
    discard(parse_store(engine.url), engine.name)
    new = engine.open(3)
    assert (new.generation, new.count) == (0, 0)


@on_servers
def test_an_index_that_somebody_removed_is_damaged(engine: Engine, index: DenseIndex) -> None:
    discard(parse_store(engine.url), engine.name)
    with pytest.raises(ProjectionDamaged, match="kb doctor"):
        found(index, EAST)


DYING = """
import os, signal, sys
from pathlib import Path
import numpy as np
from retrieval.index.dense import ChromaIndex
from retrieval.index.engines.engine import engine_name
from retrieval.index.engines.open import open_engine
from retrieval.catalogue.rows import Occurrence, StoredChunk
from retrieval.store import parse_store
name, url, folder = sys.argv[1:]
if url:
    index = open_engine(parse_store(url), name, 2)
else:
    index = ChromaIndex(Path(folder) / engine_name(name), name, 2)
place = Occurrence("a.md", "sha", 3, 5, 1.0, "markdown", "", 0, 0, 4, None, "text")
chunks = [StoredChunk(number, str(number), "text", (), (place,)) for number in (1, 6)]
index.remove([2])
index.add([1, 6], np.array([[-1, 0], [0, 1]], np.float32), chunks if index.keeps_passages else ())
os.kill(os.getpid(), signal.SIGKILL)
"""


@durable
@pytest.mark.skipif(sys.platform == "win32", reason="kill works another way there")
def test_what_was_written_without_commit_by_a_killed_process_can_be_written_again(
    engine: Engine, index: DenseIndex
) -> None:
    index.close()
    killed = subprocess.run(
        [sys.executable, "-c", DYING, engine.name, engine.url, str(engine.folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr.decode()[-2000:]
    again = engine.open()
    assert again.generation == 1
    again.remove([2])
    add(again, [1, 6], rows(WEST, NORTH))
    again.commit(2)
    assert (sorted(again.numbers()), found(again, EAST), again.generation) == ([1, 5, 6, 8], [5, 6, 1, 8], 2)


def read_milvus(engine: Engine) -> dict[str, Any]:
    from pymilvus import MilvusClient

    client = MilvusClient(engine.url.removeprefix("milvus://"))
    (row,) = client.get(engine_name(engine.name), ids=[3])
    client.close()
    return {**row, "headings": row["more"]["headings"], "also_in": row["more"]["also_in"]}


def read_chroma(engine: Engine) -> dict[str, Any]:
    import json

    import chromadb

    host, port = engine.url.removeprefix("chroma+http://").split(":")
    with chromadb.HttpClient(host, int(port)) as client:  # type: ignore[attr-defined]
        got = client.get_collection(engine_name(engine.name), embedding_function=None).get(ids=["3"])
    metadata = got["metadatas"][0]
    lists = {key: json.loads(metadata[key]) for key in ("headings", "also_in")}
    return metadata | {"text": got["documents"][0]} | lists


def read_postgres(engine: Engine) -> dict[str, Any]:
    import psycopg
    from psycopg.rows import dict_row

    with psycopg.connect(engine.url, row_factory=dict_row) as connection:
        row = connection.execute(f"SELECT * FROM {engine_name(engine.name)} WHERE number = 3").fetchone()
    assert row is not None
    return row | {"start": row["char_start"], "end": row["char_end"]}


READERS: dict[str, Callable[[Engine], dict[str, Any]]] = {
    "milvus": read_milvus, "chroma-server": read_chroma, "postgres": read_postgres
}  # fmt: skip


@on_servers
def test_whoever_reads_the_engine_finds_the_passage_with_its_place(engine: Engine) -> None:
    index = engine.open()
    here, there = passage(3, "灯在 \N{ELECTRIC LIGHT BULB}", "b\udcff.md", page=2), passage(3, "灯在", "文.md")
    chunk = StoredChunk(3, "id3", "灯", ("Lamp", "风扇"), (*here.occurrences, *there.occurrences, *here.occurrences))
    index.add([3], rows(EAST), [chunk])
    index.commit(1)
    row = READERS[engine.kind](engine)
    assert (row["chunk"], row["text"], row["source"]) == ("id3", "灯在 \N{ELECTRIC LIGHT BULB}", "b\\xff.md")
    assert (row["page"], row["start"], row["end"], row["sha256"]) == (2, 7, 11, "sha")
    assert (row["headings"], row["also_in"]) == (["Lamp", "风扇"], ["文.md"])


@on_servers
def test_a_text_that_the_engine_cannot_hold_whole_is_no_error(engine: Engine) -> None:
    index = engine.open()
    index.add([3, 4], rows(EAST, NORTH), [passage(3, "字" * 30_000), passage(4, "NUL\0NUL")])
    index.commit(1)
    assert found(index, EAST) == [3, 4]


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        "chroma+http://me:geheim@127.0.0.1:{port}",
        "milvus+http://me:geheim@127.0.0.1:{port}",
        "postgresql://me:geheim@127.0.0.1:{port}/notes",
        "postgresql://127.0.0.1:{port}/notes?user=me&password=geheim",
        "postgresql://me:geheim@127.0.0.1:{port}/notes?nonsense=1",
    ],
)
def test_a_server_that_is_away_is_one_clear_error_without_the_password(url: str) -> None:
    pytest.importorskip("pymilvus")
    pytest.importorskip("psycopg")
    with pytest.raises(EngineUnavailable, match="cannot be used") as raised:
        open_engine(parse_store(url.format(port=closed_port())), "kb", 2)
    assert "***" in str(raised.value) and "geheim" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_refused_login_is_one_clear_error(postgres_url: str) -> None:
    url = postgres_url.replace("postgres:@", "nobody:geheim@")
    with pytest.raises(EngineUnavailable, match='role "nobody" does not exist') as raised:
        open_engine(parse_store(url), "kb", 2)
    assert "geheim" not in str(raised.value)


def test_a_milvus_file_that_another_process_has_open_is_one_clear_error(milvus_url: str) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pymilvus import MilvusClient; c = MilvusClient(sys.argv[1]);"
         "print('open', flush=True); sys.stdin.read()", milvus_url.removeprefix("milvus://")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == b"open\n"
        with pytest.raises(EngineUnavailable, match="another process has the file open"):
            open_engine(parse_store(milvus_url), "kb", 2)
    finally:
        holder.communicate()
    open_engine(parse_store(milvus_url), "kb", 2).close()


@pytest.mark.parametrize(
    ("package", "url", "extra"),
    [("pymilvus", "milvus+http://h:1", "milvus"), ("milvus_lite", "milvus:///k.db", "milvus"),
     ("psycopg", "postgresql://h/d", "postgres")],
)  # fmt: skip
def test_a_missing_package_is_named_with_its_extra(
    package: str, url: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(PackageMissing, match=rf"pip install 'lorgnette\[{extra}\]'"):
        open_engine(parse_store(url), "kb", 2)
