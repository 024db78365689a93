"""What a search gives that names documents: what they say first, or, where all of one is asked for, how it begins."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain, zip_longest

from retrieval.records import Hit, SearchOutcome
from retrieval.search.named_documents import Named
from retrieval.search.relevance import THRESHOLD
from retrieval.search.whole_document import WholeDocument

SearchIn = Callable[[str, int, str | None], SearchOutcome]
"""Searches for a question and so many hits, in one document or in all."""
Begin = Callable[[str, int, float], WholeDocument]
"""Gives so many first passages of a document, each of that relevance."""


def search_named(named: Named, query: str, top_k: int, search: SearchIn, begin: Begin) -> SearchOutcome:
    """Search the named documents, and behind them all; or return how they begin."""
    if named.whole:
        return _beginnings(named.sources, top_k, begin)
    # Whoever names a document wants to see it, were it only how it begins.
    each = [
        search(named.rest, top_k, source).hits or begin(source, 1, 0.0).hits for source in named.sources
    ]  # fmt: skip
    own = [hit for hit in chain.from_iterable(zip_longest(*each)) if hit is not None]
    found = search(query, top_k, None)
    # By its name each passage of a named document would seem to answer: only what the rest finds there counts.
    others = [hit for hit in found.hits if hit.source not in named.sources]
    best = max((hit.score for hit in others), default=0.0)
    helping = [replace(hit, score=hit.score + best) for hit in own if hit.relevance >= THRESHOLD]
    # What is shown of a named document only because something must be stands behind what helps.
    rest = [replace(hit, score=0.0) for hit in own if hit.relevance < THRESHOLD]
    hits = [*helping, *others[: max(0, top_k - len(helping) - len(rest))], *rest]
    return replace(found, hits=tuple(hits[:top_k]))


def _beginnings(sources: Sequence[str], top_k: int, begin: Begin) -> SearchOutcome:
    hits: list[Hit] = []
    notes: list[str] = []
    for place, source in enumerate(sources):
        begun = begin(source, max(1, (top_k - len(hits)) // (len(sources) - place)), 1.0)
        hits += begun.hits
        notes += begun.notes
        if len(begun.hits) < begun.passages:
            shown = f"its first {len(begun.hits)} of {begun.passages} passages follow"
            notes.append(f"{source}: asked for whole, {shown}")
    return SearchOutcome(tuple(hits[:top_k]), "document", tuple(notes), THRESHOLD)
