"""Where a sync has its files prepared: here, or wherever another ingestion does it. It stores nothing."""

import threading
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from retrieval.catalogue.rows import Matrix
from retrieval.reading.prepare import Prepared, Task, prepare
from retrieval.reading.recipe import Recipe


@dataclass(frozen=True)
class Worked:
    """What became of a file, with its vectors."""

    source: str
    prepared: Prepared
    vectors: Mapping[str, Matrix] = field(default_factory=dict)
    """By chunk id, (D,) each; chunks that have none here are embedded when the file is stored."""
    embedding_failed: str = ""
    """Why there are no vectors, if the embedder failed."""


class Ingestion(Protocol):
    """Prepares files somewhere, in any order."""

    @property
    def embeds(self) -> bool:
        """Whether it makes vectors too."""

    def work(
        self,
        recipe: Recipe,
        tasks: Sequence[Task],
        gone: Collection[tuple[str, str]],
        embedded: Mapping[str, Collection[str]],
        cancel: threading.Event,
    ) -> Generator[Worked]:
        """Prepare each file.

        Args:
            recipe: How files become chunks.
            tasks: The files.
            gone: As `prepare` wants it; it shrinks as results are taken.
            embedded: By source, ids of chunks that have a vector already.
            cancel: Once it is set there are no more results.
        """


class LocalIngestion:
    """This process: each file when its turn comes, in order; vectors are the caller's matter."""

    embeds = False

    def work(
        self,
        recipe: Recipe,
        tasks: Sequence[Task],
        gone: Collection[tuple[str, str]],
        embedded: Mapping[str, Collection[str]],
        cancel: threading.Event,
    ) -> Generator[Worked]:
        """Prepare each file."""
        for task in tasks:
            if cancel.is_set():
                return
            yield Worked(task.source, prepare(recipe, task, gone))
