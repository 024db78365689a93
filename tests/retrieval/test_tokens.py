"""The words that the lexical side counts."""

import hashlib
import threading

import pytest

from retrieval.terms import codes
from retrieval.tokens import MAX_TOKEN_CHARS, TOKENS_FINGERPRINT, document_tokens, query_tokens, script_counts

SAMPLE = (
    "The Companies' naïve running: ERR_42 in v1.2.3 of foo.bar, CVE-2024-1 and C++, 1,000 well-known cases. "
    "战国无双3是由哪两个公司合作开发的？ 食べるガール 한국어 привет мирами हिन्दी किताबें สวัสดี"
)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Running runs", ["run", "run"]),
        ("Café CAFÉ cafe\u0301 cafe", ["cafe"] * 4),
        ("Straße Æsir", ["strass", "aesir"]),
        ("the company's companies", ["the", "compani", "compani"]),
        ("the 1990s and 502s", ["the", "1990", "and", "502"]),
        ("in 1990's E-41's", ["in", "1990", "e-41", "e", "41"]),
        ("ＡＢＣ ﬁne", ["abc", "fine"]),
        ("мирами ёлка", ["мир", "елк"]),
        ("1,000 euro", ["1000", "euro"]),
        ("and/or well-known", ["and", "or", "well", "known"]),
        ("___ -- …", []),
    ],
)
def test_words_are_folded_and_stemmed(text: str, tokens: list[str]) -> None:
    assert document_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("ERR_42", ["err_42", "err", "42"]),
        ("v1.2.3.", ["v1.2.3", "v1", "2", "3"]),
        ("foo.bar", ["foo.bar", "foo", "bar"]),
        ("CVE-2024-1", ["cve-2024-1", "cve", "2024", "1", "cve20241"]),
        ("C++ C#", ["c++", "c", "c#", "c"]),
        ("a@b.org", ["a@b.org", "a", "b", "org"]),
    ],
)
def test_a_code_is_a_word_whole_and_in_parts(text: str, tokens: list[str]) -> None:
    assert document_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("数据库", ["数", "据", "库", "数据", "据库"]),
        ("食べる", ["食", "べ", "る", "食べ", "べる"]),
        ("한국", ["한", "국", "한국"]),
        ("が", ["が"]),
        ("Python3教程", ["python3", "教", "程", "教程"]),
    ],
)
def test_text_without_spaces_becomes_characters_and_pairs(text: str, tokens: list[str]) -> None:
    assert document_tokens(text) == tokens


def test_queries_lose_function_words_and_documents_do_not() -> None:
    assert query_tokens("what is the boundary") == ["boundari"]
    assert document_tokens("what is the boundary") == ["what", "is", "the", "boundari"]
    assert query_tokens("谁的什么书") == ["书"]


def test_a_query_of_function_words_alone_keeps_them() -> None:
    assert query_tokens("to be or not to be") == ["to", "be", "or", "not", "to", "be"]
    assert query_tokens("什么") == ["什", "么", "什么"]


def test_repeated_words_of_a_query_stay_repeated() -> None:
    assert query_tokens("flow over flow") == ["flow", "flow"]


def test_endless_words_are_cut_alike_on_both_sides() -> None:
    assert document_tokens("x" * 5000) == query_tokens("x" * 100) == ["x" * MAX_TOKEN_CHARS]


def test_tokens_hold_no_space_so_that_an_index_may_join_them_by_one() -> None:
    assert all(
        token and not any(char.isspace() for char in token) for token in document_tokens(SAMPLE + "\u3000\u2028x")
    )


def test_threads_share_the_stemmer_without_mixing_words_up() -> None:
    words = [f"{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}nationalizations" for i in range(400)]
    alone = [document_tokens(word)[0].removesuffix("nat") for word in words]
    results: list[list[str]] = []

    def work() -> None:
        results.append([document_tokens(word.upper())[0].removesuffix("nat") for word in words])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [alone] * 4


def test_letters_are_counted_by_script() -> None:
    assert script_counts("NASA 是什么？ 42 ёж") == {"latin": 4, "han": 3, "cyrillic": 2}


