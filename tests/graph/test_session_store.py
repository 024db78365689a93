"""Sessions: what was said is remembered, whole turns or none, whoever asks and whatever dies."""

import base64
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from PIL import Image

from graph.answer import Turn
from graph.archive import Archive
from graph.errors import SessionBusy, SessionIdInvalid, SessionMissing
from graph.history import estimated_tokens, first_kept
from graph.session_store import Sessions
from model.call_options import Cancelled

PLAN = '{"task":"answer","steps":["count"],"needs_knowledge":false,"queries":[]}'
PASS = '{"feedback":"3","verdict":"PASS"}'


def reopened(archive: Archive, tmp_path: Path) -> Archive:
    """The same store as another process would open it."""
    archive.sessions.close()
    return Archive(Sessions(str(tmp_path / "home" / "sessions.sqlite"), tmp_path / "home" / "sessions"), tmp_path)


def test_a_store_is_not_closed_under_a_query_of_another_thread(archive: Archive) -> None:
    """SQLite would end the process."""
    saver = cast(Any, archive.sessions.checkpointer)
    closing = threading.Thread(target=archive.sessions.close)
    with saver.lock:  # as a query holds it
        closing.start()
        closing.join(0.2)
        assert closing.is_alive()
        saver.conn.execute("SELECT 1")
    closing.join(10)
    assert not closing.is_alive()


def test_a_later_question_sees_the_earlier_turn_and_its_picture_after_a_restart(
    agent_of: Any, archive: Archive, tmp_path: Path, picture: str
) -> None:
    first, _ = agent_of(PLAN, "3", PASS, archive=archive)
    session_id = first.ask("How many?", [picture]).session_id
    again = reopened(archive, tmp_path)
    second, chat = agent_of(PLAN, "grey", PASS, archive=again)
    answer = second.ask("What color are they?", session_id=session_id)
    assert (answer.answer, answer.session_id) == ("grey", session_id)
    _, user, said, asked = chat.asked[1]
    assert (user.content[0]["image"].source, user.content[1]["text"]) == (picture, "How many?")
    assert (said.text, asked.content) == ("3", [{"type": "text", "text": asked.text}])
    assert asked.text.startswith("What color are they?\n")
    assert [turn.question for turn in again.sessions.turns(session_id)] == ["How many?", "What color are they?"]
    again.sessions.close()


def test_a_picture_that_came_as_data_is_seen_again(agent_of: Any, archive: Archive, picture: str) -> None:
    url = "data:image/png;base64," + base64.b64encode(Path(picture).read_bytes()).decode()
    agent, chat = agent_of(PLAN, "3", PASS, PLAN, "grey", PASS, archive=archive)
    agent.ask("How many?", [url], session_id="mine")
    agent.ask("What color?", session_id="mine")
    assert chat.asked[4][1].content[0]["image"].image.size == (200, 100)


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_picture_that_is_no_longer_the_same_is_said_and_not_shown(
    agent_of: Any, archive: Archive, picture: str, what: str
) -> None:
    agent, chat = agent_of(PLAN, "3", PASS, PLAN, "grey", PASS, archive=archive)
    agent.ask("How many?", [picture], session_id="mine")
    Path(picture).unlink() if what == "gone" else Image.new("RGB", (9, 9)).save(picture)
    answer = agent.ask("What color?", session_id="mine")
    assert any(note.startswith(f"session: {picture}") for note in answer.degraded)
    assert [block["type"] for block in chat.asked[4][1].content] == ["text"]


def test_a_question_that_fails_or_is_cancelled_leaves_the_session_as_it_was(
    agent_of: Any, archive: Archive, picture: str
) -> None:
    agent, _ = agent_of(PLAN, "3", PASS, PLAN, Cancelled(), PLAN, "grey", PASS, archive=archive)
    agent.ask("How many?", [picture], session_id="mine")
    with pytest.raises(Cancelled):
        agent.ask("And now?", session_id="mine")
    assert [turn.question for turn in archive.sessions.turns("mine")] == ["How many?"]
    assert agent.ask("What color?", session_id="mine").answer == "grey"
    assert [turn.question for turn in archive.sessions.turns("mine")] == ["How many?", "What color?"]


