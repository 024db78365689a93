"""The commands about training data, on small files and the bundled model."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli.data.make import WORLDS
from finetune.data.dataset import read_dataset
from finetune.data.drawn.domains import DOMAINS
from finetune.data.sample import Message, Origin, Sample
from model.errors import ModelError


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A table of ten pictures with captions; the eleventh row has none."""
    rows = ["image_path,caption"]
    for number in range(10):
        Image.new("RGB", (96, 64), (number * 20, 0, 0)).save(tmp_path / f"p{number}.png")
        rows.append(f"p{number}.png,picture {number}")
    file = tmp_path / "captions.csv"
    file.write_text("\n".join([*rows, "gone.png,nothing"]), encoding="utf-8")
    return file


def test_check_reports_numbers_tokens_and_every_broken_row(lorgnette: Any, table: Path) -> None:
    result = lorgnette("data", "check", str(table), "--model", "tiny", "--cutoff-len", "20")
    assert result.exit_code == 0
    assert result.stderr == "Format: csv, by the name 'captions.csv'\n"
    lines = result.stdout.splitlines()
    assert lines[0] == "11 rows: 10 usable, 1 broken"
    assert "width in pixels: 96 to 96, median 96, 95% up to 96" in lines
    assert "of them of pictures: 24 to 24, median 24, 95% up to 24, in all 240" in lines
    assert "10 rows above cutoff_len 20: 0 lose their last words, 10 cannot be used" in lines
    assert lines[-1].startswith("Broken: captions.csv:12: there is no picture 'gone.png' (looked in ")


def test_check_as_json_is_one_document_and_nothing_usable_is_exit_1(lorgnette: Any, table: Path) -> None:
    report = json.loads(lorgnette("data", "check", str(table), "--json").stdout)
    assert report["usable"] == 10 and report["broken"][0]["origin"]["line"] == 12 and report["tokens"] is None
    nothing = lorgnette("data", "check", str(table), "--column", "image_path=caption")
    assert nothing.exit_code == 1 and nothing.stdout.startswith("11 rows: 0 usable, 11 broken")


def test_convert_writes_another_format_and_lists_what_is_left_out(lorgnette: Any, table: Path) -> None:
    result = lorgnette("data", "convert", str(table), "out/rows.jsonl", "--prompt", "What?")
    assert result.exit_code == 0
    assert result.stdout == "10 rows written to out/rows.jsonl, 1 left out\n"
    assert "Left out: captions.csv:12: there is no picture" in result.stderr
    row = json.loads((table.parent / "out/rows.jsonl").read_text("utf-8").splitlines()[0])
    assert row["conversations"] == [
        {"from": "human", "value": "<image>What?"},
        {"from": "gpt", "value": "picture 0"},
    ]
    again = lorgnette("data", "convert", str(table), "out/rows.jsonl")
    assert again.exit_code == 1 and "exists already; give another name, or --force" in again.stderr
    assert lorgnette("data", "convert", str(table), "out/rows.jsonl", "--force").exit_code == 0


def test_nothing_is_written_where_no_row_can_be(lorgnette: Any, table: Path) -> None:
    out = table.parent / "rows.jsonl"
    out.write_text("old", "utf-8")
    broken = lorgnette("data", "convert", str(table), str(out), "--force", "--column", "image_path=caption")
    assert broken.exit_code == 1 and "There is no row to write" in broken.stderr and "was not written" in broken.stderr
    assert "Left out: captions.csv:2: no 'caption'" in broken.stderr
    two = [{"role": role, "content": "a"} for role in ("user", "assistant")] * 2
    (table.parent / "talk.json").write_text(json.dumps([{"messages": two}]), "utf-8")
    assert lorgnette("data", "convert", str(table.parent / "talk.json"), "t.csv", "--to", "csv").exit_code == 1
    assert out.read_text("utf-8") == "old" and not (table.parent / "t.csv").exists()


