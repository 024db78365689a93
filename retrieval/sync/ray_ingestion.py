"""Prepares files with Ray Data: reading, splitting, OCR and embedding on as many workers as there are.

The workers run the functions that a sync runs by itself, each with one embedder and one OCR engine for all its files;
they see the folder under the same path as we do, and never the catalogue. What they give is stored by the caller.
"""

import importlib.util
import logging
import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from retrieval.catalogue.rows import Matrix
from retrieval.errors import RetrievalError
from retrieval.reading.prepare import Prepared, Task, prepare
from retrieval.reading.recipe import Recipe
from retrieval.sync.ingestion import Worked
from retrieval.sync.missing_vectors import Embeds, embed, text_to_embed, unread_language

# Small, since whoever asks for Ray on one machine has other use for its memory; a file's chunks are some kB.
OBJECT_STORE_BYTES = 200_000_000
BLOCK_BYTES = 16_000_000
BATCH_FILES = 4
# A worker may die of its machine; of the same file it dies each time.
RETRIES = 2
WAITING = 16
POLL_S = 0.1


class RayMissing(RetrievalError):
    """The package is not here."""

    def __init__(self) -> None:
        super().__init__("The engine 'ray' needs a package that is not here; run: pip install 'lorgnette[ray]'")


class RayFailed(RetrievalError):
    """The workers cannot be had, or died."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            f"Ray's workers failed ({cause}); what was stored is safe: sync again, or with `--engine local` to see why"
        )
        self.cause = cause


@dataclass(frozen=True)
class RayWorkers:
    """Which workers."""

    count: int = 2
    address: str | None = None
    """Of a running cluster, on each machine of which Lorgnette is installed; None starts workers here."""


class RayIngestion:
    """The workers of this machine, or of a cluster."""

    embeds = True

    def __init__(self, workers: RayWorkers, open_embedder: Callable[[], Embeds]) -> None:
        """Start nothing yet.

        Args:
            workers: Which.
            open_embedder: Called once in each worker.

        Raises:
            RayMissing: There is no such package.
        """
        self._workers, self._open_embedder = workers, open_embedder
        if importlib.util.find_spec("ray") is None or importlib.util.find_spec("pyarrow") is None:
            raise RayMissing

    def work(
        self,
        recipe: Recipe,
        tasks: Sequence[Task],
        gone: Collection[tuple[str, str]],
        embedded: Mapping[str, Collection[str]],
        cancel: threading.Event,
    ) -> Generator[Worked]:
        """Prepare each file, in any order.

        Raises:
            RayFailed: The workers cannot be had, or died.
        """
        if not tasks:
            return
        rows = [{"task": pickle.dumps((task, frozenset(embedded.get(task.source, ()))))} for task in tasks]
        results: queue.Queue[bytes | BaseException | None] = queue.Queue(WAITING)
        stop = threading.Event()
        # Ray prints what its workers suffer, and stdout belongs to our caller.
        with redirect_stdout(sys.stderr), self._started():
            pipeline = self._pipeline(rows, recipe, frozenset(gone))
            reader = threading.Thread(target=_read_results, args=(pipeline, results, stop), daemon=True)
            reader.start()
            try:
                yield from _taken(results, cancel)
            finally:
                # Before Ray is shut down: what is left of the pipeline would start it again.
                stop.set()
                reader.join()

    @contextmanager
    def _started(self) -> Iterator[None]:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # Ray would tell its makers
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
        import ray

        if ray.is_initialized():  # by whoever uses us as a library
            yield
            return
        chosen: dict[str, Any] = {"address": self._workers.address or "local"}
        if self._workers.address is None:
            chosen |= {"num_cpus": self._workers.count, "object_store_memory": OBJECT_STORE_BYTES}
            chosen["include_dashboard"] = False
        try:
            ray.init(log_to_driver=False, logging_level=logging.ERROR, **chosen)
            logging.getLogger("ray").setLevel(logging.CRITICAL)  # an error comes to us as one
        except Exception as error:  # Ray raises bare ones, such as of a node that is too slow to start
            raise RayFailed(_one_line(error)) from error
        try:
            yield
        finally:
            ray.shutdown()

    def _pipeline(self, rows: list[dict[str, bytes]], recipe: Recipe, gone: frozenset[tuple[str, str]]) -> Any:
        import ray.data

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = BLOCK_BYTES
        blocks = -(-len(rows) // BATCH_FILES)
        return ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Worker,
            fn_constructor_args=(recipe, gone, self._open_embedder),
            batch_size=BATCH_FILES,
            compute=ray.data.ActorPoolStrategy(size=min(self._workers.count, blocks)),
            num_cpus=1,
            ray_remote_args_fn=lambda: {"max_restarts": RETRIES, "max_task_retries": RETRIES},
        )


class Worker:
    """Lives in a process of Ray's: prepares files and embeds their chunks."""

    def __init__(self, recipe: Recipe, gone: Collection[tuple[str, str]], open_embedder: Callable[[], Embeds]) -> None:
        self._recipe, self._gone = recipe, gone
        self._embedder: Embeds | None = None
        self._problem = ""
        try:
            self._embedder = open_embedder()
        except RetrievalError as error:
            self._problem = str(error)

    def __call__(self, batch: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        """Yield a pickled `Worked` for each pickled task and ids that need no vector."""
        given: list[tuple[Task, frozenset[str]]] = [pickle.loads(row) for row in batch["task"]]
        prepared = [(task, prepare(self._recipe, task, self._gone), has) for task, has in given]
        vectors, problem = self._vectors(prepared)
        worked = [
            Worked(task.source, file, {c.id: vectors[c.id] for c in file.chunks if c.id in vectors}, problem)
            for task, file, _ in prepared
        ]
        return {"worked": [pickle.dumps(file) for file in worked]}

    def _vectors(self, prepared: Sequence[tuple[Task, Prepared, Collection[str]]]) -> tuple[Mapping[str, Matrix], str]:
        if self._embedder is None:
            return {}, self._problem
        chunks = {
            chunk.id: chunk
            for _, file, has in prepared
            for chunk in file.chunks
            if chunk.id not in has and unread_language(self._embedder, chunk.headings, chunk.text) is None
        }
        if not chunks:
            return {}, self._problem
        texts = [text_to_embed(chunk.headings, chunk.text) for chunk in chunks.values()]
        try:
            vectors = embed(self._embedder, texts, threading.Event())
        except RetrievalError as error:
            return {}, str(error)
        assert vectors is not None, "nobody cancels it here"
        return dict(zip(chunks, vectors, strict=True)), ""


def _taken(results: "queue.Queue[bytes | BaseException | None]", cancel: threading.Event) -> Generator[Worked]:
    """Yield the results as they come; Ray may be silent for long, so that `cancel` is looked at meanwhile."""
    while not cancel.is_set():
        try:
            found = results.get(timeout=POLL_S)
        except queue.Empty:
            continue
        if found is None:
            return
        if isinstance(found, BaseException):
            raise RayFailed(_one_line(found)) from found
        yield pickle.loads(found)


def _read_results(pipeline: Any, results: "queue.Queue[bytes | BaseException | None]", stop: threading.Event) -> None:
    last: BaseException | None = None
    try:
        with closing(iter(pipeline.iter_rows())) as rows:
            for row in rows:
                if not _put(results, row["worked"], stop):
                    break
    except BaseException as error:  # a thread's edge: whoever waits must hear of it, whatever it is
        last = error
    for thread in threading.enumerate():
        if thread.name.startswith("StreamingExecutor"):
            thread.join()
    _put(results, last, stop)


def _put(
    results: "queue.Queue[bytes | BaseException | None]", item: bytes | BaseException | None, stop: threading.Event
) -> bool:
    while not stop.is_set():
        try:
            results.put(item, timeout=POLL_S)
        except queue.Full:
            continue
        return True
    return False


def _one_line(error: BaseException) -> str:
    """Return the cause: the last line of a worker's traceback, the first of all else that Ray explains at length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1 if "ray::" in lines[0] else 0]
