"""The README's example, asked as a user asks it: the command in a process of its own, the bundled model, no fakes."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from graph.answer import Answer

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "shapes.png"
SCHEMA = json.loads((ROOT / "docs" / "answer.schema.json").read_text("utf-8"))


def ask(question: str, *options: str) -> Any:
    command = [sys.executable, "-m", "cli.main", "ask", question, str(EXAMPLE), "--root", str(EXAMPLE.parent)]
    command += ["--time-budget", "3000"]  # on a busy machine the answer would end before its review
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=300)


def test_the_published_schema_is_the_answers_own() -> None:
    assert Answer.model_json_schema() == SCHEMA


def test_json_is_one_document_of_the_published_schema_with_a_true_answer() -> None:
    done = ask("How many objects are there?", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    jsonschema.validate(answer, SCHEMA)
    assert answer["answer"] == "5"
    assert answer["review"]["verdict"] == "PASS"
    assert answer["plan"]["task"] == "answer"


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("What shape is the green object?", "triangle"),
        ("Is there a blue square?", "yes"),
        ("Is there a black ring?", "no"),
        ("What is the leftmost object?", "red circle"),
    ],
)
def test_the_example_is_seen_truly(question: str, answer: str) -> None:
    done = ask(question)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == answer
