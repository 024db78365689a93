"""The bundled checkpoint's training: what it learns is what the product says, and it survives a kill."""

import json
import math
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import BaseModel
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration

from finetune.data.drawn.chinese import CHINESE
from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.protocol import (
    compare_branch,
    long_branch,
    picture_branch,
    plan_branches,
    reading_branches,
    terse_branch,
)
from finetune.data.drawn.questions import can_be_located, locate
from finetune.data.drawn.scenes import Lettering, Scene, Thing, sample_scene
from finetune.data.drawn.turns import KINDS
from finetune.data.drawn.wording import Wording
from finetune.evaluation.metrics.boxes import iou
from finetune.tiny import pictures, row_model
from finetune.tiny.batches import LAYOUTS
from finetune.tiny.build import IGNORE_INDEX, build_tower, save_untrained
from finetune.tiny.dense import tower_outputs, train_tower
from finetune.tiny.features import compute_all, features_of
from finetune.tiny.optimizers import learning_rate_share
from finetune.tiny.patches import patches_of
from finetune.tiny.rows import SLOTS, Branch, Layout, Rows, RowWriter
from finetune.tiny.targets import targets_of
from finetune.tiny.train import first_model, save_model
from graph import prompts
from graph.answer import Grade, Plan, Query, Review
from model.hub import tiny_folder
from model.qwen3_vl.processor import ImageTextProcessor

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("untrained")
    save_untrained(folder)
    return folder


@pytest.fixture(scope="module")
def processor(untrained: Path) -> ImageTextProcessor:
    return ImageTextProcessor.from_pretrained(untrained)


@pytest.fixture(scope="module")
def model(untrained: Path) -> Qwen3VLForConditionalGeneration:
    loaded: Qwen3VLForConditionalGeneration = Qwen3VLForConditionalGeneration.from_pretrained(
        untrained, dtype=torch.float32
    ).eval()
    return loaded


def _rows(processor: ImageTextProcessor, layout: Layout, grids: list[tuple[int, int]], branches: list[Branch]) -> Rows:
    """Write one row of these branches."""
    rest = iter(branches)
    return RowWriter(processor.tokenizer)(layout, [grids], [lambda: next(rest)])


