"""Every example row of docs/data.md is read as the format under whose heading it stands."""

import re
from pathlib import Path

import pytest
from PIL import Image

from finetune.data.dataset import read_dataset
from finetune.data.formats import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "data.md").read_text("utf-8")
SECTIONS = {part.split("\n")[0]: part for part in PAGE.split("\n### ")[1:]}


@pytest.mark.parametrize("format", FORMATS)
def test_the_documented_rows_are_read(tmp_path: Path, format: str) -> None:
    examples = re.findall(r"```(json|csv)\n(.*?)```", SECTIONS[format], re.DOTALL)
    assert examples
    (tmp_path / "episode").mkdir()
    for name in ("cat.png", "episode/1.png", "episode/2.png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    for kind, text in examples:
        file = tmp_path / f"rows.{kind}"
        file.write_text(text, encoding="utf-8")
        dataset = read_dataset(file)
        assert dataset.format == format and len(dataset.samples) == 1 and dataset.broken == []
        assert dataset.samples[0].pictures
