"""Every row that cannot be used is listed with its place and the reason; the others are read all the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune.data.dataset import Dataset, read_dataset
from finetune.data.formats.reading import ReadOptions

GOOD = {"instruction": "Two and two?", "output": "4"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    Image.new("RGB", (402, 2)).save(tmp_path / "thin.png")
    Image.new("1", (9000, 8000)).save(tmp_path / "huge.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    (tmp_path / "empty").mkdir()
    return tmp_path


def read(folder: Path, row: Any, **options: Any) -> Dataset:
    """Read the row between two good ones."""
    file = folder / "rows.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in (GOOD, row, GOOD)]
    file.write_text("\n".join(lines), encoding="utf-8")
    return read_dataset(file, format=options.pop("format", "alpaca"), options=ReadOptions(**options))


def ask(**fields: Any) -> dict[str, Any]:
    return {"instruction": "<image>?", "output": "a", "images": ["a.png"], **fields}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ('{"instruction": ', "broken JSON: Expecting value at character 17"),
        ("[1]", "the row is list, not an object"),
        (ask(images=["no.png"]), "there is no picture 'no.png' (looked in"),
        (ask(images=[]), "more <image> markers than pictures (0)"),
        (ask(instruction="<image><image>"), "more <image> markers than pictures (1)"),
        (ask(instruction="?"), "1 picture that no <image> mentions"),
        (ask(images=["a.png", "a.png", "a.png"]), "2 pictures that no <image> mentions"),
        (ask(output=" \n"), "the answer is empty"),
        (ask(output="<image>", images=["a.png", "a.png"]), "a picture or video in the words of the assistant"),
        (ask(output=4), "'output' is int, not text"),
        ({"instruction": "?"}, "no 'output'"),
        (ask(instruction="", images=[]), "the question is empty"),
        (ask(instruction="\ud800", images=[]), "'instruction' holds half a character"),
        (ask(images=["text.png"]), "is no readable PNG"),
        (ask(images=["huge.png"]), "has more than 70,000,000 pixels"),
        (ask(images=["thin.png"]), "too thin for the model (402 x 2 pixels)"),
        (ask(images=["empty"]), "is no file"),
        (ask(images=[7]), "a picture is given as int"),
        (ask(images=["http://host/a.png"]), "is a web address and nothing is fetched"),
        (ask(images=["data:image/png;base64,AAAA"]), "the picture in the row is no readable PNG"),
        (ask(instruction="<video>", images=[], videos=["a.mp4"]), "there is no film 'a.mp4'"),
        (ask(instruction="<video>", images=[], videos=["broken.mp4"]), "is a film that cannot be decoded"),
        (ask(instruction="<video>", images=[], videos=["empty"]), "holds no pictures"),
        (ask(instruction="<video>", images=[], videos=[[]]), "a video without frames"),
        (ask(audios=["a.wav"]), "audio is not supported"),
        (ask(history=[["only"]]), "'history' is no list of [question, answer]"),
        (ask(references="no list"), "'references' is no JSON list"),
        (ask(id=1.5), "the id is float"),
        (ask(generated="maybe"), "'generated' is 'maybe'"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_used_is_listed_with_its_line(folder: Path, row: Any, reason: str) -> None:
    dataset = read(folder, row)
    (broken,) = dataset.broken
    assert broken.origin.line == 2 and broken.origin.file.name == "rows.jsonl"
    assert reason in broken.reason
    assert [sample.origin.line for sample in dataset.samples] == [1, 3]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ([], "no messages"),
        ([("human", "a")], "no answer of the assistant at the end"),
        ([("gpt", "a")], "message 1 is of the assistant where the user's is due"),
        ([("human", "a"), ("human", "b"), ("gpt", "c")], "message 2 is of the user where the assistant's is due"),
        ([("human", "a"), ("system", "b"), ("gpt", "c")], "message 2 is of the system where the assistant's is due"),
        ([("human", "a"), ("alien", "b")], "entry 2 is from 'alien'"),
        ([("human", "a"), ("function_call", "f(x)")], "a function call is no JSON object"),
        ([("human", "a"), ("function_call", "{}")], "a function call without a name"),
    ],
)
def test_a_conversation_out_of_order_is_listed(folder: Path, said: list[tuple[str, str]], reason: str) -> None:
    row = {"conversations": [{"from": role, "value": text} for role, text in said]}
    (folder / "rows.json").write_text(json.dumps([row]), encoding="utf-8")
    (broken,) = read_dataset(folder / "rows.json").broken
    assert reason in broken.reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([{"type": "sound", "sound": "a.wav"}], "a part of the type 'sound'"),
        ([3], "a part of 'content' is int"),
        (3, "'content' is int"),
        ([{"type": "image"}], "more <image> markers than pictures (0)"),
    ],
)
def test_parts_that_are_unknown_are_listed(folder: Path, content: Any, reason: str) -> None:
    row = {"messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "a"}]}
    (folder / "rows.json").write_text(json.dumps([row]), encoding="utf-8")
    (broken,) = read_dataset(folder / "rows.json").broken
    assert reason in broken.reason


def test_a_list_that_breaks_off_is_read_up_to_there(folder: Path) -> None:
    text = json.dumps([GOOD, GOOD, GOOD], indent=1)
    (folder / "rows.json").write_text(text[: text.rindex('"output"') + 10], encoding="utf-8")
    dataset = read_dataset(folder / "rows.json")
    assert len(dataset.samples) == 2
    (broken,) = dataset.broken
    assert broken.origin.line == 3 and "the list breaks at line 10 and nothing after it could be read" in broken.reason


def test_a_table_row_of_other_length_and_an_open_quote_are_listed(folder: Path) -> None:
    (folder / "t.csv").write_text('image_path,caption\na.png\na.png,ok\na.png,"open\na.png,x\n', encoding="utf-8")
    dataset = read_dataset(folder / "t.csv")
    assert [sample.answer for sample in dataset.samples] == ["ok"]
    assert [(b.origin.line, b.reason.split(" (")[0]) for b in dataset.broken] == [
        (2, "1 fields where the header has 2"),
        (4, "broken CSV"),
    ]


def test_a_vision_marker_without_its_half_is_listed(folder: Path) -> None:
    said = [{"from": "user", "value": "<|vision_start|>a.png"}, {"from": "assistant", "value": "a"}]
    (folder / "rows.json").write_text(json.dumps([{"conversations": said}]), encoding="utf-8")
    (broken,) = read_dataset(folder / "rows.json").broken
    assert "a vision marker without its other half" in broken.reason


def test_a_picture_that_is_damaged_inside_is_found_when_decoding_is_asked_for(folder: Path) -> None:
    Image.effect_noise((200, 200), 50).save(folder / "cut.png")
    whole = (folder / "cut.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert read(folder, ask(images=["cut.png"])).broken == []
    (broken,) = read(folder, ask(images=["cut.png"]), decode_pictures=True).broken
    assert "damaged or truncated" in broken.reason
