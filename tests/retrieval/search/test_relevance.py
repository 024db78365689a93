"""Whether "nothing relevant" is told apart from an answer, on rules and vectors that can be computed by hand."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix
from retrieval.index.projections import Projections
from retrieval.knowledge_base import KnowledgeBase
from retrieval.reading.recipe import Recipe
from retrieval.search.judging import HOLDS_ALL
from retrieval.search.relevance import RELEVANT, THRESHOLD, coverage, likeness, relevance, unrelated_cosine, word_worths
from retrieval.search.search import Searcher
from retrieval.settings import RetrievalSettings
from retrieval.sync.sync import sync
from retrieval.terms import Term, terms
from retrieval.tokens import document_tokens

LEAVE = (
    "Up to five days of unused annual leave may be carried over to the next year, if your manager agrees in writing."
)
LAMP = "The lamp raises ERR_42 when its fan stands still; clean the fan and switch the lamp off and on again."


class SubjectEmbedder:
    """Leave, lamps and all the rest point three ways, but from a far corner: no cosine is below one half, except to
    what is grey. The higher a stone's number, the farther it is from that corner.
    """

    dimension = 4
    fingerprint = "subjects"

    def knows(self, text: str, language: str | None = None) -> bool:
        return True

    def embed_documents(self, texts: Sequence[str]) -> Matrix:
        rows = np.zeros((len(texts), 4), np.float32)
        for row, text in zip(rows, texts, strict=True):
            lower = text.lower()
            row[0] = "grey" not in lower
            digits = "".join(filter(str.isdigit, lower)) if "stone" in lower else ""
            row[1 if "leave" in lower or "holiday" in lower else 2 if "lamp" in lower else 3] = (
                1 + int(digits or 0) / 99
            )
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

    def embed_query(self, text: str) -> Matrix:
        return np.asarray(self.embed_documents([text])[0])


@contextmanager
def searching(folder: Path, place: Path, recipe: Recipe) -> Iterator[Searcher]:
    """Index a folder by words and subjects, and search it without a reranker."""
    with closing(Catalogue(place / "catalogue.sqlite")) as catalogue:
        embedder = SubjectEmbedder()
        sync(catalogue, folder, embedder, recipe)
        with closing(Projections(catalogue, place / "projections")) as projections:
            projections.use_embedder(embedder.fingerprint, embedder.dimension)
            searcher = Searcher(catalogue, projections, folder, RetrievalSettings(kb=folder, reranker="none"))
            searcher.use_embedder(embedder)
            yield searcher


def test_coverage_is_the_share_of_the_worth_that_is_held() -> None:
    asked, worth = [Term(("lamp",)), Term(("fan",))], {"lamp": 3.0, "fan": 1.0}
    held: list[set[str]] = [{"lamp"}, {"fan"}, {"lamp", "fan", "off"}, set()]
    assert [coverage(asked, worth, tokens) for tokens in held] == [0.75, 0.25, 1, 0]
    assert coverage([], {}, {"lamp"}) == 0


def test_a_date_or_an_amount_is_covered_by_any_way_of_writing_it() -> None:
    for question, passage in (
        ("12/03/2026", "on 12 March 2026"),
        ("What was decided on 12 March 2026?", "decided, 2026-03-12"),
        ("86.000", "86,000"),
    ):
        asked, held = terms(question), frozenset(document_tokens(passage))
        worth = dict.fromkeys(document_tokens(question), 1.0)
        assert coverage(asked, worth, held) == 1, question
    asked, held = terms("INV-2024-0099"), frozenset(document_tokens("INV-2024-0007"))
    assert coverage(asked, dict.fromkeys(document_tokens("INV-2024-0099"), 1.0), held) == 0.5, "inv and 2024 of four"


def test_the_characters_of_a_chinese_word_are_less_than_the_word() -> None:
    asked, worth = terms("开会"), dict.fromkeys(document_tokens("开会"), 1.0)
    assert coverage(asked, worth, frozenset(document_tokens("打开后不会响"))) == pytest.approx(0.8 / 1.8)
    assert coverage(asked, worth, frozenset(document_tokens("周五开会"))) == 1


def test_the_syllables_of_a_vietnamese_word_are_less_than_the_word() -> None:
    asked, worth = terms("kiểm soát", "vi"), dict.fromkeys(document_tokens("kiểm soát", "vi"), 1.0)
    assert coverage(asked, worth, frozenset(document_tokens("kiểm tra và soát vé", "vi"))) == pytest.approx(0.8 / 1.8)
    assert coverage(asked, worth, frozenset(document_tokens("mất kiểm soát", "vi"))) == 1


def test_a_dozen_passages_do_not_make_an_unknown_word_count_much_more_than_a_known_one() -> None:
    worth = word_worths({"known": 1, "unknown": 0}, 12, {})
    assert 1 < worth["unknown"] / worth["known"] < 1.25
    many = word_worths({"rare": 1, "common": 50_000}, 100_000, {})
    assert many["rare"] > 10 * many["common"]


def test_what_is_said_about_anything_counts_for_less_though_no_passage_holds_it() -> None:
    worth = word_worths({"name": 0, "fresnel": 0}, 12, {"name": 0.07})
    assert worth["fresnel"] > 2 * worth["name"]


def test_likeness_is_none_for_the_unrelated_and_one_for_the_same_whatever_the_embedder() -> None:
    assert likeness(0.75, 0.75) == 0 and likeness(0.0, 0.0) == 0
    assert likeness(0.5, 0.75) == 0, "pointing away is no worse"
    assert likeness(1.0, 0.75) == pytest.approx(1) and likeness(1.0, 0.0) == pytest.approx(1)
    # Of the six probes one speaks of leave, on both sides; the other five are alike to this embedder.
    assert unrelated_cosine(SubjectEmbedder()) == pytest.approx((20 * 1.0 + 10 * 0.5) / 30)


def test_more_of_the_words_and_nearer_vectors_are_never_less_relevant() -> None:
    steps = [i / 10 for i in range(11)]
    for rule in (
        [relevance(c, None) for c in steps],
        [relevance(c, 0.2) for c in steps],
        [relevance(0.3, x) for x in steps],
    ):
        assert rule == sorted(rule) and rule[0] < THRESHOLD <= rule[-1]
    assert relevance(0.0, 0.0) < 0.01, "neither a word nor the direction"
    assert relevance(1.0, 0.0) > THRESHOLD, "all words, as of a code that no embedder knows"
    assert relevance(0.0, 0.8) > THRESHOLD, "other words for the same"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "leave.txt").write_text(LEAVE, "utf-8")
    (folder / "lamp.txt").write_text(LAMP, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many days of annual leave can be carried over?", ["leave.txt"]),
        ("What does ERR_42 mean?", ["lamp.txt"]),
        ("Which wine goes with cheese?", []),
        ("Who won the football match last year?", []),
        ("奶酪配什么酒", []),
    ],
)
def test_words_alone_find_the_answer_and_nothing_for_other_subjects(
    folder: Path, tmp_path: Path, question: str, answer: list[str]
) -> None:
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none"), tmp_path / "home")
    base.sync()
    found = base.search(question)
    assert [hit.source for hit in found.hits] == answer
    assert found.threshold == THRESHOLD and all(hit.relevance >= found.threshold for hit in found.hits)
    base.close()


def test_an_embedder_whose_cosines_are_all_high_does_not_make_everything_relevant(
    folder: Path, tmp_path: Path, paragraphs: Recipe
) -> None:
    with searching(folder, tmp_path, paragraphs) as searcher:
        (hit,) = searcher.search("How many days of holiday remain?").hits
        assert hit.source == "leave.txt" and hit.dense_score == pytest.approx(1)
        found = searcher.search("Which wine goes with cheese?")
        assert found.hits == () and found.mode == "dense"


def test_a_passage_that_is_far_from_the_question_and_holds_its_words_is_shown_as_weak(
    tmp_path: Path, paragraphs: Recipe
) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    texts = [f"stone number{i}" for i in range(110)] + ["grey pebble"]
    (folder / "stones.txt").write_text("\n\n".join(texts), "utf-8")
    catalogue, embedder = Catalogue(tmp_path / "catalogue.sqlite"), SubjectEmbedder()
    sync(catalogue, folder, embedder, paragraphs)
    projections = Projections(catalogue, tmp_path / "projections")
    searcher = Searcher(catalogue, projections, folder, RetrievalSettings(kb=folder, reranker="none"))
    (hit,) = searcher.search("lamp pebble stone").hits
    assert hit.text == "grey pebble", "two fifths of the words by worth, and nothing else is known"
    projections.use_embedder(embedder.fingerprint, embedder.dimension)
    searcher.use_embedder(embedder)
    found = searcher.search("lamp pebble stone")
    assert found.mode == "dense+lexical"
    assert [(hit.text, hit.match) for hit in found.hits] == [("grey pebble", "weak")], "a hundred stones are nearer"
    assert searcher.search("grey pebble").hits[0].text == "grey pebble"
    projections.close()
    catalogue.close()


def test_a_passage_of_many_subjects_that_holds_one_of_two_words_is_shown_and_called_weak() -> None:
    """ "is smoking allowed" of a lease that forbids it in its fifth point: its vector is near to no point of it."""
    assert THRESHOLD <= relevance(0.5, 0.03, words=2, count=43) < RELEVANT


def test_among_few_passages_one_that_shares_no_word_is_not_shown_because_it_is_the_nearest() -> None:
    assert relevance(0.0, 0.14, words=2, count=43) < THRESHOLD
    assert relevance(0.0, 0.14, words=2, count=43) < relevance(0.3, 0.14, words=2, count=43)


def test_who_asks_in_the_passages_language_and_shares_no_word_with_them_is_told_nothing(
    folder: Path, tmp_path: Path, paragraphs: Recipe
) -> None:
    with searching(folder, tmp_path, paragraphs) as searcher:
        searcher._unrelated = 0.45  # somewhat near to everything
        assert searcher.search("Which colleague prefers white wines with strong cheese?").hits == ()
        foreign = searcher.search("Quel vin blanc servir avec un fromage de montagne ?").hits
        assert foreign and all(hit.match == "weak" for hit in foreign), (
            "there likeness alone can tell, and not for sure"
        )


def test_a_question_finds_passages_in_another_language_beside_those_in_its_own(
    tmp_path: Path, paragraphs: Recipe
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    (folder / "cheese.txt").write_text(
        "Goat cheese, the grey one, goes well with the white wine of this valley.", "utf-8"
    )
    (folder / "leave.txt").write_text("员工每年享有十五天年假(annual leave),须提前两周申请,由部门经理批准。", "utf-8")
    with searching(folder, tmp_path, paragraphs) as searcher:
        searcher._unrelated = 0.6  # the grey one's cosine is 0.71
        (hit,) = searcher.search("奶酪配什么酒").hits
        assert (hit.source, hit.match) == ("cheese.txt", "weak")


def test_a_passage_that_holds_all_the_words_goes_before_one_that_is_a_little_nearer(
    tmp_path: Path, paragraphs: Recipe
) -> None:
    folder = tmp_path / "tickets"
    folder.mkdir()
    near, whole = "A lamp with a ticket, and another lamp.", "A blue ticket for the lamp is no holiday."
    (folder / "a.txt").write_text("\n\n".join([near, whole, "grey ticket", "grey moss", "grey pebble"]), "utf-8")
    with searching(folder, tmp_path, paragraphs) as searcher:
        first, second = searcher.search("the blue ticket of the lamp").hits[:2]
        assert (first.text, second.text) == (whole, near)
        assert first.score < second.score < first.score + HOLDS_ALL
