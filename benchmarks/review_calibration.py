"""How often PASS is right, and how often a wrong answer passes: the reviewer alone, held against code, answering twice.

`python -m benchmarks.review_calibration [--pictures 600] [--model tiny]` asks about fresh drawn pictures of an unseen
seed, and about pictures that other code drew (`other_drawings`), in other words than the training's. Each draft is
reviewed with the product's own prompts; `published` is what the product says (`graph/judging/verdict.py`), `answered
twice` passes what a second answer at temperature 1 says too. A verdict that is withheld counts as not passed. With
`--model http://host/v1#name` the same table is made for any model; its answers are judged by the words that they hold.
"""

import argparse
import re
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from PIL import Image
from rich.progress import track

from benchmarks.other_drawings import drawing
from benchmarks.report import publish
from benchmarks.scenes import PICTURE_SIZES, is_right
from finetune.data.drawn.questions import ask
from finetune.data.drawn.scenes import draw_scene, sample_scene
from finetune.data.drawn.turns import Turn
from graph.answer import Review
from graph.judging.agreement import same_answer
from graph.judging.verdict import TINY_FLOOR, published
from graph.wording.language import prompts_for
from model.call_options import PROBABILITY_KEY
from model.open import open_chat
from model.pictures.picture import Picture
from model.settings import ModelSettings

SEED = "review calibration"


def own(number: int) -> tuple[Image.Image, list[tuple[str, Callable[[str], bool]]]]:
    """Return a picture of the project's own generator, a question, and what judges an answer."""
    rng = Random(f"{SEED} {number}")
    width, height = rng.choice(PICTURE_SIZES)
    scene = sample_scene(rng, width, height, word=rng.random() < 0.15)
    image, question = draw_scene(rng, scene), ask(rng, scene)

    def right(said: str) -> bool:
        if question.kind == "locate":
            turn = Turn(question.kind, question.text, question.answer)
            return is_right(_Says(said=said), [], turn)
        return _holds(said, frozenset((question.answer,)))

    return image, [(question.text, right)]


def other(number: int) -> tuple[Image.Image, list[tuple[str, Callable[[str], bool]]]]:
    """Return a picture that other code drew, and what is asked about it."""
    image, asked = drawing(number)
    return image, [(each.question, partial(_holds, right=each.right) if each.right else each.judge) for each in asked]


def _holds(said: str, right: frozenset[str]) -> bool:
    """Whether an answer is one of the right ones, or a sentence that holds it and no other of its kind."""
    plain = said.strip().rstrip(".").casefold()
    if plain in {answer.rstrip(".").casefold() for answer in right}:
        return True
    words = set(re.findall(r"\w+", plain))
    return len(words) > 2 and any(set(re.findall(r"\w+", answer.casefold())) <= words for answer in right)


class _Says(BaseChatModel):
    """Says what was said already, so that a box is judged as the benchmark of the checkpoint judges it."""

    said: str

    @property
    def _llm_type(self) -> str:
        return "says"

    def _generate(self, *_: Any, **__: Any) -> Any:
        from langchain_core.outputs import ChatGeneration, ChatResult

        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.said))])


def judged(chat: BaseChatModel, name: str, image: Image.Image, question: str, floor: float | None) -> dict[str, Any]:
    """Answer, review and answer again; return what each judge says of the first answer."""
    words = prompts_for(question, capable=name != "tiny")
    shown: dict[str, object] = {"type": "image", "image": Picture("picture", None, image, str(id(image)))}
    start: list[BaseMessage] = [
        SystemMessage(words.system), HumanMessage([shown, {"type": "text", "text": question}]),
    ]  # fmt: skip
    draft = chat.invoke(start, max_new_tokens=128)
    said = draft.text.strip()
    asked = HumanMessage(words.review.format(question=question, criteria=words.review_criteria.get("pictures", "")))
    review = chat.with_structured_output(Review).invoke([*start, AIMessage(said), asked])
    assert isinstance(review, Review)
    again = chat.invoke(start, max_new_tokens=128, temperature=1.0, seed=1).text
    verdict = published(
        review.verdict, said, review.feedback, probability=draft.response_metadata.get(PROBABILITY_KEY), floor=floor
    )
    return {
        "said": said,
        "the reviewer alone": review.verdict == "PASS",
        "published": verdict.word == "PASS",
        "answered twice": same_answer(said, again),
    }


def main() -> None:
    """Ask, judge the judges, and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=600, help="of each set")
    parser.add_argument("--model", default="tiny", help="tiny, a folder, a hub id or http(s)://host/v1#name")
    options = parser.parse_args()
    chat, identity = open_chat(ModelSettings(model=options.model))
    floor = TINY_FLOOR if identity.name == "tiny" else None
    rows: list[dict[str, Any]] = []
    for name, make in (("own", own), ("other code", other)):
        rows += table(chat, identity.name, name, make, options.pictures, floor)
    file = "review_calibration" if options.model == "tiny" else "review_calibration_of_a_model"
    publish(file, f"What a PASS is worth, {options.model}", rows, pictures=options.pictures, floor=floor)


def table(
    chat: BaseChatModel, model: str, name: str, make: Callable[[int], Any], pictures: int, floor: float | None
) -> Iterator[dict[str, Any]]:
    """Yield a row for each judge."""
    seen: list[dict[str, Any]] = []
    for number in track(range(pictures), description=name):
        image, asked = make(number)
        for question, right in asked:
            found = judged(chat, model, image, question, floor)
            seen.append(found | {"right": right(found["said"])})
    wrong = [one for one in seen if not one["right"]]
    for judge in ("the reviewer alone", "answered twice", "published"):
        passed = [one for one in seen if one[judge]]
        yield {
            "pictures": name,
            "judge": judge,
            "answers": len(seen),
            "right %": _percent(len(seen) - len(wrong), len(seen)),
            "passed %": _percent(len(passed), len(seen)),
            "PASS is right %": _percent(sum(one["right"] for one in passed), len(passed)),
            "wrong ones that pass %": _percent(sum(one[judge] for one in wrong), len(wrong)),
        }


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 1) if whole else None


if __name__ == "__main__":
    main()
