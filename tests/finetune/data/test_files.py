"""Files are written whole or not at all, and pictures travel with their rows."""

import json
from pathlib import Path
from typing import NoReturn

import pytest
from PIL import Image

from finetune.data.copying import copy_pictures
from finetune.data.dataset import READERS, read_dataset
from finetune.data.drawn.scene_rows import write_scenes
from finetune.data.formats import FORMATS, WRITABLE
from finetune.data.pictures import picture_size
from finetune.data.pull import COCO_TABLE, DatasetUnavailable, pull_coco_captions, pull_dataset
from finetune.data.sample import Frames, ImageFile, Message, Origin, Sample
from finetune.data.writing import WRITERS, OutputSuffixWrong, write_samples
from finetune.output_files import OutputExists, OutputRefused, check_free, whole_files


def test_every_named_format_has_its_reader_and_writer() -> None:
    assert set(FORMATS) == set(READERS) and set(WRITABLE) == set(WRITERS)


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("old")
    with pytest.raises(KeyboardInterrupt), whole_files([tmp_path / "one", tmp_path / "two"]) as (first, _):
        first.write_text("new")
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["one"] and (tmp_path / "one").read_text() == "old"


def test_a_file_that_is_there_is_not_written_over_unasked(tmp_path: Path) -> None:
    (tmp_path / "out.jsonl").touch()
    with pytest.raises(OutputExists, match="--force"):
        check_free([tmp_path / "out.jsonl"], force=False)
    check_free([tmp_path / "out.jsonl"], force=True)
    with pytest.raises(OutputRefused, match="it is a folder"):
        check_free([tmp_path], force=True)
    with pytest.raises(OutputRefused), whole_files([tmp_path / "out.jsonl" / "below"]):
        pass


def test_a_name_that_says_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputSuffixWrong, match=r"files end in \.csv or \.tsv"):
        write_samples([], tmp_path / "out.jsonl", "csv")


def test_copies_are_made_once_scaled_down_and_keep_what_the_row_says(tmp_path: Path) -> None:
    Image.effect_noise((400, 200), 50).save(tmp_path / "a.png")
    Image.effect_noise((50, 40), 50).save(tmp_path / "b.jpg")
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:500])
    a, b, bad = (tmp_path / name for name in ("a.png", "b.jpg", "bad.png"))

    def sample(line: int, *paths: Path) -> Sample:
        parts = (ImageFile(paths[0]), "q", Frames(paths))
        said = (Message("user", parts), Message("assistant", ("x",)))
        return Sample(str(line), said, Origin(tmp_path / "rows", line))

    out = tmp_path / "out"
    moved, broken = copy_pictures([sample(1, a, b), sample(2, b, bad), sample(3, a)], out, max_pixels=20_000)
    assert [each.origin.line for each in broken] == [2] and "damaged" in broken[0].reason
    assert len(list(out.iterdir())) == 2
    first, again = moved[0].pictures[0], moved[1].pictures[0]
    assert first == again and first.suffix == ".png" and picture_size(first) == (200, 100)
    small = moved[0].pictures[2]
    assert small.read_bytes() == b.read_bytes() and moved[0].messages[0].text == "q"


def test_drawn_scenes_are_a_data_set_of_their_own_and_the_seed_decides(tmp_path: Path) -> None:
    file = write_scenes(4, tmp_path / "one", seed=5)
    dataset = read_dataset(tmp_path / "one" / "scenes")
    assert dataset.broken == [] and len(dataset.samples) == 12 and len(dataset.sizes) == 4
    assert {"sharegpt"} == {dataset.format} and all(sample.category for sample in dataset.samples)
    assert len({(sample.pictures, sample.messages[0].text.lower()) for sample in dataset.samples}) == 12
    again = write_scenes(4, tmp_path / "two", seed=5)
    assert file.read_text() == again.read_text()
    assert (file.parent / "images/00003.png").read_bytes() == (again.parent / "images/00003.png").read_bytes()
    with pytest.raises(OutputExists):
        write_scenes(4, tmp_path / "one")


def test_the_first_coco_pictures_become_a_table(tmp_path: Path) -> None:
    rows = [{"image_id": n, "caption": f"cat {n}", "image": Image.new("RGBA", (40, 40))} for n in range(5)]
    table = pull_coco_captions(tmp_path, 3, load=lambda split: rows if split == "train" else [])
    assert table.name == COCO_TABLE
    dataset = read_dataset(table)
    assert [sample.answer for sample in dataset.samples] == ["cat 0", "cat 1", "cat 2"]
    assert [path.name for path in dataset.samples[1].pictures] == ["1.jpg"]


def test_a_download_that_fails_says_why_and_what_to_do(tmp_path: Path) -> None:
    def offline(*_: object, **__: object) -> NoReturn:
        raise ConnectionError("no route to host")

    with pytest.raises(DatasetUnavailable, match="no route to host; check the id, the network"):
        pull_dataset("org/name", tmp_path, download=offline)
    with pytest.raises(DatasetUnavailable, match="no route to host"):
        pull_coco_captions(tmp_path, 3, load=offline)
    with pytest.raises(DatasetUnavailable, match="this is no hub id"):
        pull_dataset("name", tmp_path, download=offline)
    assert list(tmp_path.iterdir()) == []


def test_a_download_asks_for_data_and_no_code(tmp_path: Path) -> None:
    asked: dict[str, object] = {}

    def download(name: str, **options: object) -> str:
        asked.update(options, name=name)
        return str(tmp_path)

    assert pull_dataset("modelscope:org/name", tmp_path, download=download) == tmp_path
    assert asked["name"] == "org/name" and not [p for p in asked["allow_patterns"] if "py" in p or "pkl" in p]  # type: ignore[attr-defined]


def test_what_a_format_cannot_hold_is_listed(tmp_path: Path) -> None:
    said = (Message("user", ("Is <image> a marker?",)), Message("assistant", ("yes",)))
    sample = Sample("1", said, Origin(tmp_path / "rows", 7))
    Image.new("RGB", (64, 48)).save(tmp_path / "a.png")
    asked = Message("user", (ImageFile(tmp_path / "a.png"), "What?"))
    plain = Sample("2", (asked, Message("assistant", ("yes",))), Origin(tmp_path / "rows", 8))
    reasons = {
        name: write_samples([sample, plain], tmp_path / f"o{'.csv' if name == 'csv' else '.json'}", name)
        for name in WRITABLE
    }
    marker = "its words hold <image>, <video> or <|vision_start|>, which would be read as a marker"
    assert {name: str(left[0]) if left else None for name, left in reasons.items()} == {
        "sharegpt": f"rows:7: cannot be written as sharegpt: {marker}",
        "alpaca": f"rows:7: cannot be written as alpaca: {marker}",
        "csv": "rows:7: cannot be written as csv: a table has one picture a row, in front of the question",
        "messages": None,
        "qwen": "rows:7: cannot be written as qwen: its words or a path hold a marker",
    }
    assert json.loads((tmp_path / "o.json").read_text("utf-8"))  # the last one written
