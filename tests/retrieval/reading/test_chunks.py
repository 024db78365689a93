import hashlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.reading.chunks import SPLITTER_FINGERPRINT, chunk_id, count_tokens, fingerprint, split
from retrieval.reading.headings import escape, fenced, find_headings, find_title
from retrieval.records import Document, MediaType, Page

PIECES = st.sampled_from(
    [
        *(
            "a",
            "word ",
            "Sentence. ",
            "ERR_42",
            "中",
            "文。",
            "かな、",
            "한국어 ",
            "é",
            "😀",
            "👩‍👩‍👧",
            '"',
            ",",
            "|",
            "-",
            "#",
        ),
        *("# Title\n", "## Sub\r\n", "\n", "\r\n", "\r", "\n\n", "```\n", "---\n", "===\n", " ", "\t", "\f", "\u2028"),
        *("x" * 40, "汉" * 30, "=" * 30, " " * 40),
    ]
)
TEXTS = st.lists(PIECES | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8), max_size=80).map(
    "".join
)
TYPES: tuple[MediaType, ...] = ("text", "markdown", "html", "csv")


@settings(max_examples=300)
@given(TEXTS, st.sampled_from(TYPES), st.integers(8, 40), st.integers(0, 30))
def test_every_chunk_is_an_exact_span_within_the_budget(text: str, kind: MediaType, size: int, overlap: int) -> None:
    chunks = split(Document(text, kind), chunk_tokens=size, chunk_overlap=overlap)
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text == chunk.text.strip()
        assert count_tokens(chunk.text) <= size
    starts = [(chunk.start, chunk.end) for chunk in chunks]
    assert starts == sorted(starts)


@settings(max_examples=200)
@given(TEXTS, st.sampled_from(TYPES), st.integers(8, 40), st.integers(0, 30))
def test_no_word_is_lost(text: str, kind: MediaType, size: int, overlap: int) -> None:
    chunks = split(Document(text, kind), chunk_tokens=size, chunk_overlap=overlap)
    covered = {i for chunk in chunks for i in range(chunk.start, chunk.end)}
    lost = "".join(c for i, c in enumerate(text) if i not in covered)
    if kind == "csv":
        lost = lost.replace("\r", "\n").strip().partition("\n")[2] if chunks else lost
        lost = "" if any(c.headings for c in chunks) else lost
    elif chunks:
        titles = [heading.title for heading in find_headings(text, underlined=kind == "markdown")]
        for title in titles:
            lost = lost.replace(title, "")
    assert not any(c.isalnum() for c in lost)


def test_a_short_text_is_one_chunk_without_the_blanks_around_it() -> None:
    (chunk,) = split(Document("\n  Two words. \n", "text"))
    assert (chunk.text, chunk.start, chunk.end, chunk.page, chunk.headings) == ("Two words.", 3, 13, None, ())


def test_text_is_cut_between_sentences_and_repeats_whole_ones() -> None:
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    chunks = split(Document(text, "text"), chunk_tokens=11, chunk_overlap=4)
    assert [chunk.text for chunk in chunks] == [
        "One two three. Four five six.",
        "Four five six. Seven eight nine. Ten eleven twelve.",
    ]


def test_the_overlap_begins_at_a_sentence_where_one_begins_in_reach() -> None:
    text = "Zero one two. Three. Four. Five six seven. Eight nine ten."
    chunks = split(Document(text, "text"), chunk_tokens=8, chunk_overlap=3)
    assert [chunk.text for chunk in chunks] == [
        "Zero one two. Three.",
        "Three. Four. Five six seven.",
        "six seven. Eight nine ten.",
    ]


def test_chinese_is_cut_after_its_full_stops() -> None:
    text = "第一句话有八个字。第二句话有八个字。第三句话有八个字。"
    chunks = split(Document(text, "text"), chunk_tokens=17, chunk_overlap=0)
    assert [chunk.text for chunk in chunks] == ["第一句话有八个字。第二句话有八个字。", "第三句话有八个字。"]


def test_a_text_that_repeats_itself_is_still_covered_to_its_end() -> None:
    # LangChain's own start index finds an earlier copy of a repeated piece.
    text = "same words here. " * 100
    chunks = split(Document(text, "text"), chunk_tokens=20, chunk_overlap=5)
    assert chunks[-1].end == len(text.rstrip())
    assert all(after.start <= before.end + 1 for before, after in pairwise(chunks))


def test_a_word_without_end_is_cut() -> None:
    chunks = split(Document("x" * 5_000, "text"), chunk_tokens=100, chunk_overlap=0)
    assert len(chunks) > 1
    assert "".join(chunk.text for chunk in chunks) == "x" * 5_000


def test_markdown_chunks_carry_their_heading_path() -> None:
    text = (
        "---\ntitle: Guide\n# no heading\n---\nIntro.\n\n# Install\n\n## Linux\napt.\n\n## macOS ##\nbrew.\n\n"
        "```sh\n# no heading\n```\n\nUsage\n-----\nRun it.\n\n# Last\n"
    )
    chunks = split(Document(text, "markdown"))
    assert [chunk.headings for chunk in chunks] == [
        (),
        ("Install", "Linux"),
        ("Install", "macOS"),
        ("Install", "Usage"),
        ("Last",),
    ]
    assert chunks[1].text == "## Linux\napt."
    assert chunks[2].text.endswith("```")


