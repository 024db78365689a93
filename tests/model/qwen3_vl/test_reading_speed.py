"""How large a picture may be so that looking at it takes a share of the time there is."""

from pathlib import Path

import pytest
import torch

from model.qwen3_vl.load import Loaded, load
from model.qwen3_vl.reading_speed import FILE, ReadingSpeed, Work, speed_of, work_of
from model.settings import ModelSettings

PLAIN = Work(tower_linear=1, tower_square=0, language_linear=4, language_square=0, patches=4, pixels=1024)
"""A token costs eight operations, four of each part."""


def test_the_budget_is_what_the_rate_allows() -> None:
    speed = ReadingSpeed(PLAIN, "x", {"tower": 400, "language": 400})
    assert speed.seconds(1_000) == 20
    assert speed.pixels(20) == 992 * 1024  # whole multiples of 16 tokens
    assert speed.pixels(20, pictures=2) == 496 * 1024


def test_patches_that_attend_to_each_other_cost_more_than_their_number() -> None:
    square = Work(0, 1, 0, 0, 4, 1024)
    speed = ReadingSpeed(square, "x", {"tower": 16, "language": 1})
    assert speed.seconds(200) == 4 * speed.seconds(100)


def test_a_little_is_always_seen_and_nothing_is_said_where_nothing_is_known() -> None:
    assert ReadingSpeed(PLAIN, "x", {"tower": 1, "language": 1}).pixels(0) == 64 * 1024
    assert ReadingSpeed(PLAIN, "x").pixels(50) is None


def test_a_new_measurement_moves_what_is_known() -> None:
    speed = ReadingSpeed(PLAIN, "x")
    speed.learn("tower", 100, 1)
    speed.learn("tower", 100, 0.01)
    assert 100 < speed.rates["tower"] < 10_000


@pytest.fixture(scope="module")
def tiny() -> Loaded:
    return load(ModelSettings(model="tiny"))


def test_it_is_measured_at_the_first_start_and_remembered(
    tiny: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path))
    first = speed_of(tiny)
    assert set(first.rates) == {"tower", "language"} and (tmp_path / FILE).is_file()
    assert speed_of(tiny).rates == first.rates
    (tmp_path / FILE).write_text("[broken")
    assert set(speed_of(tiny).rates) == {"tower", "language"}


def test_the_work_is_that_of_the_shapes_matrices(tiny: Loaded) -> None:
    model = tiny.model
    matrices = sum(
        p.numel()
        for name, p in model.model.language_model.layers.named_parameters()
        if p.ndim == 2 and "norm" not in name
    )
    assert work_of(model.config).language_linear == 2 * matrices
    blocks = sum(p.numel() for p in model.model.visual.blocks.parameters() if p.ndim == 2)
    assert work_of(model.config).tower_linear == 2 * blocks


def test_attention_in_pieces_is_attention(tiny: Loaded) -> None:
    from model.qwen3_vl.interruptible import QUERIES, interruptible

    model = tiny.model
    vision = model.config.vision_config
    side = 2 * vision.spatial_merge_size * round((2 * QUERIES) ** 0.5 / 2)
    pixels = torch.randn(side * side, 3 * vision.temporal_patch_size * vision.patch_size**2)
    grid = torch.tensor([[1, side, side]])
    looks: list[int] = []
    with torch.no_grad():
        whole = model.model.get_image_features(pixels, grid).pooler_output[0]
        with interruptible(model, lambda: looks.append(1)):
            pieces = model.model.get_image_features(pixels, grid).pooler_output[0]
    assert torch.equal(whole, pieces) or torch.allclose(whole, pieces, atol=1e-5)
    assert len(looks) > vision.depth * side * side // QUERIES


def test_a_reading_can_be_left_inside_of_a_layer(tiny: Loaded) -> None:
    from model.qwen3_vl.interruptible import QUERIES, interruptible

    class Left(Exception):
        pass

    model = tiny.model
    vision = model.config.vision_config
    side = 2 * round((3 * QUERIES) ** 0.5 / 2)
    pixels = torch.randn(side * side, 3 * vision.temporal_patch_size * vision.patch_size**2)
    before, looks = vision._attn_implementation, list[int]()

    def look() -> None:
        looks.append(1)
        if len(looks) == 4:  # before the layer, its attention, its first and second piece
            raise Left

    with torch.no_grad(), pytest.raises(Left), interruptible(model, look):
        model.model.get_image_features(pixels, torch.tensor([[1, side, side]]))
    assert vision._attn_implementation == before
