"""What travels between a guest and the owner of a knowledge base, as JSON. It asks and answers nothing by itself."""

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from retrieval.errors import RetrievalError
from retrieval.index.projections import IndexComparison
from retrieval.records import Filter, Hit, SearchOutcome


class OwnerFailed(RetrievalError):
    """The owner could not do it; the message is its own."""


class NotUnderstood(RetrievalError):
    """What a guest sent is no question of this version."""

    def __init__(self) -> None:
        super().__init__("the question was not understood; let all running lorgnettes be of the same version")


@dataclass(frozen=True)
class Question:
    """What a guest wants."""

    operation: Literal["search", "compare", "rebuild"]
    query: str = ""
    top_k: int = 0
    filter: Filter = field(default_factory=Filter)
    wait_s: float = 0.0


def question_from_bytes(asked: bytes) -> Question:
    """Read a question.

    Raises:
        NotUnderstood: It is none.
    """
    try:
        read = Question(**json.loads(asked))
        if read.operation == "search" and isinstance(read.filter, dict):
            return replace(read, filter=Filter(**read.filter))
    except (ValueError, TypeError) as error:
        raise NotUnderstood from error
    if read.operation not in ("compare", "rebuild"):
        raise NotUnderstood
    return read


def question(operation: str, **values: Any) -> bytes:
    """Write a question."""
    return json.dumps({"operation": operation, **values}).encode()


def failure(error: Exception) -> bytes:
    """Write that it went wrong, and why."""
    return json.dumps({"error": str(error)}).encode()


def found_to_bytes(found: SearchOutcome) -> bytes:
    """Write a search's result."""
    return json.dumps(asdict(found)).encode()


def findings_to_bytes(findings: list[IndexComparison]) -> bytes:
    """Write a comparison's result."""
    return json.dumps({"findings": [asdict(finding) for finding in findings]}).encode()


def found_from_bytes(answer: bytes) -> SearchOutcome:
    """Read a search's result.

    Raises:
        OwnerFailed: It went wrong over there.
    """
    read = _read(answer)
    hits = (Hit(**(hit | {key: tuple(hit[key]) for key in ("headings", "also_in")})) for hit in read["hits"])
    return SearchOutcome(**(read | {"hits": tuple(hits), "degraded": tuple(read["degraded"])}))


def findings_from_bytes(answer: bytes) -> list[IndexComparison]:
    """Read a comparison's result.

    Raises:
        OwnerFailed: It went wrong over there.
    """
    return [IndexComparison(**finding) for finding in _read(answer)["findings"]]


def _read(answer: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(answer)
    if "error" in read:
        raise OwnerFailed(read["error"])
    return read