def test_a_rule_after_a_list_or_table_is_no_heading() -> None:
    text = "- item\n---\n\n| a |\n---\n\ntwo lines\nof text\n---\n\nTitle\n==\n"
    assert [heading.title for heading in find_headings(text)] == ["Title"]


def test_dashes_under_a_line_make_a_heading_in_markdown_only() -> None:
    text = "Name\n----\nbody"
    assert split(Document(text, "markdown"))[0].headings == ("Name",)
    assert split(Document(text, "html"))[0].headings == ()


def test_a_title_is_the_front_matters_or_the_first_heading() -> None:
    assert find_title('---\ntitle: "From the top"\n---\n# Heading') == "From the top"
    assert find_title("text\n\n## First ##\n# Second") == "First"
    assert find_title("title: of nothing") == ""


@pytest.mark.parametrize("line", ["# one", "#", "```", "~~~ x", "###### six"])
def test_an_escaped_line_is_found_as_nothing(line: str) -> None:
    assert find_headings(f"{escape(line)}\n# Real\n")[0].title == "Real"


def test_a_fenced_text_hides_its_own_fences_and_headings() -> None:
    text = fenced("```\n# inside\n````\n# inside\n```")
    assert [heading.title for heading in find_headings(f"{text}\n\n# Outside")] == ["Outside"]


def test_a_chunk_does_not_cross_pages() -> None:
    text = "first page\n\fsecond page\n\f"
    pages = (Page(1, 0, 10), Page(2, 12, 23, ocr=True), Page(3, 25, 25))
    chunks = split(Document(text, "pdf", pages))
    assert [(chunk.text, chunk.page) for chunk in chunks] == [("first page", 1), ("second page", 2)]


def test_rows_are_grouped_whole_under_the_first_row() -> None:
    text = 'name,note\r\nada,"two\r\nlines"\r\nbob,one\r\ncy,one more\r\n'
    chunks = split(Document(text, "csv"), chunk_tokens=7, chunk_overlap=2)
    assert [chunk.text for chunk in chunks] == ['ada,"two\r\nlines"\r\nbob,one', "cy,one more"]
    assert {chunk.headings for chunk in chunks} == {("name,note",)}


def test_a_stray_quotation_mark_does_not_swallow_the_rows_below() -> None:
    rows = [f"pipe {number},some words of this row" for number in range(2_000)]
    text = "\n".join(["size,what", '5" pipe,steel', *rows])
    chunks = split(Document(text, "csv"), chunk_tokens=30)
    assert chunks[0].text.startswith('5" pipe,steel\npipe 0,')
    assert all(count_tokens(chunk.text) <= 30 for chunk in chunks)
    assert all(before.end <= after.start for before, after in pairwise(chunks))


def test_a_table_of_one_row_is_that_row() -> None:
    (chunk,) = split(Document("only,one,row\n\n", "csv"))
    assert (chunk.text, chunk.headings) == ("only,one,row", ())


def test_the_id_is_of_headings_and_normalised_text() -> None:
    assert chunk_id(("A  b",), "ﬁne\r\n\tＡ") == hashlib.sha256(b"A b\0fine A").hexdigest()[:32]
    assert chunk_id((), "a") != chunk_id(("a",), "")
    (here,) = split(Document("Same words.", "text"))
    (there,) = split(Document("\n\nSame\n words. ", "markdown"))
    assert here.id == there.id


def test_an_edit_changes_only_the_chunks_it_touches() -> None:
    before = "".join(f"# Part {i}\n\nText of part {i}.\n\n" for i in range(20))
    after = before.replace("Text of part 7.", "Another text of part 7, longer.")
    old = {chunk.id for chunk in split(Document(before, "markdown"))}
    new = {chunk.id for chunk in split(Document(after, "markdown"))}
    assert len(old) == len(new) == 20
    assert len(old - new) == len(new - old) == 1


def test_signs_and_blanks_alone_are_no_chunk() -> None:
    assert split(Document("-" * 1_000 + "\n" * 500 + "***", "text")) == []
    assert split(Document("", "image")) == []
    (chunk,) = split(Document("Words.\n\n" + "-" * 10_000, "text"), chunk_tokens=40)
    assert chunk.text == "Words."


def test_the_fingerprint_names_the_parameters() -> None:
    assert fingerprint(220, 40) == SPLITTER_FINGERPRINT
    assert len({fingerprint(220, 40), fingerprint(220, 41), fingerprint(221, 40)}) == 3


def test_what_the_fingerprint_promises_is_pinned() -> None:
    # If this fails, the rules have changed: raise _RULES in chunks.py and write the new digest here.
    text = "# Kopf 标题\n\n" + "Ein Satz mit Wörtern, und noch einer. 这是一个句子。\r\n\r\n" * 30 + "## Ende\nx" * 3
    chunks = split(Document(text, "markdown"), chunk_tokens=60, chunk_overlap=15)
    spans = repr([(chunk.id, chunk.start, chunk.end) for chunk in chunks])
    assert (SPLITTER_FINGERPRINT, hashlib.sha256(spans.encode()).hexdigest()[:12]) == (
        "structure-1/220/40",
        "a4fc8f806f9b",
    )
