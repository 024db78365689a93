import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph.answer import Answer, Event
from graph.question import Question
from model.errors import ImageError

UNDER = [
    "Box: circle, x 1 to 30, y 2 to 40 (pixels)",
    "Checked: a second look confirms it.",
    "Note: model: for drawn shapes only",
]


def start(node: str) -> Event:
    return Event(node=node, kind="start")


def end(node: str) -> Event:
    return Event(node=node, kind="end")


def text(words: str) -> Event:
    return Event(node="responder", kind="text", text=words)


def draft(*words: str) -> list[Event]:
    return [start("responder"), *map(text, words), end("responder")]


def review() -> list[Event]:
    return [start("reviewer"), end("reviewer")]


def test_the_words_that_were_streamed_are_not_printed_twice(
    lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    events = [start("planner"), end("planner"), *draft("Three ", "circles."), *review()]
    result = lorgnette("ask", "How many?", "a.png", agent=scripted_agent(answer, events))
    assert result.exit_code == 0
    assert result.stdout.splitlines() == ["Three circles.", "", *UNDER]
    assert result.stderr == ""


def test_an_answer_that_was_not_streamed_is_printed(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    result = lorgnette("ask", "How many?", agent=scripted_agent(answer))
    assert result.stdout.splitlines() == ["Three circles.", "", *UNDER]


def test_a_chinese_question_has_chinese_lines_under_its_answer(
    lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    noted = answer.model_copy(update={"degraded": ["review: skipped, the time budget was spent"]})
    result = lorgnette("ask", "有几个圆?", agent=scripted_agent(noted))
    assert result.stdout.splitlines()[2:] == [
        "位置:circle,x 1 到 30,y 2 到 40(像素)",
        "复核:再看一遍,结果一致。",
        "说明:没有复核(时间已用完)",
    ]


def test_what_is_always_so_on_this_machine_is_said_once(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    note = "model: the bundled checkpoint knows drawn shapes only; run something"
    agent = scripted_agent(answer.model_copy(update={"degraded": [note]}))
    printed = [lorgnette("ask", "How many?", agent=agent).stdout.splitlines() for _ in range(2)]
    assert [lines[-1] == note for lines in printed] == [True, False]
    assert note in lorgnette("ask", "How many?", "--json", agent=agent).stdout


def test_thinking_is_in_the_trace_and_not_in_the_answer(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    thinking = Event(node="responder", kind="thinking", text="Two or three?")
    events = [start("responder"), thinking, text("Three circles."), end("responder")]
    result = lorgnette("ask", "How many?", "--trace", agent=scripted_agent(answer, events))
    assert "Two or three?" not in result.stdout and "thought: Two or three?" in result.stderr
    assert "session s-1" in result.stderr


def test_thinking_that_was_taken_for_the_answer_is_said_to_be_none(
    lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    withdrawn = Event(node="responder", kind="withdrawn")
    events = [start("responder"), text("Two?"), withdrawn, text("Three circles."), end("responder")]
    lines = lorgnette("ask", "How many?", agent=scripted_agent(answer, events)).stdout.splitlines()
    assert lines[:3] == ["Two?", "(That was the model thinking aloud; its answer follows.)", "Three circles."]
    assert "Another draft:" not in lines


def test_a_rewritten_draft_is_announced(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    events = [*draft("Two circles."), *review(), *draft("Three circles."), *review()]
    result = lorgnette("ask", "How many?", agent=scripted_agent(answer, events))
    assert result.stdout.splitlines()[:4] == [
        "Two circles.",
        "",
        "The review asked for a new answer:",
        "Three circles.",
    ]
    assert result.stdout.count("Three circles.") == 1


def test_a_final_answer_other_than_the_last_draft_follows_it(
    lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    result = lorgnette("ask", "How many?", agent=scripted_agent(answer, [*draft("Three of them."), *review()]))
    assert result.stdout.splitlines()[:4] == ["Three of them.", "", "The final answer:", "Three circles."]


def test_terminal_commands_in_the_words_become_harmless(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    result = lorgnette("ask", "How many?", agent=scripted_agent(answer, draft("\x1b[2JTwo\x07")))
    assert "\x1b" not in result.stdout and "\x07" not in result.stdout


def test_json_is_one_document_and_nothing_else(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    agent = scripted_agent(answer, [*draft("Two"), *review(), *draft("Three circles.")])
    result = lorgnette("ask", "How many?", "--json", agent=agent)
    assert Answer.model_validate(json.loads(result.stdout)) == answer
    assert len(result.stdout.splitlines()) == 1


def test_flags_reach_the_settings_and_the_agent(
    lorgnette: Any, scripted_agent: Any, answer: Answer, tmp_path: Path
) -> None:
    agent = scripted_agent(answer)
    flags = "--session s-1 --no-kb --effort quick --model M --adapter lens --quantization none --root a --root b"
    limits = "--max-new-tokens 9 --time-budget 2.5"
    pictures = [str(tmp_path / name) for name in ("a/a.png", "b/b.png")]  # meant from here, not from the first root
    result = lorgnette("ask", "Which?", "a/a.png", "b/b.png", *flags.split(), *limits.split(), agent=agent)
    assert result.exit_code == 0
    assert agent.asked == [Question("Which?", tuple(pictures), session_id="s-1", use_knowledge=False)]
    read = agent.settings
    assert (read.effort, read.model, read.quantization) == ("quick", "M", "none")
    assert (read.adapter, read.roots) == (tmp_path / "lens", (tmp_path / "a", tmp_path / "b"))
    assert (read.max_new_tokens, read.time_budget_s) == (9, 2.5)


def test_an_error_of_ours_is_one_line_and_exit_code_1(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    error = ImageError.not_found("cat.png", ["cats.png"])
    result = lorgnette("ask", "Which?", "cat.png", agent=scripted_agent(answer, error=error))
    assert result.exit_code == 1
    assert result.stderr == f"Error: {error}\n"
    assert result.stdout == ""


def test_an_unexpected_error_is_one_line_with_a_hint(lorgnette: Any, scripted_agent: Any, answer: Answer) -> None:
    agent = scripted_agent(answer, error=RuntimeError("two\nlines"))
    result = lorgnette("ask", "Which?", agent=agent)
    assert result.exit_code == 1
    assert result.stderr == "Error: RuntimeError: two lines; --verbose shows the traceback\n"


@pytest.mark.parametrize("arguments", [("--verbose", "ask", "Which?"), ("ask", "Which?", "--verbose")])
def test_verbose_shows_the_traceback(
    arguments: tuple[str, ...], lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    result = lorgnette(*arguments, agent=scripted_agent(answer, error=RuntimeError("odd")))
    assert result.exit_code == 1
    assert "Traceback" in result.stderr


def test_bad_settings_are_an_error_before_anything_loads(
    lorgnette: Any, scripted_agent: Any, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_SEED", "often")
    agent = scripted_agent(answer)
    result = lorgnette("ask", "Which?", agent=agent)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: LORGNETTE_SEED cannot be 'often'")
    assert agent.asked == []


@pytest.mark.parametrize("arguments", [(), ("Which?", "--effort", "maximal"), ("Which?", "--max-new-tokens", "0")])
def test_bad_usage_is_exit_code_2(arguments: tuple[str, ...], lorgnette: Any) -> None:
    assert lorgnette("ask", *arguments).exit_code == 2


SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so their children
from cli.edge import Run, leave
from cli.main import app
from graph.question import Question
from graph.answer import Event
from graph.served_agent import ServedAgent
class Endless(ServedAgent):
    def answer(self, question, *, on_event, cancel, **others):
        for number in range(10**9):
            if cancel.wait(WAIT): raise RuntimeError("cancelled")
            on_event(Event(node="responder", kind="text", text=f"word {number}\\n"))
try:
    app(["ask", "Which?"], prog_name="lorgnette", obj=Run(open_agent=lambda settings, progress: Endless()))
except SystemExit as end:
    leave(end.code)
"""


def run_endless(wait: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT.replace("WAIT", str(wait))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to a child")
def test_control_c_stops_with_one_line_and_exit_code_130() -> None:
    process = run_endless(wait=0.01)
    assert process.stdout is not None
    assert process.stdout.readline() == "word 0\n"
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert stderr.strip() == "Stopped."


def test_a_reader_that_goes_away_is_no_error() -> None:
    process = run_endless(wait=0.0)
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == "word 0\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=300) == 1
