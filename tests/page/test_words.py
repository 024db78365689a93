"""The page's texts: each in both languages, with the same values, and none that no view says."""

import re
import string
from pathlib import Path

import pytest

from page.chat.notes import as_sentence
from page.words import TEXTS, language_of, speaker

PAGE = Path(__file__).parents[2] / "page"
# Said by a name that is put together: nodes of the graph, efforts, columns, tabs.
BY_NAME = {
    "planner", "retriever", "responder", "reviewer", "archivist", "finisher", "quick_means", "normal_means",
    "thorough_means", "run_running", "run_finished", "run_stopped", "run_failed",
}  # fmt: skip


def values_in(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_takes_the_same_values_in_both_languages(name: str) -> None:
    english, chinese = TEXTS[name]
    assert english and chinese and values_in(english) == values_in(chinese)


def test_no_text_is_there_that_no_view_says() -> None:
    code = "\n".join(file.read_text("utf-8") for file in PAGE.rglob("*.py") if not file.name.endswith("words.py"))
    assert [name for name in TEXTS if name not in BY_NAME and not re.search(f"[\"']{name}[\"']", code)] == []
    assert set(re.findall(r"""say\(\s*["'](\w+)["']""", code)) <= set(TEXTS)


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh"), ("en-GB,en;q=0.9", "en"), ("de,zh-TW;q=0.5", "zh"), ("fr", "en"), ("", "en")],
)
def test_the_browsers_language_is_taken(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


def test_a_text_is_said_with_its_values() -> None:
    assert speaker("en")("rename") == "Rename" and speaker("zh")("remove", name="a.png") == "移除 a.png"


@pytest.mark.parametrize(
    ("note", "english", "chinese"),
    [
        (
            "knowledge base: nothing relevant was found",
            "Your documents: nothing relevant was found.",
            "文档里没有找到相关内容。",
        ),
        (
            "plan: skipped, the time budget was spent",
            "The plan: skipped, the time budget was spent.",
            "没有计划,直接回答(时间已用完)。",
        ),
        ("something else", "Something else.", "Something else."),
    ],
)  # fmt: skip
def test_a_note_is_a_sentence(note: str, english: str, chinese: str) -> None:
    assert as_sentence(note, "en") == english
    assert as_sentence(note, "zh") == chinese
