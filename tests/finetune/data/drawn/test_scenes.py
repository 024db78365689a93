"""The drawn world: what is said about a picture is what is drawn in it."""

import json
from random import Random

import numpy as np
import pytest

from finetune.data.drawn.chinese import CHINESE
from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.other_pictures import something_else
from finetune.data.drawn.questions import ask, compare
from finetune.data.drawn.scenes import COLORS, MAX_THINGS, SHAPES, TOUCHING, Scene, Thing, draw_scene, sample_scene


def test_a_seed_names_a_picture() -> None:
    first, again = ((r := Random(7), draw_scene(r, sample_scene(r, 128, 96)))[1] for _ in range(2))
    other = draw_scene(r := Random(8), sample_scene(r, 128, 96))
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_box_bounds_the_pixels_that_are_drawn(shape: str) -> None:
    scene = Scene(400, 200, (Thing(shape, "red", "large", 150, 90, 40, 0.2),))
    pixels = np.asarray(draw_scene(Random(3), scene, ease=1.0)).astype(int)
    drawn = np.abs(pixels - pixels[0, 0]).sum(axis=2) > 60
    ys, xs = np.nonzero(drawn)
    x1, y1, x2, y2 = scene.box(scene.things[0])
    assert abs(xs.min() / 400 * 1000 - x1) <= 12 and abs(xs.max() / 400 * 1000 - x2) <= 12
    assert abs(ys.min() / 200 * 1000 - y1) <= 20 and abs(ys.max() / 200 * 1000 - y2) <= 20


@pytest.mark.parametrize("seed", range(30))
def test_things_lie_inside_hardly_overlap_and_stand_from_left_to_right(seed: int) -> None:
    scene = sample_scene(Random(seed), 160, 96, word=seed % 3 == 0)
    assert len(scene.things) <= MAX_THINGS
    for thing in scene.things:
        assert thing.r <= thing.x <= 160 - thing.r and thing.r <= thing.y <= 96 - thing.r
    xs = [t.x for t in scene.things]
    assert xs == sorted(xs)
    for i, a in enumerate(scene.things):
        assert all(np.hypot(a.x - b.x, a.y - b.y) > (a.r + b.r) * TOUCHING for b in scene.things[:i])


@pytest.mark.parametrize("seed", range(20))
def test_every_thing_stands_off_from_the_background(seed: int) -> None:
    rng = Random(seed)
    scene = sample_scene(rng, 128, 128, things=4)
    pixels = np.asarray(draw_scene(rng, scene, ease=1.0)).astype(int)
    background = pixels[0, 0]
    for thing in scene.things:
        color = np.array(COLORS[thing.color])
        assert np.linalg.norm(background - color) > 50, (thing.color, background)


SCENE = Scene(
    100,
    100,
    (
        Thing("circle", "red", "large", 15, 20, 10),
        Thing("star", "blue", "small", 50, 80, 5),
        Thing("circle", "green", "small", 85, 50, 5),
    ),
)


def _answer(question: str, scene: Scene = SCENE) -> str:
    for seed in range(20_000):
        asked = ask(Random(seed), scene, ENGLISH if question.isascii() else CHINESE)
        if asked.text == question:
            assert asked.wrong != asked.answer
            return asked.answer
    raise AssertionError(f"never asked: {question}")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many objects are there?", "3"),
        ("How many circles are there?", "2"),
        ("How many small objects are there?", "2"),
        ("What color is the star?", "blue"),
        ("What color is the circle?", "red and green"),
        ("What shape is the blue object?", "star"),
        ("Is there a red circle?", "yes"),
        ("Is there a red star?", "no"),
        ("What is the leftmost object?", "red circle"),
        ("What is the lowest object?", "blue star"),
        ("Is the red circle above the blue star?", "yes"),
        ("Is the green circle left of the blue star?", "no"),
        ("Is the blue star small or large?", "small"),
        (
            "Describe the picture.",
            "There are 3 objects: a large red circle, a small blue star and a small green circle.",
        ),
        ("Locate the blue star.", '[{"bbox_2d": [450, 750, 550, 840], "label": "blue star"}]'),
        ("图中有几个圆形？", "2"),
        ("星形是什么颜色？", "蓝色"),
        ("圆形的颜色是什么？", "红色和绿色"),
        ("红色圆形在蓝色星形的上面吗？", "是"),
        ("最左边的物体是什么？", "红色圆形"),
        ("用一句话描述这张图片。", "图中有3个物体:一个大的红色圆形、一个小的蓝色星形和一个小的绿色圆形。"),
        ("找出蓝色星形。", '[{"bbox_2d": [450, 750, 550, 840], "label": "蓝色星形"}]'),
    ],
)
def test_answers_can_be_checked_by_eye(question: str, answer: str) -> None:
    assert _answer(question) == answer


def test_comparing_counts_both_pictures() -> None:
    other = Scene(100, 100, SCENE.things[:1])
    answers = {(q := compare(Random(seed), SCENE, other)).text: q.answer for seed in range(3000)}
    assert answers["Which picture has more objects?"] == "the first"
    assert answers["How many objects are in the second picture?"] == "1"
    assert answers["Which picture has more stars?"] == "the first"


def test_locate_answers_parse_as_qwen_boxes() -> None:
    boxes = [json.loads(q.answer) for s in range(300) if (q := ask(Random(s), SCENE)).kind == "locate"]
    assert boxes
    for found in boxes:
        assert all(0 <= v <= 1000 and v % 10 == 0 for v in found[0]["bbox_2d"])


def test_nothing_can_be_told_of_a_picture_that_is_no_scene() -> None:
    assert something_else(Random(1), 64, 96).size == (64, 96)
    for words in (ENGLISH, CHINESE):
        asked = [ask(Random(seed), None, words) for seed in range(50)]
        assert {q.answer for q in asked} == {words.say["unknown"]}
        assert len({q.text for q in asked}) > 20


def test_unseen_questions_are_worded_as_no_trained_one() -> None:
    trained, unseen = (
        {ask(Random(seed), SCENE, unseen=held_back).text for seed in range(800)} for held_back in (False, True)
    )
    assert "How many objects does the picture contain?" in unseen and not trained & unseen