def test_pictures_that_stand_in_parquet_rows_become_files_that_the_new_rows_name(
    lorgnette: Any, tmp_path: Path
) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    Image.new("RGB", (64, 48), "red").save(tmp_path / "a.png")
    red = (tmp_path / "a.png").read_bytes()
    rows = [{"image": {"bytes": red, "path": None}, "text": "red"}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train.parquet")
    done = lorgnette("data", "convert", str(tmp_path / "train.parquet"), "rows.jsonl")
    assert done.exit_code == 0 and "1 pictures that stand in the rows are kept in" in done.stderr
    ((name,),) = (json.loads(line)["images"] for line in (tmp_path / "rows.jsonl").read_text("utf-8").splitlines())
    assert name.startswith("pictures/") and (tmp_path / name).read_bytes() == red
    assert read_dataset(tmp_path / "rows.jsonl").samples[0].pictures == (tmp_path / name,)


def test_convert_copies_pictures_beside_the_rows(lorgnette: Any, table: Path) -> None:
    options = ("--to", "qwen", "--copy-pictures", "out/pictures", "--max-pixels", "1024")
    assert lorgnette("data", "convert", str(table), "out/rows.json", *options).exit_code == 0
    row = json.loads((table.parent / "out/rows.json").read_text("utf-8"))[0]
    name = row["conversations"][0]["value"].split("<|vision_start|>")[1].split("<|vision_end|>")[0]
    with Image.open(table.parent / "out" / name) as copy:
        assert copy.size == (39, 26)
    usage = lorgnette("data", "convert", str(table), "other.json", "--max-pixels", "1024")
    assert usage.exit_code == 2 and "needs --copy-pictures" in usage.stderr


def test_split_writes_three_files_beside_the_first(lorgnette: Any, table: Path) -> None:
    result = lorgnette("data", "split", str(table), "--val", "0.1", "--test", "0.2")
    assert result.stdout.splitlines() == [
        f"7 rows (70.0%) to {table.parent / 'captions.train.csv'}",
        f"1 rows (10.0%) to {table.parent / 'captions.val.csv'}",
        f"2 rows (20.0%) to {table.parent / 'captions.test.csv'}",
        "10 groups that share no picture, 1 rows left out",
    ]
    checked = lorgnette("data", "check", str(table.parent / "captions.test.csv"))
    assert checked.stdout.startswith("2 rows: 2 usable, 0 broken")
    impossible = lorgnette("data", "split", str(table), "--val", "0.5", "--test", "0.5", "--force")
    assert impossible.exit_code == 1 and "leave nothing to train on" in impossible.stderr


def test_scenes_are_drawn_and_can_be_checked_by_name(lorgnette: Any, tmp_path: Path) -> None:
    drawn = lorgnette("data", "scenes", "3", "shapes", "--questions", "2", "--width", "96", "--height", "64")
    assert drawn.stdout == f"{tmp_path / 'shapes' / 'scenes.jsonl'}\n"
    checked = lorgnette("data", "check", "shapes/scenes")
    assert checked.stdout.startswith("6 rows: 6 usable, 0 broken")
    assert "as dataset_info.json says of 'scenes'" in checked.stderr
    assert lorgnette("data", "scenes", "3", "shapes").exit_code == 1


def test_a_pull_of_no_id_is_one_line(lorgnette: Any) -> None:
    result = lorgnette("data", "pull", "nothing")
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: The data set 'nothing' could not be downloaded: this is no hub id; an id looks like 'ORG/NAME'; "
        "'coco-captions' is known, too.\n"
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    folder = tmp_path / "knowledge_base"
    folder.mkdir()
    text = "The lamp raises ERR_42 when the fan stands still. Wait for two minutes and press the red button once."
    (folder / "lamp.md").write_text(f"# Lamp\n\n## Error codes\n\n{text} Then it goes out by itself.\n", "utf-8")
    (folder / "note.txt").write_text("Short.\n", "utf-8")
    return folder


def test_from_kb_quotes_with_the_bundled_model_and_says_so(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    result = lorgnette("data", "from-kb", "rows.jsonl")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "1 rows of 2 documents written to rows.jsonl\n"
    assert "no model wrote or reviewed them" in result.stderr
    assert "Left out: 1 passages: too short to ask about" in result.stderr
    row = json.loads(Path("rows.jsonl").read_text("utf-8"))
    assert row["generated"] is True and row["category"] == "documents quoted"
    assert "What does lamp.md say about Error codes?" in row["messages"][1]["content"]
    assert "“The lamp raises ERR_42 when the fan stands still.” [" in row["messages"][2]["content"]


@pytest.mark.heavy
def test_from_kb_lets_the_model_write_where_it_is_asked_to(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    result = lorgnette("data", "from-kb", "rows.jsonl", "--answering", "generate")
    # the bundled model cannot write about documents: its one row fails the rules and nothing is written
    assert result.exit_code in (0, 1) and "no model wrote" not in result.stderr
    assert Path("rows.jsonl").exists() == (result.exit_code == 0)


def test_from_kb_resumed_keeps_the_rows_and_adds_what_is_missing(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    lorgnette("data", "from-kb", "rows.jsonl")
    before = Path("rows.jsonl").read_text("utf-8")
    again = lorgnette("data", "from-kb", "rows.jsonl", "--resume")
    assert again.exit_code == 0 and again.stdout == "No further row; rows.jsonl holds 1\n"
    text = (folder / "lamp.md").read_text("utf-8").replace("lamp", "pump")
    (folder / "pump.md").write_text(text, "utf-8")
    lorgnette("kb", "sync")
    more = lorgnette("data", "from-kb", "rows.jsonl", "--resume")
    assert more.stdout == "2 rows of 3 documents written to rows.jsonl, 1 of them from before\n"
    assert Path("rows.jsonl").read_text("utf-8").startswith(before)
    Path("rows.jsonl").write_text(before + "{half\n", "utf-8")
    refused = lorgnette("data", "from-kb", "rows.jsonl", "--resume")
    assert refused.exit_code == 2 and "rows.jsonl:2: broken JSON" in refused.stderr


def test_from_kb_keeps_each_row_that_a_model_wrote_before_it_failed(
    lorgnette: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def harvest(_documents: Any, _writer: Any, *, on_row: Any, **_: Any) -> None:
        on_row(Sample("a", (Message("user", ("?",)), Message("assistant", ("x [1]",))), Origin(folder, 1)))
        raise ModelError("The server is gone.")

    monkeypatch.setattr("finetune.data.from_kb.harvest", harvest)
    lorgnette("kb", "sync")
    result = lorgnette("data", "from-kb", "rows.jsonl", "--answering", "generate")
    assert result.exit_code == 1 and result.stderr.endswith("Error: The server is gone.\n")
    assert "1 rows are in rows.jsonl; --resume goes on from there" in result.stderr
    assert json.loads(Path("rows.jsonl").read_text("utf-8"))["id"] == "a"


def test_from_kb_without_documents_says_how_to_index_some(lorgnette: Any, folder: Path) -> None:
    result = lorgnette("data", "from-kb", "rows.jsonl")
    assert result.exit_code == 1 and "holds no document; `lorgnette kb sync`" in result.stderr


def test_from_kb_of_another_source_finds_nothing(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    result = lorgnette("data", "from-kb", "rows.jsonl", "--source", "note.txt")
    assert result.exit_code == 1 and "no passage gave a row; nothing was written" in result.stderr
    assert not Path("rows.jsonl").exists()


@pytest.mark.parametrize("world", [world for world in WORLDS if world != "shapes"])
def test_other_worlds_are_drawn_with_their_own_questions(world: str, lorgnette: Any, tmp_path: Path) -> None:
    assert set(WORLDS) == {"shapes", *DOMAINS}
    drawn = lorgnette("data", "scenes", "4", "other", "--world", world)
    assert drawn.exit_code == 0
    samples = read_dataset(tmp_path / "other" / "scenes.jsonl").samples
    assert {sample.category for sample in samples} == {world}
    assert len({sample.pictures for sample in samples}) == 4


def test_show_marks_what_is_learned_and_names_what_is_broken(lorgnette: Any, table: Path) -> None:
    result = lorgnette("data", "show", str(table), "--rows", "2")
    assert result.exit_code == 0
    assert result.stdout.count("captions.csv:") == 2
    assert "<|im_start|>assistant\n⟦picture 0<|im_end|>⟧" in result.stdout
    assert "[picture, 24 tokens]" in result.stdout and "<|image_pad|>" not in result.stdout
    assert "Left out: captions.csv:12: there is no picture 'gone.png'" in result.stderr


def test_show_writes_a_page_with_its_pictures_and_escapes_what_rows_say(lorgnette: Any, tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "a.png")
    talk = [["user", "<image>first?"], ["assistant", "<b>one</b>"], ["user", "more?"], ["assistant", "two"]]
    row = {"messages": [{"role": role, "content": text} for role, text in talk], "images": ["a.png"]}
    (tmp_path / "talk.jsonl").write_text(json.dumps(row), "utf-8")
    out = tmp_path / "rows.html"
    result = lorgnette("data", "show", str(tmp_path / "talk.jsonl"), "--html", str(out), "--mask-history")
    assert result.exit_code == 0 and "shows 1 of 1 rows, and 0 left out" in result.stdout
    page = out.read_text("utf-8")
    assert "data:image/jpeg;base64," in page and "&lt;b&gt;one&lt;/b&gt;" in page and "<b>one" not in page
    assert page.count("<mark>") == 2 and "<mark>two&lt;|im_end|&gt;</mark>" in page
    assert lorgnette("data", "show", str(tmp_path / "talk.jsonl"), "--html", str(out)).exit_code == 1


def test_a_folder_of_save_to_disk_is_data_and_of_several_parts_one_is_named(lorgnette: Any, tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    Image.new("RGB", (96, 64), "red").save(tmp_path / "a.png")
    picture = {"bytes": (tmp_path / "a.png").read_bytes(), "path": None}
    rows = Dataset.from_list([{"image": picture, "question": "What?", "answer": f"red {n}"} for n in range(40)])
    rows.save_to_disk(str(tmp_path / "one"))
    found = read_dataset(tmp_path / "one")
    assert [sample.answer for sample in found.samples] == [f"red {n}" for n in range(40)] and not found.broken
    DatasetDict({"train": rows, "test": rows}).save_to_disk(str(tmp_path / "both"))
    assert len(read_dataset(tmp_path / "both" / "test").samples) == 40
    refused = lorgnette("data", "check", str(tmp_path / "both"))
    assert refused.exit_code == 1 and "it holds the parts train, test; name one: " in refused.stderr
    (tmp_path / "one" / "data-00000-of-00001.arrow").unlink()
    assert "it lacks 'data-00000-of-00001.arrow'" in lorgnette("data", "check", str(tmp_path / "one")).stderr
