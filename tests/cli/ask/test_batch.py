import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from graph.answer import Answer
from graph.question import Question
from model.errors import ImageError
from model.remote.errors import RemoteUnavailable


def rows_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def write(path: Path, *rows: object) -> None:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "questions.jsonl"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "answers.jsonl"


def batch(lorgnette: Any, agent: Any, *more: str) -> Any:
    return lorgnette("ask", "--batch", "questions.jsonl", "--out", "answers.jsonl", *more, agent=agent)


def test_each_row_is_asked_with_its_options_and_answered_under_its_id(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    options = {
        "effort": "quick",
        "max_new_tokens": 9,
        "fields": ["total"],
        "time_budget_s": 2.5,
        "use_knowledge": False,
    }
    write(source, {"id": 7, "question": "Which?", "images": ["a.png", "cat.png"], **options}, "", {"question": "Why?"})
    agent = scripted_agent(answer)
    result = batch(lorgnette, agent)
    assert result.exit_code == 0, result.stderr
    changed: dict[str, Any] = {**options, "fields": ("total",)}
    assert agent.asked == [Question("Why?"), Question("Which?", ("a.png", "cat.png"), **changed)]
    lines = rows_in(out)
    assert [line["id"] for line in lines][1] == 7 and len(lines[0]["id"]) == 16
    assert lines[1]["question"] == "Which?" and lines[1]["images"] == ["a.png", "cat.png"]
    names = ("id", "question", "images")
    assert [Answer(**{k: v for k, v in line.items() if k not in names}) for line in lines] == [answer, answer]
    assert result.stdout == "" and result.stderr.splitlines()[-1] == "2 of 2 rows are in answers.jsonl."
    assert "1 of 2 rows, " in result.stderr


def test_a_folder_of_pictures_is_asked_one_question(
    lorgnette: Any, scripted_agent: Any, answer: Answer, out: Path, tmp_path: Path
) -> None:
    (tmp_path / "a" / "notes.txt").touch()
    (tmp_path / "a" / ".hidden.png").touch()
    agent = scripted_agent(answer)
    result = lorgnette("ask", "How many?", "--batch", "a", "--out", "answers.jsonl", "--field", "n", agent=agent)
    assert result.exit_code == 0
    assert agent.asked == [Question("How many?", (str(Path("a") / "a.png"),), fields=("n",))]
    assert [line["images"] for line in rows_in(out)] == [[str(Path("a") / "a.png")]]


def test_rows_that_have_a_line_are_not_asked_again(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"question": "One?"}, {"id": "b", "question": "Two?"})
    batch(lorgnette, scripted_agent(answer))
    before = out.read_bytes()
    write(source, {"question": "One?"}, {"id": "b", "question": "Two?"}, {"id": "c", "question": "Three?"})
    agent = scripted_agent(answer)
    assert batch(lorgnette, agent).exit_code == 0
    assert [asked.text for asked in agent.asked] == ["Three?"]
    assert out.read_bytes().startswith(before)


def test_half_a_line_is_dropped_and_its_row_asked_again(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"id": "a", "question": "One?"}, {"id": "b", "question": "Two?"})
    batch(lorgnette, scripted_agent(answer))
    whole = out.read_bytes()
    out.write_bytes(whole[:-20])
    agent = scripted_agent(answer)
    assert batch(lorgnette, agent).exit_code == 0
    assert [asked.text for asked in agent.asked] == ["Two?"]
    assert out.read_bytes() == whole


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "it is no JSON"),
        ("[1]", "it is no JSON object"),
        ('{"question": "Which?", "image": "a.png", "images": []}', "it has both 'image' and 'images'"),
        ('{"image": "a.png"}', "it has no 'question'"),
        ('{"question": "Which?", "effort": "maximal"}', "'effort' cannot be so, input should be 'quick'"),
        ('{"question": "Which?", "efort": "quick"}', "'efort' is no key of a row"),
        ('{"question": ' + "[" * 100_000, "it is no JSON"),
    ],
)
def test_a_bad_row_costs_that_row(
    row: str, reason: str, lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"id": "a", "question": "One?"}, row)
    result = batch(lorgnette, scripted_agent(answer))
    assert result.exit_code == 1
    bad, good = rows_in(out)
    assert good["id"] == "a" and good["answer"] == "Three circles."
    assert (
        bad["code"] == "row_invalid" and bad["error"].startswith("Line 2 cannot be asked: ") and reason in bad["error"]
    )
    assert result.stderr.splitlines()[-1] == (
        "2 of 2 rows are in answers.jsonl, 1 of them failed (--retry-failed asks those again)."
    )


