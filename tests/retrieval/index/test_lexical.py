"""The lexical projection does what rank-bm25 does, and survives what disks do."""

import math
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from rank_bm25 import BM25Okapi

from retrieval.index.lexical import TantivyIndex, idf
from retrieval.index.projection import ProjectionDamaged, ProjectionInUse
from retrieval.tokens import TOKENS_FINGERPRINT

FIVE = {1: "wing lift", 2: "wing drag drag", 3: "heat flow", 7: "lift lift lift", 9: "shock wave heat wing lift"}


class Bm25Index:
    """A second lexical index, in memory, scored exactly by rank-bm25: to judge tantivy's by."""

    def __init__(self) -> None:
        self.generation = 0
        self._tokens: dict[int, list[str]] = {}
        self._next: dict[int, list[str] | None] = {}
        self._numbers: list[int] = []
        self._bm25: BM25Okapi | None = None

    @property
    def count(self) -> int:
        """How many passages it holds."""
        return len(self._tokens)

    def add(self, numbers: Sequence[int], tokens: Sequence[Sequence[str]]) -> None:
        """Add passages; one whose number is there already is replaced."""
        self._next |= {number: list(words) for number, words in zip(numbers, tokens, strict=True)}

    def remove(self, numbers: Sequence[int]) -> None:
        """Remove passages; numbers that are not there are passed over."""
        self._next |= dict.fromkeys(numbers)

    def commit(self, generation: int) -> None:
        """Make what was added and removed visible: rank-bm25 counts everything anew."""
        for number, tokens in self._next.items():
            self._tokens.pop(number, None)
            if tokens is not None:
                self._tokens[number] = tokens
        self._next = {}
        self._numbers = sorted(self._tokens)
        self._bm25 = _okapi([self._tokens[number] for number in self._numbers])
        self.generation = generation

    def search(self, tokens: Sequence[str], top_k: int, allowed: set[int] | None = None) -> list[tuple[int, float]]:
        """Return numbers and scores, best first, of passages among the allowed that hold at least one token."""
        if self._bm25 is None:
            return []
        scores = self._bm25.get_scores(list(tokens))
        found = [
            (number, float(score))
            for number, score in zip(self._numbers, scores, strict=True)
            if score > 0 and (allowed is None or number in allowed)
        ]
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))[:top_k]

    def frequencies(self, tokens: Sequence[str]) -> dict[str, int]:
        """Return in how many passages each distinct token stands."""
        holding = self._bm25.doc_freqs if self._bm25 else []
        return {token: sum(token in words for words in holding) for token in dict.fromkeys(tokens)}

    def numbers(self) -> Iterator[int]:
        """Yield the numbers it holds."""
        yield from self._numbers

    def close(self) -> None:
        """Do nothing: it holds no files."""


def _okapi(corpus: list[list[str]]) -> BM25Okapi | None:
    """Return rank-bm25 with the idf that is never negative, or None for a corpus that it would divide by zero over."""
    if not any(corpus):
        return None

    class Okapi(BM25Okapi):
        # Its own idf goes below zero for words in more than half of the passages, and is then patched with an average.
        def _calc_idf(self, nd: dict[str, int]) -> None:
            self.idf = {word: idf(count, self.corpus_size) for word, count in nd.items()}

    return Okapi(corpus, k1=1.2, b=0.75)


LexicalIndex = TantivyIndex | Bm25Index


@pytest.fixture(params=["tantivy", "rank-bm25"])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LexicalIndex]:
    opened: LexicalIndex = TantivyIndex(tmp_path / "lexical") if request.param == "tantivy" else Bm25Index()
    yield opened
    opened.close()


def fill(index: LexicalIndex, passages: dict[int, str] = FIVE, generation: int = 1) -> None:
    index.add(list(passages), [text.split() for text in passages.values()])
    index.commit(generation)


def order(index: LexicalIndex, query: str, top_k: int = 10, allowed: set[int] | None = None) -> list[int]:
    return [number for number, _ in index.search(query.split(), top_k, allowed)]


