"""From a question to hits: both projections, fusion, reranking, and what the user must know about them.

It opens nothing and loads nothing; what is not ready yet is left out, and the result says so.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from retrieval.catalogue.catalogue import Catalogue
from retrieval.embedders.embedder import Embedder
from retrieval.index.engines.engine import EngineUnavailable
from retrieval.index.projections import Projections
from retrieval.index.searched_words import languages_held
from retrieval.language import NAMES, languages_of
from retrieval.records import Filter, Hit, SearchOutcome
from retrieval.search.asking import plainly
from retrieval.search.first import codes_first, phrases_first
from retrieval.search.fusion import Fused, Ranking, fuse
from retrieval.search.hits import hit_of
from retrieval.search.judging import Candidates, judged
from retrieval.search.named_documents import NamedDocuments
from retrieval.search.named_search import search_named
from retrieval.search.question import Question, read_question
from retrieval.search.relevance import RELEVANT, THRESHOLD, unrelated_cosine
from retrieval.search.rerank import Reranker
from retrieval.search.respell import Respelled, respelled
from retrieval.search.whole_document import whole_document
from retrieval.settings import RetrievalSettings
from retrieval.sync.missing_vectors import text_to_embed

CANDIDATES = 100  # of each side
RERANKED = 30  # of the fused ones
TIED = 5  # read beyond what is asked for, since of equal scores the likelier goes first

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

        Where a word stands in no passage and the nearest one finds what helps more, that is searched for, and said. The
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
            found = search_named(
                named,
                query,
                top_k,
                lambda asked, most, source: self._search(asked, most, replace(wanted, source=source), seconds),
                lambda source, most, helps: whole_document(
                    self._catalogue,
                    self._folder,
                    source,
                    wanted=replace(wanted, source=source),
                    most=most,
                    helps=helps,
                    page=named.page,
                ),
            )
            return replace(found, degraded=(*named.notes, *found.degraded))
        found = self._search(query, top_k, wanted, seconds)
        if missing := self._names.missing(query):
            found = replace(found, degraded=(*missing, *found.degraded))
        meant, unsure = self._meant(query), not any(hit.match == "relevant" for hit in found.hits)
        if meant is not None and (unsure or meant.sure):
            again = self._search(meant.text, top_k, wanted, seconds)
            if _best(again) >= max(RELEVANT, _best(found)):
                # Whatever the passage says, that a short word or a name was meant is a guess.
                hits = again.hits if meant.sure else tuple(map(_weak, again.hits))
                note = f'spelling: a word of the question is in no document, so "{meant.text}" was searched for'
                return replace(again, hits=hits, degraded=(*missing, *again.degraded, note))
        return replace(found, degraded=(*found.degraded, *self._unseen(found))) if unsure else found

    def _meant(self, query: str) -> Respelled | None:
        """Return the question with words that stand nowhere as the nearest ones that do; None where there are none."""
        lexical = self._projections.lexical
        spoken = languages_of(query, languages_held(lexical))
        return respelled(plainly(query), lexical, self._catalogue.chunks, spoken)

    def _search(self, query: str, top_k: int, wanted: Filter, seconds: dict[str, float]) -> SearchOutcome:
        degraded: list[str] = []
        allowed = None if wanted == _ANYTHING else set(map(int, self._catalogue.numbers_matching(wanted)))
        if wanted.source is not None and not (
            allowed or self._catalogue.numbers_matching(Filter(source=wanted.source)).size
        ):
            degraded.append(f"source: no indexed file matches {wanted.source!r}; `lorgnette kb list` names them")
        lexical = self._projections.lexical
        with _timed(seconds, "lexical"):
            question = read_question(query, lexical)
            by_words = lexical.search(question.words, CANDIDATES, allowed)
        by_vector = self._nearest(question, allowed, degraded, seconds)
        if by_vector and not question.readable and not self._crosses(question):
            question = replace(question, readable=True)
        with _timed(seconds, "fusion"):
            weights = {"dense_weight": float(bool(by_vector)), "lexical_weight": question.lexical_weight}
            fused = fuse(by_vector, by_words, method=self._settings.fusion, **weights)
            fused = codes_first(fused, question.codes, lexical, question.frequencies, allowed, CANDIDATES)
        modes = ["dense"] * bool(by_vector) + ["lexical"] * bool(question.lexical_weight and by_words)
        degraded += question.notes
        with _timed(seconds, "read"):
            looked_at = max(top_k + TIED, RERANKED if self.reranker or question.quoted else 0)
            found = self._candidates(fused[:looked_at], by_vector)
            ranked = judged(question, found, self._unrelated, always=wanted.source is not None)
            ranked = phrases_first(question.quoted, ranked)
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

    def _crosses(self, question: Question) -> bool:
        """Say whether vectors compare the question with passages in another language: else nearness is chance there."""
        embedder = self.embedder
        others = (one for one in NAMES if one not in question.held)
        return embedder is not None and any(embedder.knows(question.plain, one) for one in others)

    def _nearest(
        self,
        question: Question,
        allowed: set[int] | None,
        degraded: list[str],
        seconds: dict[str, float],
    ) -> list[tuple[int, float]]:
        query, language = question.plain, question.language
        dense, embedder = self._projections.dense, self.embedder
        if embedder is not None and self._projections.dense_problem:
            degraded.append(f"dense: only words were searched, {self._projections.dense_problem}")
            return []
        if embedder is None or dense is None:
            degraded.append(f"dense: only words were searched, {self.embedder_state}")
            return []
        if without := self._projections.without_vector:
            passages = "1 passage has" if without == 1 else f"{without} passages have"
            degraded.append(f"dense: {passages} no vector yet; run `lorgnette kb sync`")
        if not any(embedder.knows(query, one) for one in question.may_be):
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

    def _candidates(self, best: Sequence[Fused], by_vector: Ranking) -> Candidates:
        chunks = {chunk.number: chunk for chunk in self._catalogue.chunks([found.number for found in best])}
        unseen = [found.number for found in best if found.dense_score is None] if by_vector and self.embedder else []
        return Candidates(
            best=best,
            chunks=chunks,
            tokens=self._projections.lexical.held(list(chunks)),
            last_cosine=by_vector[-1][1] if by_vector else None,
            without_vector=self._catalogue.lacking_vector(unseen, self.embedder.fingerprint)
            if unseen and self.embedder
            else frozenset(),
        )

    def _unseen(self, found: SearchOutcome) -> Iterator[str]:
        """Say what of the documents a search could not see, so that nobody takes its silence for theirs."""
        if skipped := len(self._catalogue.skipped()):
            files = "1 file was" if skipped == 1 else f"{skipped} files were"
            yield f"documents: {files} not read; `lorgnette kb list --skipped` says why"
        counts = self._catalogue.unread_languages(self.embedder.fingerprint) if self.embedder else {}
        if counts and not any("multilingual" in note for note in found.degraded):
            names = [NAMES[language] for language in counts if language in NAMES]
            names += ["others"] * (len(names) < len(counts))
            many = sum(counts.values())
            yield (
                f"dense: {many} {'passage was' if many == 1 else 'passages were'} searched by words alone, in languages"
                f" that the embedder does not know ({', '.join(names)});"
                ' `embedder = "multilingual"` in the settings knows a hundred languages'
            )


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    seconds[stage] = round(time.perf_counter() - began, 5)


def _best(outcome: SearchOutcome) -> float:
    return max((hit.relevance for hit in outcome.hits), default=0.0)


def _weak(hit: Hit) -> Hit:
    return replace(hit, match="weak", relevance=min(hit.relevance, RELEVANT - 0.01))
