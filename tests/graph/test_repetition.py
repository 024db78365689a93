"""Endless repetition is cut while it is written; honest repetition is left as it is."""

import pytest

from graph.repetition import EVERY, RepetitionGuard, cut_loop

LOOPS = {
    "a sentence": ("The picture shows a cat. ", "It is sitting on a mat. " * 40),
    "a word": ("It is ", "very " * 200),
    "words without blanks": ("答案是", "红色的" * 200),
    "a line": ("Steps:\n", "Look at the picture again.\n" * 30),
    "a paragraph": ("First.\n\n", "Wait, let me look again at the picture.\nI see a red circle.\n\n" * 20),
    "counted steps": ("", "".join(f"Step {n}: look at the picture again and count the objects.\n" for n in range(60))),
    "a sentence that counts": ("", "".join(f"I can see {n} cats in the picture now. " for n in range(60))),
    "an endless list of one item": ("Objects:\n", "- cup\n" * 400),
    "an endless table": ("| a | b |\n|---|---|\n", "| 0 | 0 |\n" * 300),
    "laughter": ("", "ha" * 500),
    "blank lines": ("Yes.", "\n" * 600),
    "a bracket": ("[", "[" * 900),
    "a sentence with a broken end": ("", "The lamp is on and the door is shut. " * 20 + "The lamp is"),
    "a Chinese sentence": ("", "图中有一只猫坐在垫子上。" * 40),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_cut_to_its_first_round(name: str) -> None:
    begin, loop = LOOPS[name]
    text, was_cut = cut_loop(begin + loop)
    assert was_cut
    assert text.startswith(begin.rstrip()) and len(text) < len(begin) + len(loop) / 8
    assert (begin + loop).startswith(text)


HONEST = {
    "prose": "The K3 is a microscope. It has a warranty of 36 months. It was built in Jena, and it is still sold. " * 1
    + "Its lens is ground by hand. Its stand is of brass.",
    "a table of equal rows": "| year | sold |\n|---|---|\n" + "| 2020 | 0 |\n" * 30,
    "a table of a hundred rows": "| n | square |\n|---|---|\n" + "".join(f"| {n} | {n * n} |\n" for n in range(100)),
    "a table with words": "".join(f"| {n} | paid in full | {n}.50 |\n" for n in range(120)),
    "a list of answers": "".join(f"{n}. yes\n" for n in range(1, 60)),
    "a list of equal items": "- empty\n" * 24,
    "a refrain": "Row, row, row your boat,\nGently down the stream.\n"
    + "Merrily, merrily, merrily, merrily,\nLife is but a dream.\n" * 2,
    "zeros": "0, " * 60,
    "a long number": "1" + "0" * 100,
    "a ruler": "-" * 120 + "\nTotal 12.00\n" + "=" * 120,
    "dots to a page": "Introduction " + "." * 200 + " 7",
    "a matrix": ("0 0 0 0 0 0 0 0\n" * 16),
    "a JSON list": "[" + ", ".join('{"label": "cup", "count": 1}' for _ in range(5)) + "]",
    "boxes": "".join(f'{{"bbox_2d": [{n}, {n}, {n + 40}, {n + 50}], "label": "cup"}},\n' for n in range(40)),
    "boxes in one line": "["
    + ", ".join(f'{{"bbox_2d": [{n}, 1, {n + 9}, 9], "label": "cup"}}' for n in range(40))
    + "]",
    "a joke": "ha ha ha ha ha ha",
    "a checkerboard": ("| # | . | # | . |\n| . | # | . | # |\n") * 8,
}


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_repetition_is_left_alone(name: str) -> None:
    assert cut_loop(HONEST[name]) == (HONEST[name], False)


def test_a_loop_is_seen_while_it_grows_and_stays_seen() -> None:
    guard, written = RepetitionGuard(), 0
    while not guard.add("The door is open. "):
        written += len("The door is open. ")
        assert written < 1000
    assert guard.cut_at == len("The door is open. ")
    assert written <= 150 + 2 * EVERY
    assert guard.add("and so on")
