"""What travels between a guest and the owner of a knowledge base, as JSON. It asks and answers nothing by itself."""

import json
from dataclasses import asdict
from typing import Any

from retrieval.errors import RetrievalError
from retrieval.projections import Finding
from retrieval.records import Found, Hit


class OwnerFailed(RetrievalError):
    """The owner could not do it; the message is its own."""


def question(operation: str, **values: Any) -> bytes:
    """Write a question."""
    return json.dumps({"operation": operation, **values}).encode()


def failure(error: Exception) -> bytes:
    """Write that it went wrong, and why."""
    return json.dumps({"error": str(error)}).encode()


def found_to_bytes(found: Found) -> bytes:
    """Write a search's result."""
    return json.dumps(asdict(found)).encode()


def findings_to_bytes(findings: list[Finding]) -> bytes:
    """Write a comparison's result."""
    return json.dumps({"findings": [asdict(finding) for finding in findings]}).encode()


def found_from_bytes(answer: bytes) -> Found:
    """Read a search's result.

    Raises:
        OwnerFailed: It went wrong over there.
    """
    read = _read(answer)
    hits = (Hit(**(hit | {key: tuple(hit[key]) for key in ("headings", "also_in")})) for hit in read["hits"])
    return Found(**(read | {"hits": tuple(hits), "degraded": tuple(read["degraded"])}))


def findings_from_bytes(answer: bytes) -> list[Finding]:
    """Read a comparison's result.

    Raises:
        OwnerFailed: It went wrong over there.
    """
    return [Finding(**finding) for finding in _read(answer)["findings"]]


def _read(answer: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(answer)
    if "error" in read:
        raise OwnerFailed(read["error"])
    return read
