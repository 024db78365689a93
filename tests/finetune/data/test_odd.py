"""Files as people have them: other separators, no header, other encodings, Qwen's own markers, captions and boxes."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune.data.dataset import ColumnMissing, read_dataset
from finetune.data.detect import DatasetFormatUnknown
from finetune.data.rows import DatasetUnreadable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.png", "b.png"):
        Image.new("RGB", (64, 48)).save(tmp_path / name)
    return tmp_path


def save(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


@pytest.mark.parametrize("text", ["image_path;caption\na.png;one, two\n", "image_path\tcaption\ra.png\tone, two\r"])
def test_a_table_may_have_semicolons_or_tabs(folder: Path, text: str) -> None:
    dataset = read_dataset(save(folder, "t.csv", text))
    assert dataset.broken == [] and [sample.answer for sample in dataset.samples] == ["one, two"]


def test_blanks_around_fields_do_no_harm(folder: Path) -> None:
    dataset = read_dataset(save(folder, "t.csv", "image_path , caption\n a.png , one\n"))
    assert dataset.broken == [] and dataset.samples[0].pictures == (folder / "a.png",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.png,one\nb.png,two\n", "names no column 'image_path', but 'a.png', 'one'; write the names"),
        ("Image_Path,caption\na.png,one\n", "names no column 'image_path', but 'Image_Path'"),
        ("image_path,words\na.png,one\n", "say which it is: --column caption=NAME"),
    ],
)
def test_a_table_without_its_columns_is_refused_whole(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ColumnMissing, match=words):
        read_dataset(save(folder, "t.csv", text))


def test_a_column_that_is_there_twice_is_refused(folder: Path) -> None:
    with pytest.raises(DatasetUnreadable, match="two columns are named 'caption'"):
        read_dataset(save(folder, "t.csv", "image_path,caption,caption\na.png,one,two\n"))


def test_utf_16_without_a_mark_is_no_row_of_nuls(folder: Path) -> None:
    with pytest.raises(DatasetUnreadable, match="UTF-16 with a mark"):
        read_dataset(save(folder, "t.csv", "image_path,caption\na.png,one\n", "utf-16-le"))


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "rows.jsonl")
    with pytest.raises(DatasetUnreadable, match="it is no file"):
        read_dataset(folder / "rows.jsonl")


def test_a_list_in_a_jsonl_file_is_a_list(folder: Path) -> None:
    dataset = read_dataset(save(folder, "rows.jsonl", '[\n{"instruction": "?", "output": "a"}\n]\n'))
    assert dataset.broken == [] and [sample.answer for sample in dataset.samples] == ["a"]


def test_a_file_without_any_object_says_why_its_first_line_is_none(folder: Path) -> None:
    with pytest.raises(DatasetFormatUnknown, match="line 1: broken JSON"):
        read_dataset(save(folder, "rows.jsonl", '{\n "instruction": "?",\n "output": "a"\n}\n'))


def test_a_folder_whose_data_lie_one_below_names_that_one(folder: Path) -> None:
    (folder / "data").mkdir()
    save(folder, "data/train.jsonl", "{}")
    with pytest.raises(DatasetUnreadable, match=r"there are some in '.*data'"):
        read_dataset(folder)


SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"


@pytest.mark.parametrize(
    "row",
    [
        {"conversations": [{"from": "human", "value": f"{SHOWN}?"}, {"from": "gpt", "value": "a"}],
         "images": ["a.png"]},
        {"messages": [{"role": "user", "content": f"{SHOWN}?"}, {"role": "assistant", "content": "a"}],
         "images": ["a.png"]},
        {"instruction": "<|vision_start|>a.png<|vision_end|>?", "output": "a"},
    ],
    ids=["sharegpt", "messages", "alpaca"],
)  # fmt: skip
def test_qwens_vision_markers_are_understood_in_every_format(folder: Path, row: dict[str, Any]) -> None:
    dataset = read_dataset(save(folder, "rows.json", json.dumps([row])))
    assert dataset.broken == []
    assert dataset.samples[0].pictures == (folder / "a.png",)
    assert dataset.samples[0].messages[0].text == "?"


def test_a_row_with_vision_markers_takes_no_pictures_from_its_neighbours(folder: Path) -> None:
    plain = {
        "conversations": [{"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "a"}],
        "images": ["a.png"],
    }
    said = [{"from": "human", "value": "<|vision_start|>b.png<|vision_end|>?"}, {"from": "gpt", "value": "b"}]
    unused = {"conversations": said, "images": ["a.png"]}
    dataset = read_dataset(save(folder, "rows.json", json.dumps([plain, {"conversations": said}, unused])))
    assert [[path.name for path in sample.pictures] for sample in dataset.samples] == [["a.png"], ["b.png"]]
    (broken,) = dataset.broken
    assert broken.origin.line == 3 and "1 picture that no <image> mentions" in broken.reason


def test_an_annotation_without_a_caption_takes_no_caption_with_it(folder: Path) -> None:
    coco = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": [
            {"image_id": 1, "caption": "A."}, {"image_id": 1, "bbox": [1, 2, 3, 4]}, {"image_id": 1, "caption": "B."},
        ],
    }  # fmt: skip
    dataset = read_dataset(save(folder, "captions.json", json.dumps(coco)))
    (sample,) = dataset.samples
    assert sample.answer == "A." and sample.references == ("B.",)
    assert [broken.reason for broken in dataset.broken] == ["annotation 2 has no caption"]


def test_parts_of_the_responses_api_are_read(folder: Path) -> None:
    asked = [{"type": "input_image", "image_url": "a.png"}, {"type": "input_text", "text": "?"}]
    said = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    ]
    dataset = read_dataset(save(folder, "rows.json", json.dumps([{"messages": said}])))
    assert dataset.broken == [] and dataset.samples[0].pictures == (folder / "a.png",)
