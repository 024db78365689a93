"""The passages of a document in order, for whoever asked for all of it. It judges none of them."""

from dataclasses import dataclass, replace
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.records import Filter, Hit
from retrieval.search.fusion import Fused
from retrieval.search.hits import hit_of
from retrieval.search.named_documents import NamedDocuments

MOST_PASSAGES = 400
"""Of one document; nobody reads more at once."""


@dataclass(frozen=True)
class WholeDocument:
    """A document that a question asks for as a whole."""

    source: str
    hits: tuple[Hit, ...]
    """Its passages in order, at most so many as were wanted."""
    passages: int
    """How many it has."""
    notes: tuple[str, ...] = ()
    """What the user must know: that another name was typed, what of its file was not read."""


def whole_document(
    catalogue: Catalogue,
    folder: Path,
    source: str,
    *,
    wanted: Filter | None = None,
    most: int = MOST_PASSAGES,
    helps: float = 1.0,
    page: int | None = None,
) -> WholeDocument:
    """Return a document's first passages in order, or a page's, each of that relevance."""
    only = Filter(source=source) if wanted is None else wanted
    places = [
        (place.ordinal, place.page, chunk)
        for chunk in catalogue.chunks(catalogue.numbers_matching(only))
        for place in chunk.occurrences
        if place.source == source
    ]
    places.sort(key=lambda place: place[0])
    notes: tuple[str, ...] = ()
    if page is not None:
        pages = [number for _, number, _ in places if number is not None]
        there = f"its pages with text end with {max(pages)}" if pages else "it has no pages"
        notes = () if page in pages else (f"{source}: nothing stands on page {page}, {there}",)
        places = [place for place in places if place[1] == page] or places
    found = [
        hit_of(catalogue, folder, Fused(chunk.number, helps), chunk, helps, only)
        for _, _, chunk in places[: min(most, MOST_PASSAGES)]
    ]
    return WholeDocument(source, tuple(hit for hit in found if hit is not None), len(places), notes)


def asked_whole(catalogue: Catalogue, folder: Path, names: NamedDocuments, question: str) -> tuple[WholeDocument, ...]:
    """Return the documents whose whole a question asks for, as for a summary; none where it asks for none."""
    named = names.in_question(question)
    if named is None or not named.whole:
        return ()
    read = (whole_document(catalogue, folder, one, page=named.page) for one in named.sources)
    return tuple(replace(one, notes=(*named.notes, *one.notes)) for one in read)
