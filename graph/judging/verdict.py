"""What is published of a review: PASS only where code finds nothing against it. It asks no model.

A reviewer that saw something else than the draft says has not confirmed it, whatever its verdict; neither has one whose
model was not sure of the draft's words itself. The floor for that is calibrated by `benchmarks/review_calibration.py`.
"""

from dataclasses import dataclass
from typing import Literal

from graph.judging.agreement import contradiction, says_nothing

TINY_FLOOR = 0.85
"""Probability of the bundled checkpoint's whole answer from which its PASS is right 97 times out of a hundred, on
pictures that other code drew, too."""


@dataclass(frozen=True)
class Verdict:
    """What is published."""

    word: Literal["PASS", "RETRY"] | None
    """None if nothing is to be said for the answer."""
    note: str = ""
    """Why a PASS was withheld; empty if it was not."""


def published(
    verdict: Literal["PASS", "RETRY"],
    draft: str,
    seen: str,
    *,
    probability: float | None = None,
    floor: float | None = None,
    cites_nothing_there: bool = False,
) -> Verdict:
    """Return the verdict that may be published.

    Args:
        verdict: The reviewer's.
        draft: The answer that was reviewed.
        seen: What the reviewer saw itself.
        probability: Of the draft by the model that wrote it; None if it does not tell.
        floor: Under which a PASS is withheld; None for models that were not calibrated.
        cites_nothing_there: Whether the draft has marks of passages that there are not.
    """
    if verdict == "RETRY":
        return Verdict("RETRY")
    if says_nothing(draft):
        return Verdict(None, "review: not passed, there is nothing in the answer that could be checked")
    if cites_nothing_there:
        return Verdict(None, "review: not passed, the answer cites a passage that there is not")
    if (what := contradiction(draft, seen)) is not None:
        return Verdict(None, f"review: not passed, the second look saw another {what} ({seen.strip()[:80]})")
    if probability is not None and floor is not None and probability < floor:
        return Verdict(None, "review: not passed, the model was not sure of this answer")
    return Verdict("PASS")
