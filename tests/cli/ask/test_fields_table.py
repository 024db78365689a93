"""`ask --field NAME FOLDER --csv FILE.csv`: a row a document, and a page to review what is unproven."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.ask.command import EXTRACT
from graph.answer import Answer, FieldValue, PageRegion
from graph.question import Question
from model.remote.errors import RemoteUnavailable

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def found(source: str, *values: tuple[str, str | None, str]) -> list[FieldValue]:
    region = PageRegion(page=1, x1=100, y1=200, x2=300, y2=400)
    return [
        FieldValue(
            name=name, value=value, status=status, source=source, page=1, regions=[region], words="Total 119.00",
            note="" if status == "agrees" else "why",
        )
        for name, value, status in values
    ]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "bills").mkdir()
    for name in ("one.png", "two.png"):
        (tmp_path / "bills" / name).write_bytes((tmp_path / "a.png").read_bytes())
    return tmp_path / "bills"


class PerPicture:
    """Answers each picture with its own fields."""

    def __init__(self, make: Any, answer: Answer, fields: dict[str, list[FieldValue] | Exception]) -> None:
        self.agent = make(answer)
        inner = self.agent.answer

        def answered(question: Question, **options: Any) -> Answer:
            inner(question, **options)
            given = fields[Path(question.images[0]).name]
            if isinstance(given, Exception):
                raise given
            return answer.model_copy(update={"fields": given})

        self.agent.answer = answered


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def ask(lorgnette: Any, agent: Any, *more: str) -> Any:
    return lorgnette("ask", "--field", "number", "--field", "total", "bills", "--csv", "out.csv", *more, agent=agent)


def test_a_folder_becomes_a_row_a_document_with_status_and_page(
    lorgnette: Any, scripted_agent: Any, answer: Answer, folder: Path, tmp_path: Path
) -> None:
    (folder / "three.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "notes.txt").write_text("Total 5")
    one = found("bills/one.png", ("number", "4711", "agrees"), ("total", "119.00", "unproven"))
    two = found("bills/two.png", ("number", "4712", "agrees"), ("total", "-5.00", "agrees"))
    agent = PerPicture(scripted_agent, answer, {"one.png": one, "two.png": two}).agent
    result = ask(lorgnette, agent)
    assert result.exit_code == 1  # one of three is broken
    assert [row["document"] for row in table(tmp_path / "out.csv")] == [
        str(Path("bills") / name) for name in ("one.png", "three.pdf", "two.png")
    ]
    first, broken, last = table(tmp_path / "out.csv")
    assert (first["number"], first["number_status"], first["number_page"]) == ("4711", "agrees", "1")
    assert (first["total"], first["total_status"]) == ("119.00", "unproven")
    assert broken["total"] == broken["total_status"] == "" and "damaged" in broken["notes"]
    assert last["total"] == "-5.00"
    assert agent.asked[0] == Question(
        EXTRACT, (str(Path("bills") / "one.png"),), use_knowledge=False, fields=("number", "total")
    )
    assert "4 values are in out.csv, 1 of them unproven; out.html shows them." in result.stderr
    assert "1 files in bills are neither pictures nor PDFs and were not asked." in result.stderr
    page = (tmp_path / "out.html").read_text("utf-8")
    assert page.index("one.png") < page.index("two.png")
    assert page.count("data:image/jpeg;base64,") == 2
    assert page.count("Its page cannot be shown.") == 1
    order = re.findall(r'<td class="(\w+)">', page)
    assert order[:2] == ["unproven", "agrees"]


def test_hostile_text_is_text_in_table_and_page(
    lorgnette: Any, scripted_agent: Any, answer: Answer, folder: Path, tmp_path: Path
) -> None:
    evil = [
        FieldValue(name="number", value="=HYPERLINK(1)", status="unproven", words=HOSTILE, note=HOSTILE),
        FieldValue(name=HOSTILE, value=HOSTILE + "\x1b[2J\u202e", status="unproven", source="https://x/#page=z"),
    ]
    noted = answer.model_copy(update={"degraded": [HOSTILE]})
    agent = PerPicture(scripted_agent, noted, {"one.png": evil, "two.png": evil}).agent
    assert ask(lorgnette, agent).exit_code == 0
    page = (tmp_path / "out.html").read_text("utf-8")
    assert "<script" not in page and "<img src=x" not in page and "&lt;script&gt;" in page
    assert "\x1b" not in page and "\u202e" not in page
    assert "default-src 'none'" in page
    first, _ = table(tmp_path / "out.csv")
    assert first["number"] == "'=HYPERLINK(1)"


def test_a_batch_that_stops_leaves_a_table_and_goes_on(
    lorgnette: Any, scripted_agent: Any, answer: Answer, folder: Path, tmp_path: Path
) -> None:
    one = found("bills/one.png", ("number", "4711", "agrees"), ("total", "119.00", "agrees"))
    gone: dict[str, Any] = {"one.png": one, "two.png": RemoteUnavailable("http://h/v1", "refused")}
    assert ask(lorgnette, PerPicture(scripted_agent, answer, gone).agent).exit_code == 1
    first, second = table(tmp_path / "out.csv")
    assert first["total"] == "119.00" and second["notes"] == "not asked yet"
    assert not (tmp_path / "out.html").exists()
    agent = PerPicture(scripted_agent, answer, {"two.png": one}).agent
    assert ask(lorgnette, agent).exit_code == 0
    assert [Path(asked.images[0]).name for asked in agent.asked] == ["two.png"]
    assert [row["notes"] for row in table(tmp_path / "out.csv")] == ["model: for drawn shapes only"] * 2
    assert (tmp_path / "out.html").exists()
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2


def test_rows_of_a_file_have_a_table_too(
    lorgnette: Any, scripted_agent: Any, answer: Answer, folder: Path, tmp_path: Path
) -> None:
    row = {"question": "What is the total?", "image": "bills/one.png"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    one = found(str(folder / "one.png"), ("total", "119.00", "agrees"))
    agent = PerPicture(scripted_agent, answer, {"one.png": one}).agent
    result = lorgnette(
        "ask", "--field", "total", "--batch", "rows.jsonl", "--csv", "t.csv", "--out", "a.jsonl", agent=agent
    )
    assert result.exit_code == 0 and agent.asked[0].use_knowledge
    assert table(tmp_path / "t.csv")[0]["total"] == "119.00"
    assert "data:image/jpeg" in (tmp_path / "t.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("bills", "--csv", "out.csv"), 2, "--csv needs --field NAME"),
        (("--field", "x", "bills", "--csv", "out.txt"), 2, "does not end in .csv"),
        (("--field", "x", "a.png", "--csv", "out.csv"), 2, "--csv needs a folder of documents"),
        (("--field", "x", "bills", "--csv", "taken.csv"), 1, "is no review page of a batch and is not overwritten"),
        (("--field", "x", "bills", "--csv", "no/out.csv"), 1, "cannot be written to"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(
    arguments: tuple[str, ...], code: int, sentence: str, lorgnette: Any, scripted_agent: Any, answer: Answer,
    folder: Path, tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "taken.html").write_text("<p>mine</p>")
    result = lorgnette("ask", *arguments, agent=scripted_agent(answer))
    assert result.exit_code == code and sentence in result.stderr
    assert (tmp_path / "taken.html").read_text() == "<p>mine</p>"


def test_a_picture_with_fields_and_no_question_is_asked_for_them(
    lorgnette: Any, scripted_agent: Any, answer: Answer, tmp_path: Path
) -> None:
    agent = scripted_agent(answer.model_copy(update={"fields": found("a.png", ("total", "5", "agrees"))}))
    result = lorgnette("ask", "--field", "total", "a.png", agent=agent)
    assert agent.asked[0].text == EXTRACT and agent.asked[0].fields == ("total",)
    assert "total: agrees with a.png, page 1: “Total 119.00”" in result.stdout
