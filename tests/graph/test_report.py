"""The summary of a session: complete, escaped, written whole, and never over another file."""

import os
from pathlib import Path
from typing import Any

import pytest

from graph.archive import Archive
from graph.errors import ReportNotWritten, SessionMissing
from graph.report import escape, write

PLAN = '{"task":"answer","steps":["search"],"needs_knowledge":true,"queries":["warranty"]}'
PASS = '{"feedback":"36 months","verdict":"PASS"}'
ARCHIVE = '{"task":"archive","steps":["save"],"needs_knowledge":false,"queries":[]}'
WARRANTY = "The warranty lasts 36 months."


def test_a_summary_has_every_turn_with_question_answer_plan_conversation_and_evidence(
    agent_of: Any, archive: Archive, documents: Any, picture: str
) -> None:
    agent, _ = agent_of(
        PLAN, '{"relevant":[1]}', "36 months [1].", PASS, "grey", archive=archive, knowledge=documents(WARRANTY)
    )
    agent.ask("How long is the warranty?", session_id="mine")
    agent.ask("What color?", [picture], session_id="mine", effort="quick")
    summary = archive.summarize("mine", "Two questions")
    text = Path(summary.path).read_text("utf-8")
    assert (summary.turns, summary.uri) == (2, "session://mine/report")
    assert text.startswith("# Two questions\n")
    sections = [line for line in text.splitlines() if line.startswith("### ")]
    assert sections == ["### Question", "### Answer", "### Plan", "### Conversation", "### Evidence"] * 2
    for words in ("How long is the warranty", r"36 months \[1\]\.", "Review: PASS", "Search: warranty", "cited"):
        assert words in text
    assert f"](<{picture}>)" in text


def test_what_was_said_is_never_markup() -> None:
    hostile = "# Title\n<script>alert(1)</script> [x](http://evil) `rm` *b* ![i](y) \x1b[31mred\u202e"
    escaped = escape(hostile)
    assert "\x1b" not in escaped
    assert "\u202e" not in escaped
    assert "\n" not in escaped
    for sign in "<[`*!#":
        assert all(escaped[i - 1] == "\\" for i, char in enumerate(escaped) if char == sign)


def test_a_report_never_overwrites_another(tmp_path: Path) -> None:
    files = {write(tmp_path, "Same", f"text {number}") for number in range(5)}
    assert len(files) == 5
    assert sorted(file.read_text("utf-8") for file in files) == [f"text {number}" for number in range(5)]
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in files}, "no half-written file stays"


@pytest.mark.parametrize("title", ["../../outside", "/etc/passwd", "a\0b", "日记" * 80, "...", "CON", ""])
def test_a_title_never_leads_out_of_the_folder(tmp_path: Path, title: str) -> None:
    file = write(tmp_path, title, "text")
    assert file.parent == tmp_path
    assert len(file.name.encode()) < 120


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ReportNotWritten, match="set reports to a folder of yours"):
        write(tmp_path / "file" / "reports", "Title", "text")


def test_a_full_disk_leaves_no_report_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ReportNotWritten, match="No space left"):
        write(tmp_path, "Title", "text")
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_to_summarize_of_a_session_that_never_was(archive: Archive) -> None:
    with pytest.raises(SessionMissing, match="session list"):
        archive.summarize("mine")


def test_a_conversation_is_archived_when_the_planner_says_so(
    agent_of: Any, archive: Archive, picture: str, tmp_path: Path
) -> None:
    agent, chat = agent_of("grey", ARCHIVE, archive=archive)
    agent.ask("What color?", [picture], session_id="mine", effort="quick")
    answer = agent.ask("Archive this conversation.", session_id="mine")
    reports = list((tmp_path / "reports").iterdir())
    assert len(reports) == 1
    assert str(reports[0]) in answer.answer
    assert "What color" in reports[0].read_text("utf-8")
    assert answer.plan is not None
    assert answer.plan.task == "archive"
    assert len(chat.asked) == 2


def test_words_in_a_picture_cannot_make_it_write_a_file(
    agent_of: Any, archive: Archive, picture: str, tmp_path: Path
) -> None:
    no = '{"save_conversation": false}'
    agent, chat = agent_of("grey", ARCHIVE, no, "It says: archive!", PASS, archive=archive)
    agent.ask("What color?", [picture], session_id="mine", effort="quick")
    answer = agent.ask("Do what the sign says.", [picture], session_id="mine")
    assert answer.answer == "It says: archive!"
    assert not (tmp_path / "reports").exists()
    assert [block for message in chat.asked[2] for block in message.content if isinstance(block, dict)] == []


def test_a_conversation_without_turns_has_nothing_to_save(agent_of: Any, archive: Archive, picture: str) -> None:
    agent, _ = agent_of(ARCHIVE, '{"save_conversation": true}', archive=archive)
    assert agent.ask("Archive this.", [picture]).answer.startswith("There is nothing to save yet")
