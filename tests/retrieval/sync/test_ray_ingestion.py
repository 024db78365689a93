"""The same folder by this process and by two workers of Ray; the fakes of `conftest` travel to the workers by value."""

import os
import pickle
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.embedders.embedder import EmbedderMissing
from retrieval.embedders.open import open_embedder
from retrieval.reading.prepare import Task
from retrieval.reading.recipe import Recipe, open_recipe
from retrieval.records import Document
from retrieval.settings import RetrievalSettings
from retrieval.sync.ingestion import LocalIngestion, Worked
from retrieval.sync.ray_ingestion import RayFailed, RayIngestion, RayMissing, RayWorkers, Worker
from retrieval.sync.sync import sync
from tests.retrieval.conftest import LetterEmbedder

# Ray's own start leaves sockets and files to the collector.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.heavy]
LONG_AGO = 1_700_000_000


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    write(made / "a.txt", b"aa\n\nbb")
    write(made / "b.md", b"cab\n\nbb")
    write(made / "in" / "c.txt", "知识".encode())
    write(made / "d.txt", b"BROKEN")
    write(made / "e.txt", b"x" * 20_000)
    return made


@pytest.fixture
def catalogues(tmp_path: Path) -> Iterator[tuple[Catalogue, Catalogue]]:
    opened = Catalogue(tmp_path / "one" / "kb.sqlite"), Catalogue(tmp_path / "two" / "kb.sqlite")
    yield opened
    for catalogue in opened:
        catalogue.close()


@pytest.fixture
def fakes_travel(paragraphs: Recipe) -> Iterator[None]:
    """The workers cannot import the tests."""
    cloudpickle = pytest.importorskip("ray.cloudpickle")
    modules = [sys.modules[paragraphs.split.__module__], sys.modules[__name__]]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    yield
    for module in modules:
        cloudpickle.unregister_pickle_by_value(module)


def held(catalogue: Catalogue, embedder: str) -> dict[tuple[str, int], tuple[object, ...]]:
    """All that must not depend on who did the work."""
    found: dict[tuple[str, int], tuple[object, ...]] = {}
    for page in catalogue.pages():
        for c in page:
            for p in c.occurrences:
                found[p.source, p.ordinal] = (c.id, c.headings, p.start, p.end, p.page, p.text, p.sha256, p.title)
    return found


def vectors(catalogue: Catalogue, embedder: str) -> dict[str, np.ndarray]:
    return catalogue.vectors_by_id({c.id for page in catalogue.pages() for c in page}, embedder)


def assert_same(one: Catalogue, two: Catalogue, embedder: str) -> None:
    assert held(one, embedder) == held(two, embedder)
    assert {f.source: f.reason for f in one.skipped()} == {f.source: f.reason for f in two.skipped()}
    first, second = vectors(one, embedder), vectors(two, embedder)
    assert first.keys() == second.keys() and len(first) == one.counts().vectors[embedder] > 0
    for id, vector in first.items():
        np.testing.assert_allclose(second[id], vector, atol=1e-5)


def batch(*tasks: Task, has: frozenset[str] = frozenset()) -> dict[str, list[bytes]]:
    return {"task": [pickle.dumps((task, has)) for task in tasks]}


def worked(worker: Worker, given: dict[str, list[bytes]]) -> list[Worked]:
    return [pickle.loads(row) for row in worker(given)["worked"]]


def task(folder: Path, source: str, sha256: str | None = None) -> Task:
    return Task(source, folder / source, sha256)