def test_a_question_that_fails_costs_its_row_and_is_asked_again_if_wished(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"id": "a", "question": "One?", "image": "no.png"}, {"id": "b", "question": "Two?"})
    result = batch(lorgnette, scripted_agent(answer))
    assert result.exit_code == 1
    assert [(line["id"], line.get("code")) for line in rows_in(out)] == [("b", None), ("a", "image_not_found")]
    agent = scripted_agent(answer)
    assert batch(lorgnette, agent).exit_code == 1
    assert agent.asked == []
    (source.parent / "no.png").write_bytes((source.parent / "a.png").read_bytes())
    assert batch(lorgnette, agent, "--retry-failed").exit_code == 0
    assert [asked.text for asked in agent.asked] == ["One?"]
    assert ["error" in line for line in rows_in(out)] == [False, False]


@pytest.mark.parametrize(
    ("error", "code"),
    [(ImageError.not_found("a.png", []), "image_not_found"), (RuntimeError("odd"), "unforeseen_error")],
)
def test_whatever_an_answer_raises_is_told_in_its_row(
    error: Exception, code: str, lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"question": "One?"}, {"question": "Two?"})
    assert batch(lorgnette, scripted_agent(answer, error=error)).exit_code == 1
    assert [line["code"] for line in rows_in(out)] == [code, code]


def test_a_server_that_is_gone_ends_the_batch_and_costs_no_row(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"question": "One?"}, {"question": "Two?"})
    result = batch(lorgnette, scripted_agent(answer, error=RemoteUnavailable("http://h/v1", "refused")))
    assert result.exit_code == 1 and rows_in(out) == []
    assert "0 of 2 rows are in answers.jsonl; the same command again goes on there." in result.stderr
    assert "Error: The server at 'http://h/v1' cannot be reached" in result.stderr


def test_rows_that_share_a_picture_are_asked_behind_one_another(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path
) -> None:
    write(
        source,
        {"question": "A longer one?", "image": "a.png"},
        {"question": "First", "session_id": "s"},
        {"question": "Cat?", "image": "cat.png"},
        {"question": "Two", "images": ["cat.png", "a.png"]},
        {"question": "A", "image": "a.png"},
        {"question": "B", "session_id": "s"},
        {"question": "Cat again?", "image": "cat.png"},
        {"question": "Cat?", "image": "cat.png"},
    )
    agent = scripted_agent(answer)
    batch(lorgnette, agent)
    assert [asked.text for asked in agent.asked] == [
        "First", "B", "A", "A longer one?", "Cat?", "Cat again?", "Two",
    ]  # fmt: skip
    assert agent.settings.sessions == "auto"


def test_no_session_is_left_behind_by_rows_that_name_none(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path
) -> None:
    write(source, {"question": "One?"})
    agent = scripted_agent(answer)
    batch(lorgnette, agent)
    assert agent.settings.sessions == "none"


def test_an_id_of_two_rows_costs_the_second(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"id": "a", "question": "One?"}, {"id": "a", "question": "One?"}, {"id": "a", "question": "Two?"})
    agent = scripted_agent(answer)
    assert batch(lorgnette, agent).exit_code == 1
    assert [asked.text for asked in agent.asked] == ["One?"]
    assert rows_in(out)[0]["error"] == "Line 3 has the id 'a' of another row; give it one of its own."


def test_a_lone_surrogate_is_written_as_its_escape(
    lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, r'{"id": "a", "question": "One \ud800 圆?"}')
    assert batch(lorgnette, scripted_agent(answer)).exit_code == 0
    assert r"One \ud800 圆?" in out.read_text("utf-8")
    assert rows_in(out)[0]["question"] == "One \ud800 圆?"


@pytest.mark.parametrize("content", ["notes\n", "notes", '{"id": 1}\n', '{"question": "One?"}\n'])
def test_a_file_of_something_else_is_left_as_it_is(
    content: str, lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path, out: Path
) -> None:
    write(source, {"question": "One?"})
    out.write_text(content)
    result = batch(lorgnette, scripted_agent(answer))
    assert result.exit_code == 1
    assert result.stderr == ("Error: Line 1 of 'answers.jsonl' is no answer of a batch; name another file as --out.\n")
    assert out.read_text() == content