def test_a_score_is_the_one_worked_out_by_hand(index: LexicalIndex) -> None:
    fill(index, {1: "wing lift", 2: "drag drag drag heat"})
    worth = math.log(3 / 1.5)
    length = 1 - 0.75 + 0.75 * 4 / 3  # four words, where three are the mean
    [(number, score)] = index.search(["drag"], 5)
    assert number == 2
    assert score == pytest.approx(worth * 3 * 2.2 / (3 + 1.2 * length), rel=1e-5)


def test_a_word_that_is_asked_twice_counts_twice(index: LexicalIndex) -> None:
    fill(index)
    [(_, once), *_] = index.search(["flow"], 1)
    [(_, twice), *_] = index.search(["flow", "flow"], 1)
    assert twice == pytest.approx(2 * once)


def test_the_best_come_first_and_passages_without_a_word_do_not_come(index: LexicalIndex) -> None:
    fill(index)
    assert order(index, "lift") == [7, 1, 9]
    assert order(index, "lift", top_k=2) == [7, 1]
    assert order(index, "nothing") == []
    assert order(index, "") == []


def test_only_allowed_passages_are_found_and_their_scores_do_not_change(index: LexicalIndex) -> None:
    fill(index)
    everywhere = dict(index.search(["lift"], 10))
    assert dict(index.search(["lift"], 10, {9, 3})) == {9: pytest.approx(everywhere[9])}
    assert order(index, "lift", allowed=set()) == []


def test_adding_a_number_again_replaces_it_and_removing_it_twice_is_no_error(index: LexicalIndex) -> None:
    fill(index)
    fill(index, {7: "new words"}, generation=2)
    assert (order(index, "new"), order(index, "lift"), index.count) == ([7], [1, 9], 5)
    index.remove([7, 7, 999])
    index.commit(3)
    assert (order(index, "new"), sorted(index.numbers()), index.generation) == ([], [1, 2, 3, 9], 3)


def test_the_last_of_several_additions_of_one_number_counts(index: LexicalIndex) -> None:
    index.add([4, 4], [["first"], ["second"]])
    index.add([4], [["third"]])
    index.commit(1)
    assert (index.count, order(index, "first second"), order(index, "third")) == (1, [], [4])


def test_nothing_is_found_before_the_commit(index: LexicalIndex) -> None:
    fill(index)
    index.add([10], [["unseen"]])
    assert order(index, "unseen") == []
    index.commit(2)
    assert order(index, "unseen") == [10]


def test_frequencies_count_passages_not_words(index: LexicalIndex) -> None:
    fill(index)
    assert index.frequencies(["drag", "wing", "nothing", "wing"]) == {"drag": 1, "wing": 3, "nothing": 0}


def test_an_empty_index_finds_nothing(index: LexicalIndex) -> None:
    index.commit(4)
    assert (order(index, "wing"), index.count, list(index.numbers()), index.generation) == ([], 0, [], 4)


def test_an_index_of_empty_passages_finds_nothing(index: LexicalIndex) -> None:
    fill(index, {1: "", 2: ""})
    assert (order(index, "wing"), index.count) == ([], 2)


def test_tantivy_agrees_with_rank_bm25_on_a_drawn_corpus(tmp_path: Path) -> None:
    """Passages of up to 40 words: above that tantivy rounds their length."""
    draw = random.Random(0)
    words = [f"w{int(draw.paretovariate(0.7)) % 300}" for _ in range(20_000)]
    passages = {n: " ".join(draw.sample(words, draw.randint(3, 40))) for n in range(400)}
    tantivy, exact = TantivyIndex(tmp_path), Bm25Index()
    fill(tantivy, passages)
    fill(exact, passages)
    for _ in range(50):
        query = draw.sample(words, 4)
        found, expected = tantivy.search(query, 400), exact.search(query, 400)
        assert [number for number, _ in found] == [number for number, _ in expected]
        assert [score for _, score in found] == pytest.approx([score for _, score in expected], rel=1e-4)
    tantivy.close()