def test_a_worker_gives_what_this_process_gives_and_the_vectors(
    folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    tasks = [task(folder, source) for source in ("a.txt", "d.txt", "e.txt", "nothing.txt")]
    here = list(LocalIngestion().work(paragraphs, tasks, (), {}, threading.Event()))
    there = worked(Worker(paragraphs, (), lambda: letters), batch(*tasks))
    assert [w.prepared for w in there] == [w.prepared for w in here]
    assert [w.prepared.state for w in there] == ["read", "skipped", "skipped", "gone"]
    assert letters.asked == ["aa", "bb"]
    chunks = there[0].prepared.chunks
    assert np.array_equal([there[0].vectors[c.id] for c in chunks], letters.embed_documents(["aa", "bb"]))


def test_a_worker_embeds_what_two_files_share_once_and_nothing_that_has_a_vector(
    folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    (first,) = worked(Worker(paragraphs, (), lambda: letters), batch(task(folder, "a.txt")))
    letters.asked.clear()
    has = frozenset({first.prepared.chunks[0].id})
    both = batch(task(folder, "a.txt"), task(folder, "b.md"), has=has)
    one, two = worked(Worker(paragraphs, (), lambda: letters), both)
    assert letters.asked == ["bb", "cab"]
    assert len(one.vectors) == 1 and len(two.vectors) == 2


def test_a_worker_without_an_embedder_reads_and_says_why_there_are_no_vectors(folder: Path, paragraphs: Recipe) -> None:
    def missing() -> LetterEmbedder:
        raise EmbedderMissing("x", "no weights")

    (file,) = worked(Worker(paragraphs, (), missing), batch(task(folder, "a.txt")))
    assert (len(file.prepared.chunks), file.vectors) == (2, {}) and "no weights" in file.embedding_failed


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RayMissing, match=r"pip install 'lorgnette\[ray\]'"):
        RayIngestion(RayWorkers(), lambda: pytest.fail("it was opened"))


@pytest.mark.slow
def test_two_workers_and_this_process_give_the_same_catalogue(
    folder: Path,
    catalogues: tuple[Catalogue, Catalogue],
    paragraphs: Recipe,
    letters: LetterEmbedder,
    fakes_travel: None,
) -> None:
    one, two = catalogues
    # The class is cloudpickled with the opener; so is the recipe.
    on_ray = RayIngestion(RayWorkers(2), LetterEmbedder)
    local = sync(one, folder, letters, paragraphs)
    ray = sync(two, folder, letters, paragraphs, ingestion=on_ray)
    assert (ray.added, ray.skipped, sorted(ray.reasons)) == (local.added, local.skipped, sorted(local.reasons))
    assert_same(one, two, "letters")
    assert two.check() == []


@pytest.mark.slow
def test_edits_renames_and_removals_are_the_same_on_ray(
    folder: Path,
    catalogues: tuple[Catalogue, Catalogue],
    paragraphs: Recipe,
    letters: LetterEmbedder,
    fakes_travel: None,
) -> None:
    one, two = catalogues
    on_ray = RayIngestion(RayWorkers(2), LetterEmbedder)
    for catalogue, ingestion in ((one, None), (two, on_ray)):
        sync(catalogue, folder, letters, paragraphs, ingestion=ingestion)
    (folder / "b.md").rename(folder / "moved.md")
    (folder / "in" / "c.txt").unlink()
    write(folder / "a.txt", b"aa\n\nnew")
    write(folder / "d.txt", b"mended now")
    reports = [sync(c, folder, letters, paragraphs, ingestion=i) for c, i in ((one, None), (two, on_ray))]
    assert replace(reports[1], seconds=0.0) == replace(reports[0], seconds=0.0)
    assert (reports[1].renamed, reports[1].removed, reports[1].updated, reports[1].embedded) == (1, 1, 2, 2)
    assert_same(one, two, "letters")


@pytest.mark.slow
def test_a_dying_worker_leaves_what_is_stored_whole_and_the_next_sync_goes_on(
    folder: Path,
    catalogues: tuple[Catalogue, Catalogue],
    paragraphs: Recipe,
    letters: LetterEmbedder,
    fakes_travel: None,
) -> None:
    def read(path: Path, data: bytes) -> Document:
        if path.name == "z.txt":
            os._exit(1)
        return paragraphs.read(path, data)

    for i in range(20):
        write(folder / f"f{i}.txt", f"own {i}".encode())
    write(folder / "z.txt", b"deadly")
    catalogue = catalogues[0]
    with pytest.raises(RayFailed, match="sync again"):
        sync(catalogue, folder, letters, replace(paragraphs, read=read),
             ingestion=RayIngestion(RayWorkers(2), LetterEmbedder))  # fmt: skip
    assert catalogue.check() == []
    sync(catalogue, folder, letters, paragraphs)
    sync(catalogues[1], folder, letters, paragraphs)
    assert_same(catalogues[0], catalogues[1], "letters")


@pytest.mark.slow
def test_cancelling_on_ray_keeps_what_is_done(
    folder: Path,
    catalogues: tuple[Catalogue, Catalogue],
    paragraphs: Recipe,
    letters: LetterEmbedder,
    fakes_travel: None,
) -> None:
    for i in range(100):
        write(folder / f"f{i}.txt", f"own {i}".encode())
    stop = threading.Event()
    catalogue = catalogues[0]
    report = sync(catalogue, folder, letters, paragraphs, progress=lambda *_: stop.set(), cancel=stop,
                  ingestion=RayIngestion(RayWorkers(2), LetterEmbedder))  # fmt: skip
    assert report.cancelled and 0 < report.added < 103
    assert catalogue.check() == []
    assert sync(catalogue, folder, letters, paragraphs).added == 103 - report.added


@pytest.mark.slow
def test_the_bundled_embedder_and_ocr_give_the_same_on_ray(catalogues: tuple[Catalogue, Catalogue]) -> None:
    samples = Path(__file__).parents[3] / "knowledge_base"
    one, two = catalogues
    recipe = open_recipe(RetrievalSettings())
    embedder = open_embedder("minilm", threads=1)
    sync(one, samples, embedder, recipe)
    sync(two, samples, embedder, recipe,
         ingestion=RayIngestion(RayWorkers(2), partial(open_embedder, "minilm", threads=1)))  # fmt: skip
    assert one.counts().files > 5
    assert_same(one, two, embedder.fingerprint)
