"""Documents that a question asks for as a whole, as evidence within a budget. It reads nothing and asks nobody."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from graph.answer import Passage
from graph.evidence.passages import passage_of
from graph.history import estimated_tokens

if TYPE_CHECKING:
    from retrieval.search.whole_document import WholeDocument

MOST = 99
"""Passages that can be numbered in an answer's marks."""
BEGINNING = 3
"""The share of the budget that a document's beginning gets where not all of it fits: a third."""
CUT = (
    "knowledge base: {source} is too long to be read whole: {read} of its {all} passages were read, its beginning and "
    "others spread over the rest; document_tokens in the settings allows more"
)


def whole_evidence(documents: Sequence["WholeDocument"], budget: int, notes: list[str]) -> list[Passage]:
    """Return the passages of documents in order; what does not fit is left out evenly, and said.

    Args:
        documents: Those that were asked for.
        budget: Tokens for all of them, about; what one does not need the next one has.
        notes: What the user must know is added here.
    """
    found: list[Passage] = []
    for place, document in enumerate(documents):
        left = len(documents) - place
        passages = [passage_of(hit) for hit in document.hits]
        taken = _fitting(passages, budget // left, (MOST - len(found)) // left)
        budget -= sum(_cost(passage) for passage in taken)
        found += taken
        if len(taken) < document.passages:
            notes.append(CUT.format(source=document.source, read=len(taken), all=document.passages))
        notes += [f"knowledge base: {note}" for note in document.notes]
        if any(hit.stale for hit in document.hits):
            notes.append(f"knowledge base: {document.source} has changed since it was indexed")
    return found


def _fitting(passages: list[Passage], budget: int, most: int) -> list[Passage]:
    costs = [_cost(passage) for passage in passages]
    if sum(costs) <= budget and len(passages) <= most:
        return passages
    count = 0
    while count < min(most, len(passages)) and sum(costs[i] for i in _chosen(count + 1, len(passages))) <= budget:
        count += 1
    return [passages[i] for i in _chosen(max(1, count), len(passages))]


def _chosen(count: int, of: int) -> list[int]:
    """Return so many of the numbers below `of`: the first ones, and others evenly over the rest, up to the last."""
    first = (count + BEGINNING - 1) // BEGINNING
    spread = count - first
    return [*range(first), *(first + ((of - first) * (i + 1) - 1) // spread for i in range(spread))]


def _cost(passage: Passage) -> int:
    return estimated_tokens(passage.text)