def test_a_nodes_own_failure_is_not_blamed_on_the_store(agent_of: Any, archive: Archive, picture: str) -> None:
    agent, _ = agent_of(OSError("the camera is gone"), archive=archive)
    with pytest.raises(OSError, match="camera"):
        agent.ask("How many?", [picture], session_id="mine", effort="quick")


KILLED = """
import os, sys
from pathlib import Path
from graph.agent import Agent
from graph.archive import Archive
from graph.session_store import Sessions
from graph.settings import AgentSettings
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from model.open import ModelIdentity

class Dies(GenericFakeChatModel):
    def _stream(self, *_, **__):
        os.kill(os.getpid(), 9)

home, picture = Path(sys.argv[1]), sys.argv[2]
archive = Archive(Sessions(str(home / "sessions.sqlite"), home / "sessions"), home)
settings = AgentSettings(roots=(home.parent,))
agent = Agent(Dies(messages=iter([])), ModelIdentity("x", None, "none"), settings, None, archive)
agent.ask("Killed?", [picture], session_id="mine", effort="quick")
"""


def test_a_kill_in_mid_answer_leaves_the_session_as_after_the_last_turn(
    agent_of: Any, archive: Archive, tmp_path: Path, picture: str
) -> None:
    agent, _ = agent_of("3", "grey", archive=archive)
    agent.ask("How many?", [picture], session_id="mine", effort="quick")
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "home"), picture], capture_output=True, check=False
    )
    assert died.returncode == -9, died.stderr.decode()
    assert [turn.question for turn in archive.sessions.turns("mine")] == ["How many?"]
    agent.ask("What color?", session_id="mine", effort="quick")  # its lock died with it
    assert len(archive.sessions.turns("mine")) == 2


def test_two_questions_in_one_session_wait_for_each_other(agent_of: Any, archive: Archive, picture: str) -> None:
    agent, _ = agent_of("3", archive=archive, time_budget_s=0.2)
    with (
        archive.sessions.exclusively("mine", deadline=0, cancel=threading.Event()),
        pytest.raises(SessionBusy, match="another session"),
    ):
        agent.ask("How many?", [picture], session_id="mine", effort="quick")


def test_many_threads_in_one_session_lose_no_turn(agent_of: Any, archive: Archive, picture: str) -> None:
    def ask(number: int) -> None:
        agent, _ = agent_of(f"answer {number}", archive=archive)
        agent.ask(f"question {number}", [picture], session_id="mine", effort="quick")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    turns = archive.sessions.turns("mine")
    assert sorted((t.question, t.said) for t in turns) == [(f"question {n}", f"answer {n}") for n in range(8)]


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", ".hidden", "", "x" * 65, "a\nb", "日记"])
def test_a_session_id_that_is_no_plain_name_is_refused(
    agent_of: Any, archive: Archive, picture: str, name: str
) -> None:
    agent, chat = agent_of("3", archive=archive)
    if name:
        with pytest.raises(SessionIdInvalid):
            agent.ask("How many?", [picture], session_id=name)
        assert chat.asked == []
    with pytest.raises(SessionIdInvalid):
        archive.sessions.turns(name)