def test_the_questions_are_not_written_over(lorgnette: Any, scripted_agent: Any, answer: Answer, source: Path) -> None:
    write(source, {"question": "One?"})
    result = lorgnette("ask", "--batch", "questions.jsonl", "--out", "./questions.jsonl", agent=scripted_agent(answer))
    assert result.exit_code == 1 and "is the file of the questions itself" in result.stderr
    assert rows_in(source) == [{"question": "One?"}]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--batch", "a"), "--batch needs --out"),
        (("Which?", "--out", "x.jsonl"), "--out and --retry-failed belong to --batch"),
        (("--batch", "a", "--out", "x.jsonl", "--json"), "are for one question"),
        (("Which?", "a.png", "--batch", "a", "--out", "x.jsonl"), "are for one question"),
    ],
)
def test_flags_that_do_not_go_together_are_bad_usage(
    arguments: tuple[str, ...], sentence: str, lorgnette: Any, scripted_agent: Any, answer: Answer
) -> None:
    result = lorgnette("ask", *arguments, agent=scripted_agent(answer))
    assert result.exit_code == 2 and sentence in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--batch", "no", "--out", "x.jsonl"), "There is no file or folder 'no'"),
        (("--batch", "a", "--out", "x.jsonl"), "A folder of pictures needs a question"),
        (("Which?", "--batch", "empty", "--out", "x.jsonl"), "There is nothing to ask in 'empty'"),
        (("Which?", "--batch", "a", "--out", "no/x.jsonl"), "The answers cannot be written to"),
    ],
)
def test_a_batch_that_cannot_be_worked_on_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, lorgnette: Any, scripted_agent: Any, answer: Answer, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    result = lorgnette("ask", *arguments, agent=scripted_agent(answer))
    assert result.exit_code == 1 and result.stderr.startswith(f"Error: {sentence}")


SCRIPT = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from cli.edge import Run, leave
from cli.main import app
from graph.answer import Answer
from graph.served_agent import ServedAgent
ANSWER = Answer.model_validate_json(sys.argv[1])
class Slow(ServedAgent):
    def answer(self, question, *, cancel, **others):
        if question.text == "Third?" and cancel.wait(300): raise RuntimeError("cancelled")
        return ANSWER
try:
    app(["ask", "--batch", "questions.jsonl", "--out", "answers.jsonl"], prog_name="lorgnette",
        obj=Run(open_agent=lambda settings, progress: Slow()))
except SystemExit as end:
    leave(end.code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send to a child")
def test_control_c_leaves_whole_lines_and_says_how_to_go_on(answer: Answer, source: Path, out: Path) -> None:
    write(source, {"question": "One?"}, {"question": "Two??"}, {"question": "Third?"})
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", SCRIPT, answer.model_dump_json()],
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert process.stderr is not None
    assert [process.stderr.readline()[:13] for _ in range(2)] == ["1 of 3 rows, ", "2 of 3 rows, "]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=300)
    assert process.returncode == 130
    assert stderr.splitlines() == [
        "2 of 3 rows are in answers.jsonl; the same command again goes on there.",
        "Stopped.",
    ]
    assert len(rows_in(out)) == 2 and out.read_bytes().endswith(b"\n")


@pytest.mark.heavy
def test_the_bundled_checkpoint_reads_a_shared_picture_once(lorgnette: Any, source: Path, out: Path) -> None:
    picture = str(Path(__file__).parents[3] / "examples" / "shapes.png")
    write(
        source,
        {"id": "count", "question": "How many objects are there?", "image": picture},
        {"id": "shape", "question": "What shape is the green object?", "image": picture},
    )
    root = str(Path(picture).parent)
    arguments = ("--batch", "questions.jsonl", "--out", "answers.jsonl", "--effort", "quick", "--root", root)
    from click.testing import CliRunner

    from cli.edge import Run
    from cli.main import app

    result = CliRunner().invoke(app, ["ask", *arguments], obj=Run())
    assert result.exit_code == 0, result.stderr
    first, second = rows_in(out)
    assert [(line["id"], line["answer"]) for line in (first, second)] == [("count", "5"), ("shape", "triangle")]
    assert second["usage"]["cached_tokens"] > second["usage"]["prefill_tokens"]