def _one_talk(rows: Rows, number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return where branch `number` of the first row lies, behind the prefix that is there, its ids and positions."""
    lane = (rows.branch[0].flatten() == number).nonzero().flatten() + rows.prefix
    at = torch.cat((rows.prefix_seen[0].nonzero().flatten(), lane))
    return at, rows.input_ids[:1, at], rows.positions[:, :1, at]


@pytest.mark.parametrize("seed", range(3))
def test_a_branch_is_written_as_the_chat_template_writes_it(seed: int, processor: ImageTextProcessor) -> None:
    rng = Random(seed)
    scene = sample_scene(rng, 192, 160)
    branch = next(b for _ in range(100) if len(b := picture_branch(rng, scene)) > 1)
    image = Image.new("RGB", (192, 160), "white")
    messages: list[dict[str, object]] = [{"role": "system", "content": prompts.SYSTEM}]
    for n, turn in enumerate(branch):
        shown = [{"type": "image", "image": image}] if n == 0 else []
        messages.append({"role": "user", "content": [*shown, {"type": "text", "text": turn.text}]})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": turn.answer}]})
    expected = processor.apply_chat_template(messages, tokenize=True, return_dict=True, return_tensors="pt")
    rows = _rows(processor, Layout(1, 1, 0, 1, 256), [(5, 6)], [branch] * 30)
    _, ids, _ = _one_talk(rows, 0)
    assert ids[0].tolist() == expected["input_ids"][0, : ids.shape[1]].tolist()
    assert expected["input_ids"].shape[1] - ids.shape[1] <= 1  # the line break behind the last turn


def test_patches_are_those_of_the_processor(processor: ImageTextProcessor) -> None:
    pixels = pictures.draw(0, 0).pixels[:1]
    expected = processor.image_processor(Image.fromarray(pixels[0]), return_tensors="pt")
    mine, grid = patches_of(pixels)
    assert torch.equal(grid, expected["image_grid_thw"])
    assert torch.allclose(mine, expected["pixel_values"], atol=1e-6)


@pytest.mark.parametrize("about", ["picture", "two pictures", "passages"])
def test_a_row_gives_each_talk_what_the_model_gives_it_alone(
    about: str, processor: ImageTextProcessor, model: Qwen3VLForConditionalGeneration
) -> None:
    rng = Random(1)
    scenes = [sample_scene(rng, 192, 160) for _ in range(2)]
    shown = {"picture": [(5, 6)], "two pictures": [(5, 6), (6, 4)], "passages": []}[about]
    branches = {
        "picture": [picture_branch(rng, scenes[0]) for _ in range(60)],
        "two pictures": [compare_branch(rng, scenes[0], scenes[1]) for _ in range(60)],
        "passages": reading_branches(rng, 3, 60),
    }[about]
    rows = _rows(processor, Layout(1, len(shown), 0 if shown else 100, 2, 96), shown, branches)
    torch.manual_seed(0)
    features = torch.zeros(1, len(shown), SLOTS, 3, 192)
    for n, (down, across) in enumerate(shown):
        features[0, n, : down * across] = torch.randn(down * across, 3, 192)
    text = model.model.language_model
    with torch.no_grad():
        logits, _ = row_model.logits_of(model, rows, features if shown else None)
    together = torch.zeros(rows.labels.shape[1], logits.shape[-1])
    together[rows.labels[0] != IGNORE_INDEX] = logits
    compared = 0
    for number in range(int(rows.branch.max()) + 1):
        at, ids, positions = _one_talk(rows, number)
        embedded = text.embed_tokens(ids).clone()
        is_picture = ids == RowWriter(processor.tokenizer).image_id
        deepstack = None
        if shown:
            seen = torch.cat([features[0, n, : down * across] for n, (down, across) in enumerate(shown)])
            embedded[is_picture], deepstack = seen[:, 0], [seen[:, 1], seen[:, 2]]
            grid = torch.tensor([[1, down * 2, across * 2] for down, across in shown])
            counted, _ = model.model.get_rope_index(ids, mm_token_type_ids=is_picture.int(), image_grid_thw=grid)
            assert torch.equal(counted, positions)
        order = torch.arange(ids.shape[1]).view(1, 1, -1)
        with torch.no_grad():
            hidden = text(
                inputs_embeds=embedded, position_ids=torch.cat((order, positions)), use_cache=False,
                visual_pos_masks=is_picture if shown else None, deepstack_visual_embeds=deepstack,
            ).last_hidden_state  # fmt: skip
        learned = rows.labels[0, at] != IGNORE_INDEX
        alone = model.lm_head(hidden)[0, learned]
        assert torch.allclose(alone, together[at[learned]], atol=1e-5)
        compared += int(learned.sum())
    assert compared == len(logits) > 0


def test_wrong_drafts_are_read_but_not_learned(processor: ImageTextProcessor) -> None:
    rng = Random(2)
    scene = sample_scene(rng, 192, 160)
    branch = next(b for _ in range(300) if (b := picture_branch(rng, scene))[0].kind == "draft")
    ids, following, spans = RowWriter(processor.tokenizer).talk(branch)
    first = next(n for n, wanted in enumerate(following) if wanted != IGNORE_INDEX)
    assert f"assistant\n{branch[0].answer}<|im_end|>" in processor.tokenizer.decode(ids[:first])
    assert all(kind.split()[0] != "draft" for _, _, kind in spans)


def test_a_terse_question_is_its_name_with_the_answer_at_once_behind_it(processor: ImageTextProcessor) -> None:
    scene = Scene(192, 192, (Thing("star", "red", "large", 80, 48, 30), Thing("ring", "blue", "small", 150, 120, 14)))
    said = {(t.kind, t.text, t.answer) for seed in range(400) for t in terse_branch(Random(seed), scene)}
    assert {
        ("terse color", " star", "red"),
        ("terse shape", "蓝色", "圆环"),
        ("terse exist", " a red ring", "no"),
    } <= said
    ids, following, _ = RowWriter(processor.tokenizer).talk(
        next(b for seed in range(400) if (b := terse_branch(Random(seed), scene))[0].text == " star")
    )
    assert processor.tokenizer.convert_ids_to_tokens(ids) == ["\u0120star", "red"]
    assert following == [ids[1], IGNORE_INDEX]


def test_a_terse_talk_about_passages_is_a_name_with_its_value_and_number_behind_it() -> None:
    turn = reading_branches(Random(3), 1, 1, ENGLISH, terse=1.0)[0][0]
    form = r"Evidence:\n\[1\] .*?\b(?:of|for|that)(?P<name> \w+).* (?P<value>\S+?)\.?\n(?P<asked> \w+)"
    fact = re.fullmatch(form, turn.text)
    assert fact and fact["asked"] == fact["name"] and turn.answer == f" {fact['value']} [1]" and turn.bare


def test_decisions_are_learned_in_the_form_that_the_graph_parses() -> None:
    forms: dict[str, type[BaseModel]] = {"plan": Plan, "review": Review, "grade": Grade, "query": Query}
    seen = set()
    for seed in range(150):
        rng = Random(seed)
        scene = sample_scene(rng, 96, 96)
        branches = [picture_branch(rng, scene) for _ in range(4)]
        for branch in [*branches, *reading_branches(rng, 3, 3), *plan_branches(rng, 1)]:
            for turn in branch:
                assert turn.kind in KINDS
                if turn.kind in forms:
                    seen.add(turn.kind)
                    parsed = forms[turn.kind].model_validate_json(turn.answer)
                    assert parsed.model_dump_json() == turn.answer
    assert seen == set(forms)


@pytest.mark.parametrize("words", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_reading_answers_cite_the_passage_that_holds_the_value(words: Wording) -> None:
    cited = 0
    before, behind = words.say["read"].split("{value} [{number}]")
    for seed in range(100):
        for branch in reading_branches(Random(seed), 4, 3, words):
            turn = branch[0]
            if turn.kind == "read" and turn.answer != words.say["not said"]:
                passages = [line for line in turn.text.splitlines() if line.startswith("[")]
                value, number = turn.answer.removeprefix(before).removesuffix("]" * 0 + behind).split(" [")
                assert value in passages[int(number.rstrip("]")) - 1]
                cited += 1
    assert cited > 50


@pytest.mark.parametrize("words", [ENGLISH, CHINESE], ids=["English", "Chinese"])
def test_no_wording_that_is_held_back_is_trained_on(words: Wording) -> None:
    assert set(words.held_back) == set(words.ask)
    assert all(not set(words.held_back[what]) & set(words.ask[what]) for what in words.ask)


def test_picture_files_depend_on_seed_and_number_alone(tmp_path: Path) -> None:
    first, again, other = (pictures.draw(0, number) for number in (3, 3, 4))
    assert np.array_equal(first.pixels, again.pixels) and first.scenes == again.scenes != other.scenes
    pictures.draw_all(tmp_path, 1, 0, 1)
    read, drawn = pictures.load(tmp_path, 0), pictures.draw(0, 0)
    assert np.array_equal(read.pixels, drawn.pixels) and read.scenes == drawn.scenes


def test_dense_targets_say_what_stands_at_each_token() -> None:
    thing = Thing("star", "red", "large", 80, 48, 30)
    written = Scene(192, 192, (thing,), "NO", (0, 128, 192, 192), Lettering(40, 1.0, 0, 96, 160))
    targets = targets_of(pictures.Drawings(np.zeros((2, 192, 192, 3), np.uint8), [written, None]))
    assert targets.middle[0].nonzero().tolist() == [[1, 2]] and not targets.middle[1].any()
    assert targets.classes["rank"][0, 1, 2] == 0 and targets.classes["size"][0, 1, 2] == 1
    x1, _, x2, _ = ((targets.box[0, 1, 2] + torch.tensor([2.5, 1.5, 2.5, 1.5])) * 32).tolist()
    assert 50 <= x1 < 60 and 100 < x2 <= 110
    bottom = 48 + 30 * math.cos(math.radians(36))  # a star's two lower points
    assert (targets.place[0, 1, 2] * 192)[[0, 3]].tolist() == pytest.approx([x1, bottom])
    top, left = (int(targets.classes[edge][0, 1, 2]) for edge in ("top", "left"))
    assert (top, left) == (1, 5)  # twentieths of 192: the star begins at 19 and at 52
    letters = targets.letter[0][targets.letter[0] > 0].tolist()
    assert letters == [14, 15] and targets.letters[0].sum() == 2  # N and O
    in_row = {name: targets.classes[name][0, 5] for name in ("first", "last", "order")}
    assert {name: classes[classes >= 0].tolist() for name, classes in in_row.items()} == {
        "first": [13, 14], "last": [13, 14], "order": [0, 1]
    }  # fmt: skip


def test_features_are_what_transformers_gives_each_picture_alone(
    tmp_path: Path, model: Qwen3VLForConditionalGeneration
) -> None:
    pictures.draw_all(tmp_path / "pictures", 1, 5, 1)
    compute_all(model.model.visual, tmp_path / "pictures", tmp_path / "features", 1, bf16=False)
    stored = torch.from_numpy(np.load(tmp_path / "features" / "00000.npy")[1]).float()
    pixel_values, grid = patches_of(pictures.load(tmp_path / "pictures", 0).pixels[1:2])
    with torch.no_grad():
        alone = model.model.visual(pixel_values, grid)
    for n, expected in enumerate((alone.pooler_output, *alone.deepstack_features)):
        assert torch.allclose(stored[:, n], expected, atol=2e-3)


def test_the_tower_gets_gradients_from_every_output_that_is_handed_over() -> None:
    tower = build_tower(0)
    features_of(tower, pictures.draw(0, 0).pixels[:2]).pow(2).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for n, p in tower.named_parameters() if "weight" in n)
    assert len(tower_outputs(tower, *patches_of(pictures.draw(0, 0).pixels[:1]))) == 3


def test_the_heads_can_learn_alone_before_the_tower_of_a_trained_model_learns(tmp_path: Path) -> None:
    pictures.draw_all(tmp_path / "pictures", 1, seed=1, processes=1)
    tower = build_tower(seed=1)
    began = {name: value.clone() for name, value in tower.state_dict().items()}
    train_tower(tower, tmp_path / "pictures", 1, 2, tmp_path, rate=1.0, bf16=False, save_every=10, heads_alone=2)
    assert all(torch.equal(value, began[name]) for name, value in tower.state_dict().items())
    assert all(parameter.requires_grad for parameter in tower.parameters()), "language trains it along later"


def test_the_learning_rate_before_its_end_does_not_depend_on_how_many_steps_there_are() -> None:
    assert learning_rate_share(300, 1000) == learning_rate_share(300, 5000) == 1
    shares = [learning_rate_share(step, 1000) for step in range(1000)]
    assert shares[0] == pytest.approx(0.01) and shares[-1] == pytest.approx(0.01)
    assert all(a >= b for a, b in pairwise(shares[600:]))


def test_what_is_saved_loads_with_the_same_weights(untrained: Path, tmp_path: Path) -> None:
    trained = Qwen3VLForConditionalGeneration.from_pretrained(untrained, dtype=torch.float32)
    before = patch_weight(trained).detach().clone()
    save_model(trained, untrained, tmp_path)
    again = Qwen3VLForConditionalGeneration.from_pretrained(tmp_path, dtype=torch.float32)
    assert torch.allclose(patch_weight(again).view_as(before), before, atol=1e-3)


def test_a_run_can_begin_with_the_trained_weights_and_keeps_a_copy_of_them(tmp_path: Path) -> None:
    begun = first_model(tmp_path / "first", seed=0, weights=tiny_folder())
    bundled = load_file(tiny_folder() / "model.safetensors")
    patches = bundled.pop("model.visual.patch_embed.proj.weight")
    assert torch.equal(patch_weight(begun).half().view_as(patches), patches)
    assert all(
        torch.equal(value, begun.state_dict()[name].half())
        for name, value in bundled.items()
        if "patch_embed" not in name
    )
    again = first_model(tmp_path / "first", seed=0, weights=tmp_path / "gone by now")
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in begun.state_dict().items())


@pytest.mark.parametrize("config", [None, "{}", '{"vision_config": {"depth": 24}}'])
def test_a_run_does_not_begin_with_a_model_of_other_sizes(config: str | None, tmp_path: Path) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(SystemExit, match="begin with model/tiny or without --weights"):
        first_model(tmp_path / "first", seed=0, weights=tmp_path)


def test_long_answers_with_their_reviews_and_rewrites_are_learned_whole(processor: ImageTextProcessor) -> None:
    rng, writer = Random(3), RowWriter(processor.tokenizer)
    scene = next(s for _ in range(100) if can_be_located(s := sample_scene(rng, 192, 160)))
    kinds = Counter[str]()
    for _ in range(20):
        rows = writer(LAYOUTS["long"], [[(5, 6)]] * 6, [lambda: long_branch(rng, scene)] * 6)
        kinds.update(kind.removesuffix(" zh") for _, _, _, kind in rows.spans)
    assert set(kinds) == {"locate", "caption", "word", "unknown", "review", "rewrite", "choose"}
    assert 0.3 < kinds["rewrite"] / kinds["review"] < 0.7, "a verdict must not be guessed from how seldom it is"


def test_reviews_of_wrong_readings_are_learned_with_their_rewrites(processor: ImageTextProcessor) -> None:
    rng, writer = Random(3), RowWriter(processor.tokenizer)
    kinds = Counter[str]()
    for number in range(20):
        talks = [iter(reading_branches(rng, 1 + number % 4, 100)).__next__ for _ in range(12)]
        rows = writer(LAYOUTS["text"], [()] * 12, talks)
        kinds.update(kind.removesuffix(" zh") for _, _, _, kind in rows.spans)
    assert 0.2 < kinds["rewrite"] / kinds["review"] < 0.5, "half of the wrong drafts are rewritten"


def test_a_wrong_box_overlaps_with_the_right_one_by_less_than_half() -> None:
    rng = Random(4)
    for scene in (sample_scene(rng, 192, 160) for _ in range(200)):
        if can_be_located(scene):
            question = locate(rng, scene, ENGLISH)
            right, wrong = (json.loads(text)[0]["bbox_2d"] for text in (question.answer, question.wrong))
            assert iou(right, wrong) < 0.5


def test_a_question_gets_what_people_put_around_it_and_keeps_its_mark() -> None:
    english = {ENGLISH.pointed(Random(n), "Locate the red star.") for n in range(200)}
    assert {"Locate the red star.", "Please locate the red star.", "Locate the red star in this image."} <= english
    assert all(text.endswith(".") for text in english)
    assert {ENGLISH.pointed(Random(n), "Is there a star in the picture?") for n in range(50)} == {
        "Is there a star in the picture?"
    }
    chinese = {CHINESE.pointed(Random(n), "有没有红色星形？") for n in range(200)}
    assert {"有没有红色星形？", "请问有没有红色星形？", "图里有没有红色星形？"} <= chinese


def patch_weight(model: Any) -> torch.Tensor:
    """Return the patch embedding's weights; what ran before in this process decides whether transformers fuses it."""
    embedding = model.model.visual.patch_embed
    weight: torch.Tensor = (embedding.linear_proj if hasattr(embedding, "linear_proj") else embedding.proj).weight
    return weight


def _train(out: Path, *more: str) -> list[str]:
    command = [sys.executable, "-m", "finetune.tiny.train", "--out", str(out), "--files", "1", "--tower-steps", "3"]
    return [*command, "--steps", "4", "--release-at", "2", "--dtype", "fp32", "--plain", "--save-every", "1", *more]


@pytest.mark.slow
def test_a_training_killed_at_any_moment_ends_with_the_same_weights(tmp_path: Path) -> None:
    subprocess.run(_train(tmp_path / "whole"), check=True, capture_output=True)
    with subprocess.Popen(_train(tmp_path / "parts"), stderr=subprocess.PIPE) as training:
        assert training.stderr is not None
        shown = b""
        while b"2/4" not in shown:  # the progress bar: the first checkpoint is on disk, the second is being written
            shown += training.stderr.read(1)
        training.kill()
    subprocess.run(_train(tmp_path / "parts"), check=True, capture_output=True)
    whole, parts = (torch.load(tmp_path / run / "state.pt", weights_only=True)["model"] for run in ("whole", "parts"))
    assert all(torch.allclose(whole[name], parts[name], atol=1e-5) for name in whole)
    assert (tmp_path / "parts" / "model" / "model.safetensors").stat().st_size < 25_000_000


@pytest.mark.slow
def test_a_run_that_begins_with_the_trained_weights_leaves_a_model_near_them(tmp_path: Path) -> None:
    command = _train(tmp_path / "on", "--weights", str(tiny_folder()), "--rate", "0.001")
    subprocess.run(command, check=True, capture_output=True)
    before, after = (load_file(folder / "model.safetensors") for folder in (tiny_folder(), tmp_path / "on" / "model"))
    assert before.keys() == after.keys()
    apart = {name: (before[name].float() - after[name].float()).abs().max().item() for name in before}
    assert 0 < max(apart.values()) < 0.01
