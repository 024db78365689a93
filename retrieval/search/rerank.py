"""Puts the best passages in order by reading each together with the question, within a time budget.

Does not search, and downloads nothing. What the budget did not reach keeps its place behind what was read, and the
result says so.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from retrieval.errors import RetrievalError
from retrieval.on_disk import model_folder
from retrieval.records import SearchOutcome

DEFAULT_ID = "BAAI/bge-reranker-base"
_MAX_TOKENS = 512
_MOST_PAIRS = 16


class RerankerMissing(RetrievalError):
    """The reranker's package or weights are not here."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"the reranker {name!r} cannot be opened: {reason}")


@dataclass(frozen=True)
class Reranked:
    """The order after reading."""

    order: tuple[int, ...]
    """Positions of the given passages, best first."""
    scores: tuple[float | None, ...]
    """By given position, 0 to 1; None for a passage that was not read."""
    skipped: str | None = None
    """What was left out and why, in words for the user."""


class Reranker(Protocol):
    """Reads passages together with the question."""

    @property
    def name(self) -> str:
        """Model id, for the result."""

    def rerank(self, query: str, passages: Sequence[str], budget_s: float) -> Reranked:
        """Return the passages' order; it takes at most about the budget."""


@dataclass
class BudgetedReranker:
    """A reranker from any function that scores pairs, such as a language model's probability of "yes"."""

    name: str
    score_pairs: Callable[[str, Sequence[str]], Sequence[float]]
    """From a question and some passages to their scores, 0 to 1."""
    clock: Callable[[], float] = time.monotonic
    """In seconds."""

    def rerank(self, query: str, passages: Sequence[str], budget_s: float) -> Reranked:
        """Read passages from the first on, in batches, for as long as the next batch should fit in the budget."""
        start = self.clock()
        scores: list[float] = []
        batch = 1  # how long a pair takes is unknown at first, and may be seconds
        while len(scores) < len(passages):
            spent = self.clock() - start
            if scores:
                left = int((budget_s - spent) / max(spent / len(scores), 1e-9))
                batch = min(_MOST_PAIRS, 2 * batch, left)
            if spent >= budget_s or batch < 1:
                break
            scores += self.score_pairs(query, passages[len(scores) : len(scores) + batch])
        read = sorted(range(len(scores)), key=lambda index: -scores[index])
        unread = range(len(scores), len(passages))
        skipped = f"reranker: read {len(scores)} of {len(passages)} passages in {budget_s:g} s" if unread else None
        return Reranked((*read, *unread), (*scores, *(None for _ in unread)), skipped)


class CrossEncoderReranker(BudgetedReranker):
    """A sentence-transformers CrossEncoder that is on this machine."""

    def __init__(self, name: str, folder: Path | None = None) -> None:
        """Load the model; importing sentence-transformers alone takes many seconds.

        Args:
            name: Id or folder.
            folder: Where it lies, if that is known.

        Raises:
            RerankerMissing: If the package or the model is not on this machine, or it is no reranker.
        """
        folder = folder or model_folder(name)
        if folder is None:
            raise RerankerMissing(name, f"it is not on this machine; run `lorgnette model pull {name}`")
        try:
            from sentence_transformers import CrossEncoder
        except ImportError as error:
            raise RerankerMissing(name, f"{error}; run `pip install 'lorgnette[sentence-transformers]'`") from error
        try:
            self._model = CrossEncoder(
                str(folder), local_files_only=True, trust_remote_code=False, max_length=_MAX_TOKENS
            )
        except (OSError, ValueError, KeyError) as error:
            raise RerankerMissing(name, f"{error}; is {str(folder)!r} a CrossEncoder?") from error
        if self._model.num_labels != 1:
            raise RerankerMissing(name, f"it gives {self._model.num_labels} scores a pair instead of one; name another")
        super().__init__(name, self._score)

    def _score(self, query: str, passages: Sequence[str]) -> list[float]:
        pairs = [(query, passage) for passage in passages]
        # Its default for one label is the sigmoid, hence 0 to 1.
        return [float(score) for score in self._model.predict(pairs, show_progress_bar=False)]


def is_generative(name: str) -> bool:
    """Tell whether the setting names a language model that says yes or no: the chat model, or a Qwen3-VL-Reranker."""
    if name in ("auto", "none"):
        return False
    if name == "model":
        return True
    folder = model_folder(name)
    try:
        config = json.loads((folder / "config.json").read_text("utf-8")) if folder else {}
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") == "qwen3_vl"


def reranked(found: SearchOutcome, query: str, reranker: Reranker, budget_s: float, top_k: int) -> SearchOutcome:
    """Return the best hits of a search in the order of a reranker that lives in this process."""
    from retrieval.sync.missing_vectors import text_to_embed

    began = time.monotonic()
    read = reranker.rerank(query, [text_to_embed(hit.headings, hit.text) for hit in found.hits], budget_s)
    hits = tuple(
        hit if (score := read.scores[place]) is None else replace(hit, score=score, rerank_score=score)
        for place in read.order
        for hit in [found.hits[place]]
    )
    return replace(
        found,
        hits=hits[:top_k],
        mode=f"{found.mode}+rerank" if any(score is not None for score in read.scores) else found.mode,
        degraded=(*found.degraded, read.skipped) if read.skipped else found.degraded,
        seconds={**found.seconds, "rerank": time.monotonic() - began},
    )


def open_reranker(name: str) -> tuple[Reranker | None, str | None]:
    """Open what the setting names; return it, or none and, where the user should hear of it, the reason.

    Args:
        name: `none`, `auto` (`BAAI/bge-reranker-base` where it is on disk), a CrossEncoder id or folder, or what
            `is_generative`, for which there is none here.

    Raises:
        RerankerMissing: If a model that the user named is not on this machine.
    """
    if name == "none" or is_generative(name):  # the latter lives beside the chat model, not beside the indexes
        return None, None
    if name != "auto":
        return CrossEncoderReranker(name), None
    folder = model_folder(DEFAULT_ID)
    if folder is None:
        return None, f"reranker: {DEFAULT_ID} is not on this machine; `lorgnette model pull {DEFAULT_ID}` brings it"
    return CrossEncoderReranker(DEFAULT_ID, folder), None
