"""Tokens counted from headers are those that the processor makes, and the report says what training will do."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune.data.dataset import Broken, Dataset
from finetune.data.pictures import picture_size
from finetune.data.report import Spread, count_tokens, report_on
from finetune.data.sample import Frames, ImageFile, Message, Origin, Part, Sample
from finetune.data.token_counts import TokenCounter
from finetune.training.encoding import Encoder, RowRefused
from model.hub import tiny_folder
from model.pictures.frame_budget import FrameBudget
from model.qwen3_vl.processor import encode, load_processor


@pytest.fixture(scope="module")
def processor() -> Any:
    return load_processor(tiny_folder())


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    paths = []
    for width, height in ((500, 300), (40, 37), (700, 1100)):
        paths.append(tmp_path / f"{width}.png")
        Image.new("RGB", (width, height)).save(paths[-1])
    return paths


def sample(*parts: Part, answer: str = "an answer", line: int = 1, **fields: Any) -> Sample:
    messages = Message("user", parts), Message("assistant", (answer,))
    return Sample(f"s{line}", messages, Origin(Path("rows.jsonl"), line), **fields)


def encoded(
    processor: Any, sample: Sample, max_pixels: int | None, *, prompt: bool, frames: FrameBudget | None = None
) -> int:
    def block(part: Part) -> dict[str, Any]:
        if isinstance(part, ImageFile):
            return {"type": "image", "image": Image.open(part.path).convert("RGB")}
        if isinstance(part, Frames):
            return {"type": "video", "frames": [Image.open(path) for path in part.paths]}
        return {"type": "text", "text": part}

    messages = sample.messages[:-1] if prompt else sample.messages
    turns = [{"role": m.role, "content": [block(part) for part in m.parts]} for m in messages]
    inputs = encode(processor, turns, max_pixels=max_pixels, frames=frames, add_generation_prompt=prompt)
    return int(inputs["input_ids"].shape[1])


@pytest.mark.parametrize("frames", [None, FrameBudget(20_000, 15_000)])
@pytest.mark.parametrize("max_pixels", [None, 40_000, 4_000])
def test_counts_are_the_lengths_of_what_is_encoded(
    processor: Any, pictures: list[Path], max_pixels: int | None, frames: FrameBudget | None
) -> None:
    wide, small, tall = pictures
    samples = [
        sample("no picture, but <|im_end|> and <|image_pad|> typed"),
        sample(ImageFile(wide), "between ", ImageFile(small), "你好"),
        sample(Frames((wide, small, tall)), "odd video", ImageFile(tall)),
        sample(Frames((tall,)), "a single frame stands still"),
    ]
    counter = TokenCounter(processor, max_pixels=max_pixels, frames=frames)
    for each in samples:
        tokens = counter.count(each)
        assert tokens.total == encoded(processor, each, max_pixels, prompt=False, frames=frames)
        assert tokens.prompt == encoded(processor, each, max_pixels, prompt=True, frames=frames)
    assert counter.count(samples[0]).pictures == 0


def test_a_row_is_cut_behind_its_picture_and_refused_where_the_picture_does_not_fit(
    processor: Any, pictures: list[Path]
) -> None:
    counter = TokenCounter(processor)
    row = sample(ImageFile(pictures[0]), "What is this?", answer="long " * 40)
    tokens = counter.count(row)
    assert counter.fate(row, tokens.total) == "whole"
    assert counter.fate(row, tokens.total - 1) == "cut"
    assert counter.fate(row, tokens.prompt + 1) == "cut"
    assert counter.fate(row, tokens.prompt) == "refused"  # no token of the answer is left
    later = Sample(
        "x",
        (*row.messages, Message("user", ("And this?", ImageFile(pictures[2]))), Message("assistant", ("b",))),
        row.origin,
    )
    fates = [counter.fate(later, cutoff) for cutoff in range(1, counter.count(later).total + 1)]
    assert fates[-1] == "whole" and set(fates) == {"refused", "cut", "whole"}
    # the second picture's tokens are never cut, though the first answer alone could be learned
    assert counter.fate(later, tokens.total) == "refused"
    assert sum(before != after for before, after in pairwise(fates)) == 2


def test_the_fate_is_what_training_does_with_the_row(processor: Any, pictures: list[Path]) -> None:
    counter = TokenCounter(processor)
    first = sample("Hello?", answer="Yes, here I am.")
    rows = [
        sample(ImageFile(pictures[1]), "What?", answer="A long answer, word for word."),
        Sample(
            "x", (*first.messages, Message("user", (Frames((pictures[1],)), "And?")), first.messages[1]), first.origin
        ),
    ]
    for row in rows:
        total = counter.count(row).total
        for cutoff_len in range(total + 1):
            try:
                length = len(Encoder(processor, cutoff_len=cutoff_len, max_pixels=None, mask_history=False)(row))
                found = "whole" if length == total else "cut"
            except RowRefused:
                found = "refused"
            assert counter.fate(row, cutoff_len) == found, cutoff_len


def test_the_report_counts_what_can_be_counted_by_hand(processor: Any, pictures: list[Path]) -> None:
    wide, small, _ = pictures
    samples = [
        sample(ImageFile(wide), "Who?", answer="me", line=1, category="a"),
        sample(ImageFile(wide), "Who?", answer="me", line=2, category="a"),
        sample(ImageFile(small), "What now?", answer="nothing", line=3, category="b", generated=True),
    ]
    broken = [Broken(Origin(Path("rows.jsonl"), 4), "no 'output'")]
    report = report_on(Dataset(samples, broken, "alpaca", "alpaca, as asked", {wide: (500, 300), small: (40, 37)}))
    assert (report.rows, report.usable, report.generated, report.picture_files) == (4, 3, 1, 2)
    assert report.pictures == Spread(1, 1, 1, 1, 3)
    assert report.widths == Spread(40, 40, 500, 500, 540)
    assert report.question_chars == Spread(4, 4, 9, 9, 17)
    assert report.answer_chars == Spread(2, 2, 7, 7, 11)
    assert report.categories == {"a": 2, "b": 1}
    assert [str(duplicate) for duplicate in report.duplicates] == ["rows.jsonl:2: the same as rows.jsonl:1"]
    whole = [TokenCounter(processor).count(each).total for each in samples]
    tokens = count_tokens(samples, TokenCounter(processor), model="tiny", cutoff_len=whole[0])
    assert tokens is not None and tokens.whole.total == sum(whole)
    longer = [each.origin.line for each, total in zip(samples, whole, strict=True) if total > whole[0]]
    assert [each.origin.line for each in [*tokens.cut, *tokens.refused]] == longer


def test_a_spread_names_numbers_that_occur() -> None:
    assert Spread.of([]) is None
    assert Spread.of(list(range(1, 101))) == Spread(1, 50, 95, 100, 5050)
    assert Spread.of([7]) == Spread(7, 7, 7, 7, 7)


def test_a_photograph_held_upright_has_the_size_that_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("turned.jpg", "turned.png", "turned.webp"):
        Image.new("RGB", (60, 40)).save(tmp_path / name, exif=exif)
        assert picture_size(tmp_path / name) == (40, 60)
