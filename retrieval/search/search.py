"""From a question to hits: both projections, fusion, reranking, and what the user must know about them.

It opens nothing and loads nothing; what is not ready yet is left out, and the result says so.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.embedders.embedder import Embedder
from retrieval.index.engines.engine import EngineUnavailable
from retrieval.index.lexical import Held
from retrieval.index.projections import Projections
from retrieval.index.searched_words import languages_held
from retrieval.language import NAMES, UNKNOWN, language_of, languages_of
from retrieval.records import Filter, Hit, SearchOutcome
from retrieval.search.asking import plainly, readings
from retrieval.search.first import Ranked, as_typed, codes_first, identities, phrases_first, unknown_codes
from retrieval.search.fusion import Fused, fuse, lexical_weight
from retrieval.search.hits import hit_of
from retrieval.search.named_documents import Named, NamedDocuments
from retrieval.search.relevance import (
    RELEVANT,
    THRESHOLD,
    WHOLE,
    coverage,
    length,
    likeness,
    relevance,
    unrelated_cosine,
    word_worths,
)
from retrieval.search.rerank import Reranker
from retrieval.search.respell import respelled
from retrieval.search.together import TOGETHER, together
from retrieval.search.whole_document import WholeDocument, whole_document
from retrieval.settings import RetrievalSettings
from retrieval.sync.missing_vectors import text_to_embed
from retrieval.terms import Term, codes, phrases, terms
from retrieval.tokens import document_tokens, query_tokens, script_counts

CANDIDATES = 100  # of each side
RERANKED = 30  # of the fused ones
TIED = 5  # read beyond what is asked for, since of equal scores the likelier goes first
HOLDS_ALL = 0.15
"""Added to the score of a passage that holds all the words of a question: what is near to it but says something else
else goes first where the vectors say so. On the known sets it changes nothing that can be told from chance."""

UNSPACED = {"han": "zh", "kana": "ja", "hangul": "ko"}
"""Scripts of which a few characters tell the language."""
_ANYTHING = Filter()
Asked = tuple[Sequence[Term], Mapping[str, float]]
"""Terms of which one reading of a question consists, and what each of their tokens is worth."""


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
        self.on_unknown_language: Callable[[str], None] = lambda language: None
        """Hears of each question in a language that the embedder does not know."""
        self._unrelated = 0.0
        self._names = NamedDocuments(catalogue)

    def use_embedder(self, embedder: Embedder) -> None:
        """Search by vectors, too, from now on; it embeds a few sentences to learn what its cosines mean.

        Raises:
            EmbeddingFailed: The embedder's endpoint does not answer.
        """
        self._unrelated = unrelated_cosine(embedder)
        self.embedder = embedder

    def search(self, query: str, top_k: int = 5, wanted: Filter = _ANYTHING) -> SearchOutcome:
        """Return the passages that help with the question, best first; none where nothing does.

        Where nothing does and a word stands in no passage, the nearest one that does is searched for, and said. The
        passages of a document that the question names go first; where all of it is asked for, as it begins.

        Raises:
            CatalogueError: The catalogue cannot be read.
            ProjectionDamaged: An index is damaged, and could not be made anew.
            EmbeddingFailed: The embedder's endpoint does not answer.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "catch up"):
            self._projections.catch_up()
        named = self._names.in_question(query) if wanted.source is None else None
        if named is not None:
            return self._inside(named, query, top_k, wanted, seconds)
        found = self._search(query, top_k, wanted, seconds)
        if found.hits:
            return found
        lexical = self._projections.lexical
        language = next(iter(languages_of(query, languages_held(lexical))), None)
        meant = respelled(plainly(query), lexical, self._catalogue.chunks, language)
        again = self._search(meant, top_k, wanted, seconds) if meant else found
        if not again.hits:
            unread = None if any("multilingual" in note for note in found.degraded) else self._unread()
            return replace(found, degraded=(*found.degraded, unread)) if unread else found
        # That this was meant is a guess, whatever the passage says.
        hits = tuple(replace(hit, match="weak", relevance=min(hit.relevance, RELEVANT - 0.01)) for hit in again.hits)
        note = f'spelling: nothing was found, so "{meant}" was searched for'
        return replace(again, hits=hits, degraded=(*again.degraded, note))

    def _inside(self, named: Named, query: str, top_k: int, wanted: Filter, seconds: dict[str, float]) -> SearchOutcome:
        """Search the named documents, and behind them all; or return how they begin."""
        if named.whole:
            return self._beginnings(named.sources, top_k, wanted)
        own: list[Hit] = []
        for source in named.sources:
            only = replace(wanted, source=source)
            # Whoever names a document wants to see it, were it only how it begins.
            own += self._search(named.rest, top_k, only, seconds).hits or self._first(source, 1, only, 0.0).hits
        found = self._search(query, top_k, wanted, seconds)
        ids = {hit.id for hit in own}
        others = [hit for hit in found.hits if hit.id not in ids]
        # What is shown of a named document only because something must be stands behind what helps.
        helping = sorted((hit for hit in own if hit.relevance >= THRESHOLD), key=lambda hit: -hit.score)
        rest = [hit for hit in own if hit.relevance < THRESHOLD]
        best = max((hit.score for hit in others), default=0.0)
        hits = [replace(hit, score=hit.score + best) for hit in helping]
        hits += others[: max(0, top_k - len(hits) - len(rest))] + [replace(hit, score=0.0) for hit in rest]
        return replace(found, hits=tuple(hits[:top_k]))

    def _beginnings(self, sources: Sequence[str], top_k: int, wanted: Filter) -> SearchOutcome:
        """Return the first passages of documents, in order, whose whole was asked for."""
        hits: list[Hit] = []
        notes: list[str] = []
        for place, source in enumerate(sources):
            share = max(1, (top_k - len(hits)) // (len(sources) - place))
            begun = self._first(source, share, replace(wanted, source=source))
            hits += begun.hits
            if len(begun.hits) < begun.passages:
                shown = f"its first {len(begun.hits)} of {begun.passages} passages follow"
                notes.append(f"{source}: asked for whole, {shown}")
        return SearchOutcome(tuple(hits[:top_k]), "document", tuple(notes), THRESHOLD)

    def _first(self, source: str, most: int, only: Filter, helps: float = 1.0) -> WholeDocument:
        return whole_document(self._catalogue, self._folder, source, wanted=only, most=most, helps=helps)

    def _search(self, query: str, top_k: int, wanted: Filter, seconds: dict[str, float]) -> SearchOutcome:
        degraded: list[str] = []
        allowed = None if wanted == _ANYTHING else set(map(int, self._catalogue.numbers_matching(wanted)))
        lexical = self._projections.lexical
        plain = plainly(query)
        with _timed(seconds, "lexical"):
            # What the words stand for hangs on the language; of a few words several are possible, and each is tried.
            held = languages_held(lexical)
            languages: list[str | None] = [*languages_of(query, held)] or [None]
            read = [(text, language) for language in languages for text in readings(query)]
            tokens = [t for text, language in read for t in document_tokens(text, language)]
            frequencies = lexical.frequencies(tokens)
            by_words = lexical.search(_either([query_tokens(plain, one) for one in languages]), CANDIDATES, allowed)
            seen = max(lexical_weight(query, frequencies, lexical.count, language) for language in languages)
        # Of the passages' languages it may be none.
        foreign = language_of(query)
        spoken = languages[0] if foreign == UNKNOWN or foreign in languages else foreign
        by_vector = self._nearest(plain, spoken, allowed, degraded, seconds)
        with _timed(seconds, "fusion"):
            weights = {"dense_weight": float(bool(by_vector)), "lexical_weight": seen}
            fused = fuse(by_vector, by_words, method=self._settings.fusion, **weights)
            fused = codes_first(fused, codes(query), lexical, frequencies, allowed, CANDIDATES)
        modes = ["dense"] * bool(by_vector) + ["lexical"] * bool(seen and by_words)
        with _timed(seconds, "read"):
            last = by_vector[-1][1] if by_vector else None
            worth = word_worths(frequencies, frequencies, lexical.count)
            asked: list[Asked] = [(terms(text, language), worth) for text, language in read]
            named = identities(asked[0][0])
            unknown = unknown_codes(named, lexical)
            degraded += [f"codes: no document mentions {as_typed(term, query)}" for term in unknown]
            quoted = phrases(query, languages[0])
            looked_at = max(top_k + TIED, RERANKED if self.reranker or quoted else 0)
            ranked = self._relevant(
                asked,
                named,
                unknown,
                fused[:looked_at],
                last,
                # A few words that two languages share make no passage readable in the other.
                sees=_is_in(query, held) or (seen >= 1 and spoken in languages),
                always=wanted.source is not None,
            )
            ranked = phrases_first(quoted, ranked)
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
            hit_of(self._catalogue, self._folder, found, chunk, helps, wanted, score)
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
            if language is None or not embedder.knows(query):  # it is none of the passages' languages
                language = languages_of(query, list(NAMES))[0]
            self.on_unknown_language(language)
            unknown = NAMES.get(language, "this script")
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

    def _lacking_vector(self, numbers: Sequence[int]) -> set[int]:
        if self.embedder is None or not numbers:
            return set()
        return self._catalogue.lacking_vector(numbers, self.embedder.fingerprint)

    def _unread(self) -> str | None:
        """Say which passages the embedder cannot read, so that a question in another language does not find them."""
        counts = self._catalogue.unread_languages(self.embedder.fingerprint) if self.embedder else {}
        if not counts:
            return None
        names = ", ".join(NAMES.get(language, "another script") for language in counts)
        return (
            f"dense: {sum(counts.values())} passages in languages that the embedder does not know ({names}) were"
            ' searched by their words alone; `embedder = "multilingual"` in the settings knows a hundred languages'
        )

    def _relevant(
        self,
        asked: Sequence[Asked],
        named: Sequence[Term],
        unknown: Sequence[Term],
        best: Sequence[Fused],
        last: float | None,
        *,
        sees: bool,
        always: bool,
    ) -> list[Ranked]:
        """Read the best candidates, with how likely they help, and leave out those that do not.

        Of a passage that only its words found it is known that its cosine is at most the `last` of the dense side,
        unless it has no vector: then its words alone are judged. Of `named` codes it may hold one.
        Of equal scores the likelier goes first; `always` keeps the best one whatever it is worth. What a question
        asks about something that is `unknown` no passage answers for sure.
        """
        chunks = {chunk.number: chunk for chunk in self._catalogue.chunks([found.number for found in best])}
        held = self._projections.lexical.held(list(chunks))
        no_vector = self._lacking_vector([f.number for f in best if f.dense_score is None]) if last is not None else ()
        kept, all_of_it = [], []
        worth_of: dict[int, float] = {}
        for found in best:
            chunk = chunks.get(found.number)  # gone since the projections caught up
            if chunk is not None:
                tokens = held.get(found.number, Held([], []))
                words = frozenset([*tokens.body, *tokens.names])
                cosine = last if found.dense_score is None else found.dense_score
                if found.number in no_vector:
                    cosine = None
                like = None if cosine is None else likeness(cosine, self._unrelated)
                covered = [coverage(read, worth, words) for read, worth in asked]
                names_it = any(term.held_by(words) for term in named)
                helps = max(
                    relevance(share, like, length(read), lexical_sees=sees, names_it=names_it)
                    for share, (read, _) in zip(covered, asked, strict=True)
                )
                if any(not term.held_by(words) for term in unknown):
                    helps = min(helps, RELEVANT - 0.01)
                near = max(together(read, tokens.body, worth) for read, worth in asked)
                whole = HOLDS_ALL if max(covered) >= WHOLE else 0.0
                worth_of[found.number] = round(found.score + whole + TOGETHER * near, 6)
                all_of_it.append((found, chunk, helps))
                if helps >= THRESHOLD:
                    kept.append((found, chunk, helps))
        # Whoever names a file wants to see what it says.
        kept = kept or (all_of_it[:1] if always else [])
        return sorted(kept, key=lambda found: (-worth_of[found[0].number], -found[2]))


def _is_in(question: str, held: Sequence[str]) -> bool:
    """Say whether a question is for sure in a language of the passages: that they lack its words then says much."""
    language = language_of(question)
    if language != UNKNOWN:
        return language in held
    scripts = script_counts(question).most_common(1)
    return bool(scripts) and UNSPACED.get(scripts[0][0]) in held


def _either(readings: Sequence[Sequence[str]]) -> list[str]:
    """Return the first reading's tokens, and what the others have besides."""
    rest = dict.fromkeys(token for reading in readings[1:] for token in reading if token not in readings[0])
    return [*readings[0], *rest]


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 5)
