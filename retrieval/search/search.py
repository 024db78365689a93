"""From a question to hits: both projections, fusion, reranking, and what the user must know about them.

It opens nothing and loads nothing; what is not ready yet is left out, and the result says so.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.queries import nanoseconds
from retrieval.catalogue.rows import Occurrence, StoredChunk
from retrieval.embedders.embedder import Embedder
from retrieval.index.engines.engine import EngineUnavailable
from retrieval.index.projections import Projections
from retrieval.index.searched_words import languages_held, passage_tokens
from retrieval.language import NAMES, languages_of
from retrieval.records import Filter, Hit, SearchOutcome
from retrieval.search.fusion import Fused, fuse, lexical_weight
from retrieval.search.relevance import (
    THRESHOLD,
    WHOLE,
    coverage,
    likeness,
    match_of,
    relevance,
    unrelated_cosine,
    word_worths,
)
from retrieval.search.rerank import Reranker
from retrieval.search.respell import respelled
from retrieval.search.verify import is_stale
from retrieval.settings import RetrievalSettings
from retrieval.source_filter import source_matches
from retrieval.sync.missing_vectors import text_to_embed
from retrieval.tokens import codes, document_tokens, holds_phrase, phrases, query_tokens
from retrieval.web.origins import address_in

CANDIDATES = 100  # of each side
RERANKED = 30  # of the fused ones
TIED = 5  # read beyond what is asked for, since of equal scores the likelier goes first
HOLDS_ALL = 0.15
"""Added to the score of a passage that holds all the words of a question: what is near to it but says something else
else goes first where the vectors say so. On the known sets it changes nothing that can be told from chance."""
CODE_IN = 5  # passages that may hold a code that still tells one from the others

_ANYTHING = Filter()


class Searcher:
    """Searches one knowledge base. Embedder and reranker may come later, from another thread."""

    def __init__(
        self, catalogue: Catalogue, projections: Projections, folder: Path, settings: RetrievalSettings
    ) -> None:
        self._catalogue, self._projections, self._folder, self._settings = catalogue, projections, folder, settings
        self.embedder: Embedder | None = None
        self.embedder_state = "its embedder is still loading"
        """Why there is none, in words for the user."""
        self.reranker: Reranker | None = None
        self.reranker_state: str | None = None
        """Likewise; none where nobody needs to hear of it."""
        self._unrelated = 0.0

    def use_embedder(self, embedder: Embedder) -> None:
        """Search by vectors, too, from now on; it embeds a few sentences to learn what its cosines mean.

        Raises:
            EmbeddingFailed: The embedder's endpoint does not answer.
        """
        self._unrelated = unrelated_cosine(embedder)
        self.embedder = embedder

    def search(self, query: str, top_k: int = 5, wanted: Filter = _ANYTHING) -> SearchOutcome:
        """Return the passages that help with the question, best first; none where nothing does.

        Where nothing does and a word stands in no passage, the nearest one that does is searched for, and said.

        Raises:
            CatalogueError: The catalogue cannot be read.
            ProjectionDamaged: An index is damaged, and could not be made anew.
            EmbeddingFailed: The embedder's endpoint does not answer.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "catch up"):
            self._projections.catch_up()
        found = self._search(query, top_k, wanted, seconds)
        if found.hits:
            return found
        lexical = self._projections.lexical
        language = next(iter(languages_of(query, languages_held(lexical))), None)
        meant = respelled(query, lexical, self._catalogue.chunks, language)
        again = self._search(meant, top_k, wanted, seconds) if meant else found
        if not again.hits:
            return found
        return replace(again, degraded=(*again.degraded, f'spelling: nothing was found, so "{meant}" was searched for'))

    def _search(self, query: str, top_k: int, wanted: Filter, seconds: dict[str, float]) -> SearchOutcome:
        degraded: list[str] = []
        allowed = None if wanted == _ANYTHING else set(map(int, self._catalogue.numbers_matching(wanted)))
        lexical = self._projections.lexical
        with _timed(seconds, "lexical"):
            # What the words stand for hangs on the language; of a few words several are possible, and each is tried.
            languages: list[str | None] = [*languages_of(query, languages_held(lexical))] or [None]
            readings = [query_tokens(query, language) for language in languages]
            frequencies = lexical.frequencies([t for language in languages for t in document_tokens(query, language)])
            by_words = lexical.search(_either(readings), CANDIDATES, allowed)
            seen = max(lexical_weight(query, frequencies, lexical.count, language) for language in languages)
        by_vector = self._nearest(query, languages[0], allowed, degraded, seconds)
        with _timed(seconds, "fusion"):
            weights = {"dense_weight": float(bool(by_vector)), "lexical_weight": seen}
            fused = fuse(by_vector, by_words, method=self._settings.fusion, **weights)
            fused = self._codes_first(fused, codes(query), frequencies, allowed)
        modes = ["dense"] * bool(by_vector) + ["lexical"] * bool(seen and by_words)
        with _timed(seconds, "read"):
            last = by_vector[-1][1] if by_vector else None
            worths = [word_worths(tokens, frequencies, lexical.count) for tokens in readings]
            quoted = phrases(query, languages[0])
            looked_at = max(top_k + TIED, RERANKED if self.reranker or quoted else 0)
            ranked = self._relevant(worths, fused[:looked_at], last, sees=seen >= 1, always=wanted.source is not None)
            ranked = _phrases_first(quoted, ranked)
        rerank_scores: Sequence[float | None] = [None] * len(ranked)
        if self.reranker is not None and ranked:
            with _timed(seconds, "rerank"):
                reranked = self.reranker.rerank(
                    query, [text_to_embed(c.headings, c.text) for _, c, _ in ranked], self._settings.rerank_budget_s
                )
            rerank_scores = [reranked.scores[i] for i in reranked.order]
            ranked = [ranked[i] for i in reranked.order]
            if any(score is not None for score in rerank_scores):
                modes.append("rerank")
            if reranked.skipped:
                degraded.append(reranked.skipped)
        elif self.reranker_state:
            degraded.append(self.reranker_state)
        hits = [
            self._hit(found, chunk, helps, score, wanted)
            for (found, chunk, helps), score in zip(ranked[:top_k], rerank_scores, strict=False)
        ]
        return SearchOutcome(
            tuple(hit for hit in hits if hit), "+".join(modes) or "none", tuple(degraded), THRESHOLD, seconds
        )

    def _nearest(
        self,
        query: str,
        language: str | None,
        allowed: set[int] | None,
        degraded: list[str],
        seconds: dict[str, float],
    ) -> list[tuple[int, float]]:
        dense, embedder = self._projections.dense, self.embedder
        if embedder is not None and self._projections.dense_problem:
            degraded.append(f"dense: only words were searched, {self._projections.dense_problem}")
            return []
        if embedder is None or dense is None:
            degraded.append(f"dense: only words were searched, {self.embedder_state}")
            return []
        if without := self._projections.without_vector:
            degraded.append(f"dense: {without} passages have no vector yet; run `lorgnette kb sync`")
        if not embedder.knows(query, language):
            unknown = NAMES[language] if language and embedder.knows(query) else "this script"
            degraded.append(
                f"dense: only words were searched, the embedder does not know {unknown};"
                ' `embedder = "multilingual"` in the settings knows a hundred languages'
            )
            return []
        with _timed(seconds, "embed"):
            vector = embedder.embed_query(query)
        try:
            with _timed(seconds, "dense"):
                return dense.search(vector, CANDIDATES, allowed)
        except EngineUnavailable as error:
            self._projections.dense_failed(error)
            degraded.append(f"dense: only words were searched, {error}")
            return []

    def _relevant(
        self,
        worths: Sequence[Mapping[str, float]],
        best: Sequence[Fused],
        last: float | None,
        *,
        sees: bool,
        always: bool,
    ) -> list[tuple[Fused, StoredChunk, float]]:
        """Read the best candidates, with how likely they help, and leave out those that do not.

        Of a passage that only its words found it is known that its cosine is at most the `last` of the dense side.
        Of equal scores the likelier goes first; `always` keeps the best one whatever it is worth.
        """
        chunks = {chunk.number: chunk for chunk in self._catalogue.chunks([found.number for found in best])}
        held = self._projections.lexical.held(list(chunks))
        kept, all_of_it = [], []
        worth_of: dict[int, float] = {}
        for found in best:
            chunk = chunks.get(found.number)  # gone since the projections caught up
            if chunk is not None:
                words = held.get(found.number, frozenset())
                covered, asked = max((coverage(worth, words), len(worth)) for worth in worths)
                cosine = last if found.dense_score is None else found.dense_score
                like = None if cosine is None else likeness(cosine, self._unrelated)
                helps = relevance(covered, like, asked, lexical_sees=sees)
                worth_of[found.number] = round(found.score + (HOLDS_ALL if covered >= WHOLE else 0.0), 6)
                all_of_it.append((found, chunk, helps))
                if helps >= THRESHOLD:
                    kept.append((found, chunk, helps))
        # Whoever names a file wants to see what it says.
        kept = kept or (all_of_it[:1] if always else [])
        return sorted(kept, key=lambda found: (-worth_of[found[0].number], -found[2]))

    def _codes_first(
        self, fused: list[Fused], named: Sequence[str], frequencies: Mapping[str, int], allowed: set[int] | None
    ) -> list[Fused]:
        """Put in front the passages that hold most of the question's rare codes, which mean one thing each."""
        lexical = self._projections.lexical
        in_names = lexical.frequencies_in_names(named)
        rare = [
            code
            for code in named
            if 0 < max(frequencies.get(code, 0), in_names[code]) <= max(CODE_IN, lexical.count // 100)
        ]
        if not rare:
            return fused
        held: Counter[int] = Counter()
        for code in rare:
            held.update(number for number, _ in lexical.search([code], CANDIDATES, allowed))
        known = {found.number for found in fused}
        fused += [Fused(number, 0.0) for number in held if number not in known]
        # The score stays one that can be compared: 1 for each code, and what the fusion says.
        fused = [replace(f, score=f.score + held[f.number]) for f in fused]
        return sorted(fused, key=lambda found: (-found.score, found.number))

    def _hit(
        self, found: Fused, chunk: StoredChunk, helps: float, rerank_score: float | None, wanted: Filter
    ) -> Hit | None:
        places = [place for place in chunk.occurrences if _allows(wanted, place)]
        if not places:
            return None
        place = places[0]
        row = self._catalogue.file(place.source)
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
            stale=is_stale(self._folder, place),
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


def _either(readings: Sequence[Sequence[str]]) -> list[str]:
    """Return the first reading's tokens, and what the others have besides."""
    rest = dict.fromkeys(token for reading in readings[1:] for token in reading if token not in readings[0])
    return [*readings[0], *rest]


def _phrases_first(
    quoted: Sequence[Sequence[str]], ranked: list[tuple[Fused, StoredChunk, float]]
) -> list[tuple[Fused, StoredChunk, float]]:
    """Put in front the passages in which most of what the question quotes stands together; else keep the order."""
    if not quoted:
        return ranked

    def missing(found: tuple[Fused, StoredChunk, float]) -> int:
        tokens = passage_tokens(found[1])
        return -sum(holds_phrase(tokens, phrase) for phrase in quoted)

    return sorted(ranked, key=missing)


def _allows(wanted: Filter, place: Occurrence) -> bool:
    """Say of one place what `Catalogue.numbers_matching` says of chunks: the same words elsewhere may not count."""
    after, before = nanoseconds(wanted.after), nanoseconds(wanted.before)
    return (
        (wanted.source is None or source_matches(wanted.source, place.source))
        and wanted.media_type in (None, place.media_type)
        and (after is None or place.mtime_ns >= after)
        and (before is None or place.mtime_ns < before)
    )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 5)
