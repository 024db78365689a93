"""Accuracy of the bundled checkpoint by task, on two sets of fresh pictures, beside the same questions blind.

`python -m benchmarks.scenes [--pictures 2000] [--model tiny]` asks through the product's own chat model: `ChatQwen3VL`,
the processor's own resizing, greedy decoding, decisions under the grammar. The first set is the training's own world
under an unseen seed, in sizes that it never drew, in English and Chinese by turns, every second question in a wording
that was held back. The second is drawn and worded by other code (`other_drawings`). Blind is a grey picture.
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from PIL import Image
from pydantic import BaseModel
from rich.progress import track

from benchmarks.other_drawings import drawing
from benchmarks.report import publish
from finetune.data.drawn.chinese import CHINESE
from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.other_pictures import something_else
from finetune.data.drawn.passages import sample_facts
from finetune.data.drawn.protocol import plan_reading_turn, plan_turn, prompts_of, reading_branches
from finetune.data.drawn.questions import ask, compare
from finetune.data.drawn.scenes import draw_scene, sample_scene
from finetune.data.drawn.turns import Turn
from finetune.evaluation.metrics import iou
from graph.answer import Grade, Plan, Query, Review
from graph.prompts import SYSTEM
from model.pictures.picture import Picture

SEED = "unseen"
PICTURE_SIZES = ((320, 240), (300, 300), (480, 320), (240, 320), (640, 480), (200, 200), (400, 250), (150, 130))
FORMS: dict[str, type[BaseModel]] = {"plan": Plan, "grade": Grade, "review": Review, "query": Query}
AIMS = {
    "count": 95, "color": 95, "shape": 95, "exist": 95, "size": 95, "relation": 95, "compare": 95, "locate": 90,
    "caption": 90, "word": 80, "plan": 98, "grade": 98, "review": 95, "read": 98,
}  # fmt: skip
OTHER_AIMS = {"word": 60}
OTHER_AIM = 85


@dataclass(frozen=True)
class Talk:
    """Pictures and the turns about them."""

    images: tuple[Image.Image, ...]
    turns: tuple[Turn, ...]
    group: str
    """`English`, `Chinese`, and the same with `, held back` where no training saw the wording."""


class Tally:
    """Right and wrong answers by task and group."""

    def __init__(self) -> None:
        self.hits: dict[tuple[str, str], list[bool]] = defaultdict(list)

    def add(self, kind: str, group: str, right: bool) -> None:
        """Count one answer."""
        self.hits[kind, group].append(right)

    def percent(self, kind: str, group: str = "") -> float | None:
        """Return the share of right answers of a task, in the groups whose name holds `group`."""
        hits = [hit for (k, g), some in self.hits.items() if k == kind and group in g for hit in some]
        return round(100 * sum(hits) / len(hits), 1) if hits else None

    def count(self, kind: str) -> int:
        """Return how many questions there were."""
        return sum(len(some) for (k, _), some in self.hits.items() if k == kind)

    def kinds(self) -> list[str]:
        """Return the tasks in the order of the aims."""
        order = list(AIMS)
        return sorted({k for k, _ in self.hits}, key=lambda k: order.index(k) if k in order else 99)


def main() -> None:
    """Ask, judge, and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=2000, help="of the first set; of the second a quarter")
    parser.add_argument("--model", default="tiny", help="tiny or a folder")
    parser.add_argument("--name", default="scenes", help="of the results' file")
    options = parser.parse_args()
    from model.open import open_chat
    from model.settings import ModelSettings

    chat, _ = open_chat(ModelSettings(model=options.model))
    seen, blind, began = Tally(), Tally(), time.monotonic()
    for number in track(range(options.pictures), description="own pictures"):
        for talk in talks(number):
            for turn, right in judge(chat, talk):
                seen.add(turn.kind, talk.group, right)
            if talk.images:
                grey = Talk(tuple(Image.new("RGB", im.size, "grey") for im in talk.images), talk.turns, talk.group)
                for turn, right in judge(chat, grey):
                    blind.add(turn.kind, talk.group, right)
    publish(
        options.name, f"{options.model} on {options.pictures} fresh pictures, right %",
        [own_row(seen, blind, kind) for kind in seen.kinds()],
        pictures=options.pictures, seconds=round(time.monotonic() - began),
    )  # fmt: skip
    seen, blind, began = Tally(), Tally(), time.monotonic()
    for number in track(range(options.pictures // 4), description="other drawings"):
        image, asked = drawing(number)
        hidden = Image.new("RGB", image.size, "grey")
        for each in asked:
            group = "Chinese" if each.is_chinese else "English"
            for tally, shown in ((seen, image), (blind, hidden)):
                said = chat.invoke([SystemMessage(SYSTEM), _user([shown], each.question)], max_new_tokens=128).text
                tally.add(each.kind, group, each.judge(said))
    publish(
        f"{options.name}_other", f"{options.model} on {options.pictures // 4} pictures drawn by other code, right %",
        [other_row(seen, blind, kind) for kind in seen.kinds()],
        pictures=options.pictures // 4, seconds=round(time.monotonic() - began),
    )  # fmt: skip


def own_row(seen: Tally, blind: Tally, kind: str) -> dict[str, Any]:
    """Return a task's row of the first table."""
    return {
        "task": kind,
        "questions": seen.count(kind),
        "right": seen.percent(kind),
        "English": seen.percent(kind, "English"),
        "Chinese": seen.percent(kind, "Chinese"),
        "wordings held back": seen.percent(kind, "held back"),
        "blind": blind.percent(kind),
        "aim": AIMS.get(kind),
    }


def other_row(seen: Tally, blind: Tally, kind: str) -> dict[str, Any]:
    """Return a task's row of the second table."""
    row = own_row(seen, blind, kind) | {"aim": OTHER_AIMS.get(kind, OTHER_AIM)}
    row.pop("wordings held back")
    return row


def talks(number: int) -> Iterator[Talk]:
    """Yield what is asked about picture `number`: two questions, and now and then the agent's protocol."""
    rng = Random(f"{SEED}/{number}")
    width, height = rng.choice(PICTURE_SIZES)
    scene = None if rng.random() < 0.02 else sample_scene(rng, width, height, word=rng.random() < 0.2)
    image = something_else(rng, width, height) if scene is None else draw_scene(rng, scene)
    words = (ENGLISH, CHINESE)[number % 2]
    language = ("English", "Chinese")[number % 2]
    for unseen in (False, True):
        question = ask(rng, scene, words, unseen=unseen)
        turn = Turn(question.kind, question.text, question.answer)
        yield Talk((image,), (turn,), f"{language}, held back" if unseen else language)
    said, part = prompts_of(words), number // 2 % 4
    if part == 0:
        right = rng.random() < 0.5
        draft = Turn("draft", question.text, question.answer if right else question.wrong, learn=False)
        verdict = Review(feedback="", verdict="PASS" if right else "RETRY")
        yield Talk((image,), (draft, Turn("review", said.review, verdict.model_dump_json())), language)
    elif part == 1:
        yield Talk((image,), (plan_turn(question, words),), language)
        unseen = rng.random() < 0.5
        turn = plan_reading_turn(rng, sample_facts(rng, 1)[0], words, unseen=unseen)
        yield Talk((), (turn,), f"{language}, held back" if unseen else language)
    elif part == 2:
        for branch in reading_branches(rng, 4, 2, words):
            yield Talk((), tuple(branch[:1]) if branch[0].learn else tuple(branch[:2]), language)
    else:
        scenes = [sample_scene(rng, 300, 240) for _ in range(2)]
        unseen = rng.random() < 0.5
        question = compare(rng, scenes[0], scenes[1], words, unseen=unseen)
        turn = Turn("compare", question.text, question.answer)
        images = tuple(draw_scene(rng, one) for one in scenes)
        yield Talk(images, (turn,), f"{language}, held back" if unseen else language)


def _user(images: list[Image.Image], text: str) -> HumanMessage:
    pictures = [Picture(source=f"picture {i}", path=None, image=im, sha256="") for i, im in enumerate(images)]
    blocks: list[Any] = [{"type": "image", "image": p} for p in pictures]
    return HumanMessage([*blocks, {"type": "text", "text": text}])


def judge(chat: BaseChatModel, talk: Talk) -> Iterator[tuple[Turn, bool]]:
    """Ask the talk's learned turns, with the given answers before them, and judge each reply."""
    messages: list[BaseMessage] = [SystemMessage(SYSTEM)]
    for n, turn in enumerate(talk.turns):
        messages.append(_user(list(talk.images) if n == 0 else [], turn.text))
        if turn.learn:
            yield turn, is_right(chat, messages, turn)
        messages.append(AIMessage(turn.answer))


def is_right(chat: BaseChatModel, messages: list[BaseMessage], turn: Turn) -> bool:
    """Ask and compare: boxes by IoU 0.5, reviews by verdict, plans by task and need, all else word by word."""
    if turn.kind in FORMS:
        reply: Any = chat.with_structured_output(FORMS[turn.kind]).invoke(messages)
        wanted: Any = FORMS[turn.kind].model_validate_json(turn.answer)
        if isinstance(reply, Review):
            return bool(reply.verdict == wanted.verdict)
        if isinstance(reply, Plan):
            return bool((reply.task, reply.needs_knowledge) == (wanted.task, wanted.needs_knowledge))
        return bool(reply == wanted)
    said = chat.invoke(messages, max_new_tokens=128).text.strip()
    if turn.kind != "locate":
        return bool(said == turn.answer)
    try:
        box = json.loads(said)[0]["bbox_2d"]
    except (ValueError, LookupError, TypeError):
        return False
    return iou(box, json.loads(turn.answer)[0]["bbox_2d"]) >= 0.5


if __name__ == "__main__":
    main()