def test_what_was_committed_is_there_after_reopening_and_the_rest_is_not(tmp_path: Path) -> None:
    first = TantivyIndex(tmp_path)
    fill(first, generation=5)
    first.add([50], [["late"]])
    first.close()
    second = TantivyIndex(tmp_path)
    assert (second.generation, order(second, "lift"), order(second, "late")) == (5, [7, 1, 9], [])


def test_numbers_are_paged_without_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.lexical._NUMBERS_PER_PAGE", 2)
    index = TantivyIndex(tmp_path)
    fill(index)
    assert sorted(index.numbers()) == sorted(FIVE)
    index.close()


def test_a_second_writer_is_told_that_there_is_one(tmp_path: Path) -> None:
    first = TantivyIndex(tmp_path)
    fill(first)
    with pytest.raises(ProjectionInUse, match="another process"):
        TantivyIndex(tmp_path).add([1], [["x"]])
    first.close()
    fill(TantivyIndex(tmp_path), {11: "after"}, generation=2)


def test_a_killed_writer_leaves_no_lock_and_nothing_half(tmp_path: Path) -> None:
    code = f"""
import os, pathlib
from retrieval.index.lexical import TantivyIndex
index = TantivyIndex(pathlib.Path({str(tmp_path)!r}))
index.add([1], [["kept"]]); index.commit(1)
index.add([2], [["lost"]]); os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    index = TantivyIndex(tmp_path)
    fill(index, {3: "next"}, generation=2)
    assert [order(index, word) for word in ("kept", "lost", "next")] == [[1], [], [3]]
    index.close()


@pytest.mark.parametrize("damage", ["meta.json", "*.idx", "*.term", "projection.json"])
@pytest.mark.parametrize("how", ["cut", "gone"])
def test_a_damaged_index_is_refused_at_opening(tmp_path: Path, damage: str, how: str) -> None:
    index = TantivyIndex(tmp_path)
    fill(index)
    index.close()
    [file] = list(tmp_path.glob(damage))
    if how == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ProjectionDamaged, match="kb doctor"):
        TantivyIndex(tmp_path)


@pytest.mark.parametrize("part", ["idx", "term", "fast", "fieldnorm", "del"])
def test_one_wrong_byte_is_seen_at_opening(tmp_path: Path, part: str) -> None:
    index = TantivyIndex(tmp_path)
    fill(index)
    index.remove([1])
    index.commit(2)
    index.close()
    [file] = tmp_path.glob(f"*.{part}")
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with pytest.raises(ProjectionDamaged, match="not what was written"):
        TantivyIndex(tmp_path)


def test_an_index_of_other_tokens_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = TantivyIndex(tmp_path)
    fill(index)
    index.close()
    monkeypatch.setattr("retrieval.index.lexical.FINGERPRINT", "tokens-0")
    with pytest.raises(ProjectionDamaged, match=TOKENS_FINGERPRINT):
        TantivyIndex(tmp_path)


def test_names_are_searched_beside_the_words_and_make_no_word_common(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    index.add([1, 2, 3], [["wing"], ["heat"], ["heat"]], [["report"], ["report"], []])
    index.commit(1)
    assert [number for number, _ in index.search(["wing", "report"], 5)] == [1, 2]
    assert index.frequencies(["report", "heat"]) == {"report": 0, "heat": 2}
    assert index.frequencies_in_names(["report", "heat"]) == {"report": 2, "heat": 0}
    index.close()


def test_the_tokens_of_a_passage_are_given_back_without_being_cut_again(tmp_path: Path) -> None:
    index = TantivyIndex(tmp_path)
    index.add([1, 2], [["wing", "lift", "wing"], []], [["report"], []])
    index.commit(1)
    assert index.held([2, 1, 9]) == {1: (["wing", "lift", "wing"], ["report"]), 2: ([], [])}
    assert index.held([]) == {}
    index.close()