def test_a_store_that_cannot_be_opened_costs_the_memory_and_not_the_answer(
    agent_of: Any, tmp_path: Path, picture: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    broken = Archive(Sessions(str(tmp_path / "file" / "sessions.sqlite"), tmp_path / "home"), tmp_path)
    agent, _ = agent_of("3", "4", archive=broken)
    for session_id in ("mine", None):
        answer = agent.ask("How many?", [picture], session_id=session_id, effort="quick")
        assert answer.answer in "34"
        assert any(note.startswith("session: ") and "cannot be used" in note for note in answer.degraded)


def test_a_turn_that_cannot_be_saved_is_answered_and_said(
    agent_of: Any, archive: Archive, picture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent, _ = agent_of("3", "4", archive=archive)
    agent.ask("How many?", [picture], session_id="mine", effort="quick")
    archive.sessions._connection.execute("PRAGMA max_page_count = 1")  # as a full disk: SQLITE_FULL
    answer = agent.ask("Again? " + "Why? " * 9000, session_id="mine", effort="quick")
    assert answer.answer == "4"
    assert any(note.startswith("session: not saved") and "full" in note for note in answer.degraded)
    assert [turn.question for turn in archive.sessions.turns("mine")] == ["How many?"]


@pytest.mark.slow
def test_two_hundred_turns_are_kept_once_each_and_told_within_the_budget(
    agent_of: Any, archive: Archive, picture: str
) -> None:
    agent, chat = agent_of(*["It is grey, as before."] * 200, archive=archive, history_tokens=100)
    for number in range(200):
        answer = agent.ask(
            f"Which color is it, for the {number}th time?", [picture] if not number else [], session_id="mine",
            effort="quick",
        )  # fmt: skip
    assert len(archive.sessions.turns("mine")) == 200
    count = archive.sessions._connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0]
    assert count == 1
    assert any(note.startswith("session: the first 196 questions") for note in answer.degraded)
    last = chat.asked[-1]
    assert [m.type for m in last] == ["system", *["human", "ai"] * ((len(last) - 2) // 2), "human"]
    assert last[1].content[0]["type"] == "image", "the picture outlives its turn's words"


def test_sessions_are_listed_latest_first_and_deleted_with_their_pictures(
    agent_of: Any, archive: Archive, picture: str
) -> None:
    url = "data:image/png;base64," + base64.b64encode(Path(picture).read_bytes()).decode()
    agent, _ = agent_of("1", "2", "3", archive=archive)
    agent.ask("First?", [url], session_id="a", effort="quick")
    agent.ask("Second?", [picture], session_id="b", effort="quick")
    agent.ask("Third?", session_id="b", effort="quick")
    infos = {info.id: (info.turns, info.first_question) for info in archive.sessions.infos()}
    assert infos == {"a": (1, "First?"), "b": (2, "Second?")}
    kept = archive.sessions.pictures / "a"
    assert len(list(kept.iterdir())) == 1
    archive.sessions.delete("a")
    assert not kept.exists()
    assert [info.id for info in archive.sessions.infos()] == ["b"]
    with pytest.raises(SessionMissing):
        archive.sessions.delete("a")


def test_sessions_that_are_switched_off_say_so(agent_of: Any, picture: str) -> None:
    agent, _ = agent_of("3")
    notes = agent.ask("How many?", [picture], session_id="mine", effort="quick").degraded
    assert "session: nothing is remembered, because sessions are switched off" in notes


def test_old_turns_go_by_whole_turns_and_several_at_once() -> None:
    def turn(question: str) -> Turn:
        made: Any = Turn.model_construct
        return cast(Turn, made(question=question, said=""))  # no more of it counts

    turns = [turn("x" * 40) for _ in range(10)]  # ten tokens each
    assert estimated_tokens("x" * 40) == 10
    assert estimated_tokens("四个汉字") == 4
    assert [first_kept(turns[:n], 60) for n in range(11)] == [0, 0, 0, 0, 0, 0, 0, 4, 4, 4, 4]
    assert first_kept([turn("x" * 4000)], 60) == 1


def test_a_session_lives_in_postgres_too(agent_of: Any, tmp_path: Path, picture: str, postgres_url: str) -> None:
    archive = Archive(Sessions(postgres_url, tmp_path / "home"), tmp_path)
    agent, chat = agent_of("3", "grey", archive=archive)
    agent.ask("How many?", [picture], session_id="mine", effort="quick")
    archive.sessions.close()
    agent.ask("What color?", session_id="mine", effort="quick")
    assert [m.type for m in chat.asked[1]] == ["system", "human", "ai", "human"]
    assert [info.id for info in archive.sessions.infos()] == ["mine"]
    archive.sessions.delete("mine")
    assert archive.sessions.infos() == []
    archive.sessions.close()