def test_letters_of_an_alphabet_without_spaces_are_cut_into_what_does_not_stand_everywhere() -> None:
    assert document_tokens("สวัสดี") == ["สวั", "วัส", "ัสด", "สดี", "สวัส", "วัสด", "ัสดี"]
    assert document_tokens("กา") == ["กา"], "a word that is shorter"
    assert {"中", "文", "中文", "ภาษ"} <= set(document_tokens("ภาษาไทย中文")), "each part of a mixed run in its own way"


def test_syllables_that_are_written_apart_are_found_together_and_ranked_alone() -> None:
    assert "kiểm~soát" in document_tokens("ai kiểm soát Algeria", "vi")
    assert "kiểm~soát" in document_tokens("ai kiểm\nsoát", "vi"), "a line that was wrapped"
    assert "kiểm~soát" not in document_tokens("kiểm\n\nsoát", "vi"), "two paragraphs"
    assert "soát~algeria" not in document_tokens("ai kiểm soát Algeria", "vi"), "a name is no syllable"
    assert query_tokens("ai kiểm soát Algeria", "vi") == ["kiểm", "soát", "algeria"]
    assert document_tokens("soát vé", "vi") == ["soát", "soat", "vé", "ve", "soát~vé"], "a phrase stays together"


def test_other_tokens_need_another_fingerprint() -> None:
    """Indexes on users' disks are compared by it; whoever changes the rules changes both lines."""
    tokens = [
        *document_tokens(SAMPLE),
        *document_tokens("ai kiểm soát Algeria", "vi"),
        *document_tokens("Reisekostenabrechnung", "de"),
        *document_tokens("Türkiye'nin 1520'de", "tr"),
        *document_tokens("those 502s"),
    ]
    found = hashlib.sha256(" ".join(tokens).encode()).hexdigest()[:12]
    assert (TOKENS_FINGERPRINT, found) == ("tokens-7", "6e122d74cc64")


def test_chinese_question_words_are_not_what_a_question_is_about_wherever_they_stand() -> None:
    assert query_tokens("什么时候体检") == query_tokens("体检是什么时候") == ["体", "检", "体检"]
    assert "我想" not in query_tokens("我想知道年假有多少天") and "年假" in query_tokens("我想知道年假有多少天")


@pytest.mark.parametrize(
    ("question", "about"),
    [
        ("年假能结转吗", "年 假 能 结 转 年假 结转"),
        ("有給は何日ありますか", "给 有给"),
        ("휴가는 며칠인가요?", "휴 가 휴가"),
        ("연차는 언제 신청하나요?", "연 차 연차 신 청 신청"),
    ],
)
def test_what_stands_between_the_words_of_a_question_is_no_word(question: str, about: str) -> None:
    assert [token for token in query_tokens(question) if "は" not in token] == about.split()


@pytest.mark.parametrize(
    ("question", "language", "about"),
    [
        ("のどの痛み", "ja", "のど"),  # a throat, and not "which"
        ("いくら丼の値段", "ja", "くら"),
        ("왜곡 보정", "ko", "왜곡"),
        ("刘能是谁", "zh", "刘能"),
        ("Was steht zur Würde?", "de", "wurd"),
        ("Quelles sont les sommes dues?", "fr", "somm"),
    ],
)
def test_a_word_that_looks_like_one_that_asks_is_asked_about(question: str, language: str, about: str) -> None:
    assert about in query_tokens(question, language)


def test_traditional_characters_are_found_by_simplified_ones() -> None:
    assert document_tokens("體檢是什麼時候") == document_tokens("体检是什么时候")


def test_signs_that_are_not_seen_do_not_tear_words_apart() -> None:
    assert document_tokens("Pen\u00adzance har\u200bbour") == document_tokens("Penzance harbour")


def test_codes_are_what_names_one_thing_and_abbreviations_are_none() -> None:
    assert codes("Where is INV-2024-0031, e.g. for QX4477 in 1990, room 6, i.e. upstairs?") == [
        "inv-2024-0031",
        "qx4477",
        "inv20240031",
    ]
    assert query_tokens("e.g. lamps") == ["lamp"]
