"""A split keeps pictures on one side, gives the shares, and is the same for the same seed."""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from finetune.data.sample import ImageFile, Message, Origin, Part, Sample
from finetune.data.split import Split, SplitImpossible, split_samples


def sample(number: int, *pictures: str, category: str | None = None, asked: str | None = None) -> Sample:
    parts: list[Part] = [*(ImageFile(Path(name)) for name in pictures), asked or f"question {number}"]
    messages = Message("user", tuple(parts)), Message("assistant", ("a",))
    return Sample(str(number), messages, Origin(Path("rows.jsonl"), number), category)


def ids(split: Split) -> list[list[str]]:
    return [[sample.id for sample in side] for side in (split.train, split.val, split.test)]


@settings(max_examples=80)
@given(st.lists(st.lists(st.sampled_from("abcdefghijklmnop"), max_size=3), min_size=1, max_size=40), st.integers(0, 9))
def test_no_picture_is_on_two_sides_and_no_sample_is_lost(pictures: list[list[str]], seed: int) -> None:
    samples = [sample(number, *names) for number, names in enumerate(pictures)]
    try:
        split = split_samples(samples, val=0.2, test=0.2, seed=seed)
    except SplitImpossible:
        return
    shown = [{path for each in side for path in each.pictures} for side in (split.train, split.val, split.test)]
    assert not (shown[0] & shown[1] or shown[0] & shown[2] or shown[1] & shown[2])
    assert sorted(int(id) for side in ids(split) for id in side) == list(range(len(samples)))


def test_shares_are_exact_where_groups_allow_and_the_seed_decides() -> None:
    samples = [sample(number, f"{number // 2}.png") for number in range(100)]
    split = split_samples(samples, val=0.1, test=0.2, seed=3)
    assert [len(side) for side in ids(split)] == [70, 10, 20] and split.groups == 50
    assert ids(split) == ids(split_samples(samples, val=0.1, test=0.2, seed=3))
    assert ids(split) != ids(split_samples(samples, val=0.1, test=0.2, seed=4))
    assert ids(split)[0] == sorted(ids(split)[0], key=int)  # in the file's order


def test_by_category_each_category_gets_the_shares() -> None:
    samples = [sample(number, category="rare" if number < 20 else "common") for number in range(200)]
    split = split_samples(samples, val=0.1, test=0.1, by="category")
    for side, rare, common in ((split.train, 16, 144), (split.val, 2, 18), (split.test, 2, 18)):
        assert Counter(each.category for each in side) == {"rare": rare, "common": common}


def test_a_copy_and_a_link_count_as_the_same_picture(tmp_path: Path) -> None:
    Image.effect_noise((20, 20), 50).save(tmp_path / "a.png")
    shutil.copy(tmp_path / "a.png", tmp_path / "copy.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    Image.effect_noise((20, 20), 50).save(tmp_path / "b.png")
    same = [sample(n, str(tmp_path / name)) for n, name in enumerate(("a.png", "copy.png", "link.png"))]
    split = split_samples([*same, sample(3, str(tmp_path / "b.png"))], val=0.25, test=0)
    assert ids(split) == [["0", "1", "2"], ["3"], []]


def test_the_same_question_without_a_picture_stays_on_one_side() -> None:
    samples = [sample(number, asked=f"q{number % 10}") for number in range(40)]
    split = split_samples(samples, val=0.2, test=0)
    asked = [{each.messages[0].text for each in side} for side in (split.train, split.val)]
    assert split.groups == 10 and not asked[0] & asked[1]


def test_shares_that_cannot_be_had_are_refused() -> None:
    with pytest.raises(SplitImpossible, match="leave nothing to train on"):
        split_samples([sample(0)], val=0.5, test=0.5)
    with pytest.raises(SplitImpossible, match="1 groups of samples leave the side 'val' empty"):
        split_samples([sample(n, "a.png") for n in range(9)], val=0.1, test=0)
