"""A found passage as a hit: of its places the first that the filter allows, and what is known of its file."""

from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.queries import nanoseconds
from retrieval.catalogue.rows import Occurrence, StoredChunk
from retrieval.records import Filter, Hit
from retrieval.search.fusion import Fused
from retrieval.search.relevance import match_of
from retrieval.search.verify import is_stale
from retrieval.source_filter import source_matches
from retrieval.web.origins import address_in


def hit_of(
    catalogue: Catalogue,
    folder: Path,
    found: Fused,
    chunk: StoredChunk,
    helps: float,
    wanted: Filter,
    rerank_score: float | None = None,
) -> Hit | None:
    """Return the hit; None where the filter allows none of the passage's places.

    Args:
        catalogue: Knows the files.
        folder: In which they lie.
        found: What the sides said.
        chunk: The passage.
        helps: Its relevance.
        wanted: The filter.
        rerank_score: Of the reranker, where it read the passage.
    """
    places = [place for place in chunk.occurrences if _allows(wanted, place)]
    if not places:
        return None
    place = places[0]
    row = catalogue.file(place.source)
    return Hit(
        id=chunk.id,
        source=place.source,
        page=place.page,
        start=place.start,
        end=place.end,
        text=place.text,
        headings=chunk.headings,
        sha256=place.sha256,
        indexed_at=place.indexed_at,
        stale=is_stale(folder, place),
        score=found.score if rerank_score is None else rerank_score,
        relevance=helps,
        match=match_of(helps),
        dense_rank=found.dense_rank,
        dense_score=found.dense_score,
        lexical_rank=found.lexical_rank,
        lexical_score=found.lexical_score,
        rerank_score=rerank_score,
        also_in=tuple(dict.fromkeys(other.source for other in places[1:])),
        address=address_in(row.notes) if row else None,
    )


def _allows(wanted: Filter, place: Occurrence) -> bool:
    """Say of one place what `Catalogue.numbers_matching` says of chunks: the same words elsewhere may not count."""
    after, before = nanoseconds(wanted.after), nanoseconds(wanted.before)
    return (
        (wanted.source is None or source_matches(wanted.source, place.source))
        and wanted.media_type in (None, place.media_type)
        and (after is None or place.mtime_ns >= after)
        and (before is None or place.mtime_ns < before)
    )
