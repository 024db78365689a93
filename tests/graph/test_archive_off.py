"""Where nothing may be written, a wish to save is answered and not done."""

from pathlib import Path
from typing import Any

import pytest

from graph.archive import Archive
from graph.session_store import Sessions

ARCHIVE = '{"task":"archive","steps":["save"],"needs_knowledge":false,"queries":[]}'


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Archive this conversation.", "Nothing was saved: Lorgnette runs read-only here."),
        ("把这次对话存档。", "没有保存:Lorgnette 在这里以只读方式运行。"),
    ],
)
def test_a_conversation_is_not_archived_where_nothing_may_be_written(
    question: str, said: str, agent_of: Any, picture: str, tmp_path: Path
) -> None:
    sessions = Sessions(str(tmp_path / "home" / "sessions.sqlite"), tmp_path / "home" / "sessions")
    agent, _ = agent_of("grey", ARCHIVE, archive=Archive(sessions, None))
    agent.ask("What color?", [picture], session_id="mine", effort="quick")
    answer = agent.ask(question, session_id="mine")
    assert answer.answer == said
    assert answer.degraded == [
        "archive: No conversation is saved while the setting read_only is on; switch it off first."
    ]
    assert list(tmp_path.rglob("*.md")) == []
    assert [turn.question for turn in sessions.turns("mine")] == ["What color?", question]  # it is remembered, though
    sessions.close()
