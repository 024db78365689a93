"""Boxes as Qwen3-VL writes them, as pixels."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.pictures.boxes import GroundedBox, parse_boxes, read_boxes

HD = (1920, 1080)


def test_thousandths_become_pixels_of_the_picture() -> None:
    text = '[{"bbox_2d": [100, 250, 500, 1000], "label": "dog"}]'
    assert parse_boxes(text, [HD]) == [GroundedBox("dog", 0, 192, 270, 960, 1080)]


@pytest.mark.parametrize(
    "text",
    [
        '{"bbox_2d": [0, 0, 1000, 500], "label": "cup"}',
        '```json\n[\n\t{"bbox_2d": [0, 0, 1000, 500], "label": "cup"}\n]\n```',
        'Here it is [see]: {"bbox_2d": [0, 0, 1000, 500], "label": "cup"}, I think.',
        '{"objects": [{"bbox_2d": [0, 0, 1000, 500], "label": " cup\\n"}]}',
        '[{"bbox_2d": [1000, 500, 0, 0], "label": "cup"}]',
        '[{"bbox_2d": [-20, -1e9, 4000, 499.9], "label": "cup"}]',
    ],
    ids=["object", "fence", "words around", "nested", "corners swapped", "out of range and floats"],
)
def test_every_form_of_one_box_is_read(text: str) -> None:
    assert parse_boxes(text, [(200, 100)]) == [GroundedBox("cup", 0, 0, 0, 200, 50)]


CUP = GroundedBox("cup", 0, 20, 10, 100, 50)


@pytest.mark.parametrize(
    "text",
    [
        '{"bbox": [100, 100, 500, 500], "label": "cup"}',
        '[{"box_2d": [100, 100, 500, 500], "label": "cup"}]',
        '{"label": "cup", "bbox_2d": ["100", "100", "500", "500"]}',
        '{"cup": [100, 100, 500, 500]}',
        '```json\n{"cup": [[100, 100, 500, 500]]}\n```',
        '{"name": "cup", "bounding_box": {"x1": 100, "y1": 100, "x2": 500, "y2": 500}}',
        '{"label": "cup", "x": 100, "y": 100, "width": 400, "height": 400}',
        "<ref>cup</ref><box>(100,100),(500,500)</box>",
        "<|object_ref_start|>cup<|object_ref_end|><|box_start|>(100,100),(500,500)<|box_end|>",
        "<ref>cup</ref><box>[[100, 100, 500, 500]]</box>",
        "<loc0102><loc0102><loc0512><loc0512> cup",
        '{"label": "cup", "bbox_2d": [[100, 100], [500, 500]]}',
    ],
)
def test_a_box_is_read_in_the_form_of_any_model(text: str) -> None:
    assert read_boxes(text, [(200, 100)]).boxes == [CUP]


@pytest.mark.parametrize(
    "text",
    [
        "The cup is at (100, 100), (500, 500).",
        "The cup is located at [100, 100, 500, 500] in the picture.",
        "Its bounding box: (100, 100, 500, 500)",
        "杯子的边界框是 [100, 100, 500, 500]",
        "x1: 100, y1: 100, x2: 500, y2: 500",
        "[[100, 100, 500, 500]]",
    ],
)
def test_a_box_in_prose_has_no_label(text: str) -> None:
    assert read_boxes(text, [(200, 100)]).boxes == [GroundedBox("", 0, 20, 10, 100, 50)]


def test_the_order_y_before_x_of_box_2d_is_known() -> None:
    (box,) = read_boxes('{"box_2d": [0, 500, 1000, 600], "label": "pole"}', [(100, 100)]).boxes
    assert (box.x1, box.y1, box.x2, box.y2) == (50, 0, 60, 100)


def test_numbers_above_1000_that_fit_the_picture_are_its_pixels() -> None:
    text = '[{"bbox_2d": [960, 540, 1440, 1080], "label": "dog"}, {"bbox_2d": [10, 20, 300, 400], "label": "cat"}]'
    assert parse_boxes(text, [HD]) == [
        GroundedBox("dog", 0, 960, 540, 1440, 1080),
        GroundedBox("cat", 0, 10, 20, 300, 400),
    ]


def test_numbers_up_to_1_are_shares() -> None:
    assert parse_boxes('{"bbox_2d": [0.1, 0.25, 0.5, 1.0], "label": "dog"}', [HD]) == [
        GroundedBox("dog", 0, 192, 270, 960, 1080)
    ]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('{"point_2d": [500, 500], "label": "nose"}', "'nose' was given as a point (x 100, y 50), which is no box"),
        ('<point x="50" y="50" alt="nose">nose</point>', "'nose' was given as a point (x 100, y 50), which is no box"),
        ('{"bbox_2d": [500, 100, 500, 900], "label": "line"}', "'line' was given without a width or height"),
        ('{"bbox_2d": [0, 0, 9, 9], "label": "a", "image": 3}', "'a' is said to be in a picture that there is not"),
    ],
)
def test_what_is_no_box_is_a_note_and_never_a_box_without_a_size(text: str, note: str) -> None:
    read = read_boxes(text, [(200, 100)])
    assert read.boxes == []
    (said,) = read.notes
    assert said.startswith(note)


@pytest.mark.parametrize(
    "text",
    [
        "The four numbers are [3, 5, 7, 9].",
        "[3, 5, 7, 9]",
        '{"total": "12.50", "items": [1, 2, 3, 4]}',
        '{"scores": [[1, 2, 3, 4], [5, 6, 7, 8]], "name": "table"}',
        "He has 3 boxes. The rows are (1, 2), then (3, 4, 5).",
        "| a | b |\n| 1 | 2 |",
    ],
)
def test_numbers_that_are_about_something_else_are_no_boxes(text: str) -> None:
    assert read_boxes(text, [HD]) == read_boxes("", [HD])


def test_four_numbers_are_a_box_where_places_were_asked_for() -> None:
    assert [box.x2 for box in read_boxes("[100, 100, 500, 500]", [(200, 100)], wanted=True).boxes] == [100]


def test_complete_objects_of_a_list_that_was_cut_off_are_kept() -> None:
    text = '[{"bbox_2d": [0, 0, 10, 10], "label": "a"}, {"bbox_2d": [0, 0, 20, 20], "label": "b"}, {"bbox_2d": [0, 0'
    assert [box.label for box in parse_boxes(text, [(1000, 1000)])] == ["a", "b"]


def test_the_image_key_says_which_picture() -> None:
    text = '[{"bbox_2d": [0, 0, 500, 500], "label": "a", "image": 1}]'
    assert parse_boxes(text, [(10, 10), (100, 200)]) == [GroundedBox("a", 1, 0, 0, 50, 100)]


def test_an_image_key_without_such_a_picture_gives_no_box() -> None:
    assert parse_boxes('{"bbox_2d": [0, 0, 500, 500], "image": 7}', [(10, 10)]) == []


def test_as_many_lists_as_pictures_go_to_the_pictures_in_order() -> None:
    text = 'First: [{"bbox_2d": [0, 0, 500, 500]}] second: [{"bbox_2d": [0, 0, 500, 500]}]'
    assert [(box.image, box.x2) for box in parse_boxes(text, [(10, 10), (100, 100)])] == [(0, 5), (1, 50)]


def test_one_list_about_two_pictures_goes_to_the_first() -> None:
    text = '[{"bbox_2d": [0, 0, 500, 500]}, {"bbox_2d": [0, 0, 100, 100]}]'
    assert [box.image for box in parse_boxes(text, [(10, 10), (100, 100)])] == [0, 0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no box [1, 2]",
        '{"bbox_2d": [1, 2, 3]}',
        '{"bbox_2d": "1 2 3 4"}',
        '{"bbox_2d": [1, 2, 3, true]}',
        '{"bbox_2d": [1, 2, 3, NaN]}',
    ],
)
def test_what_is_no_box_gives_none(text: str) -> None:
    assert parse_boxes(text, [HD]) == []


def test_no_picture_gives_no_box() -> None:
    assert parse_boxes('{"bbox_2d": [0, 0, 5, 5]}', []) == []


_json_like = st.text(alphabet='[]{}",:0123456789.eE-+ \\nbox_2dlabelimgNaNInfinity', max_size=200)
_whole = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.sampled_from(["bbox_2d", "label", "image"]), children),
).map(__import__("json").dumps)


@given(
    text=st.text() | _json_like | _whole,
    sizes=st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 9999)), max_size=3),
)
@example(text="[" * 50_000, sizes=[(1, 1)])
@example(text='{"a":' * 3_000, sizes=[(1, 1)])
@example(text='{"bbox_2d": [' + "9" * 5_000 + ", 0, 1e999, -1e999]}", sizes=[(3, 3)])
def test_any_text_gives_boxes_inside_the_pictures_and_no_exception(text: str, sizes: list[tuple[int, int]]) -> None:
    for box in parse_boxes(text, sizes):
        width, height = sizes[box.image]
        assert 0 <= box.x1 < box.x2 <= width
        assert 0 <= box.y1 < box.y2 <= height
