"""Accuracy of the bundled checkpoint by task on fresh pictures, beside the same questions with a grey picture.

`python benchmarks/scenes.py [--pictures 1000]` asks through the product's own chat model: `ChatQwen3VL`, the
processor's own resizing, greedy decoding, decisions under the grammar. The seed was never trained on, and
the pictures have sizes that the training never drew.
"""

import argparse
import json
import time
from collections import defaultdict
from random import Random
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from PIL import Image
from pydantic import BaseModel
from rich.progress import track

from benchmarks.report import publish
from finetune.data.drawn.passages import sample_facts
from finetune.data.drawn.protocol import compare_conversation, plan_reading_turn, plan_turn, reading_conversation
from finetune.data.drawn.questions import ask
from finetune.data.drawn.scenes import draw_scene, sample_scene
from finetune.data.drawn.turns import Conversation, Turn
from finetune.evaluation.metrics import iou
from graph.answer import Grade, Plan, Query, Review
from graph.prompts import ENGLISH, SYSTEM
from model.pictures.open import Picture

SEED = "unseen"
PICTURE_SIZES = ((320, 240), (300, 300), (480, 320), (240, 320), (640, 480), (200, 200), (400, 250), (150, 130))
FORMS: dict[str, type[BaseModel]] = {"plan": Plan, "grade": Grade, "review": Review, "query": Query}
AIMS = {
    "count": 95, "color": 95, "shape": 95, "exist": 95, "relation": 90, "plan": 90, "grade": 90, "review": 90,
    "read": 85, "locate": 80,
}  # fmt: skip


def main() -> None:
    """Ask, judge, and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--model", default="tiny", help="tiny or a folder")
    options = parser.parse_args()
    from model.open import open_chat
    from model.settings import ModelSettings

    chat, _ = open_chat(ModelSettings(model=options.model))
    seen: dict[str, list[bool]] = defaultdict(list)
    blind: dict[str, list[bool]] = defaultdict(list)
    began = time.monotonic()
    for number in track(range(options.pictures), description="pictures"):
        for talk in conversations(number):
            for turn, right in judge(chat, talk):
                seen[turn.kind].append(right)
            if talk.images:
                grey = Conversation(tuple(Image.new("RGB", im.size, "grey") for im in talk.images), talk.turns)
                for turn, right in judge(chat, grey):
                    blind[turn.kind].append(right)
    rows = [
        {
            "task": kind,
            "questions": len(hits),
            "right %": round(100 * sum(hits) / len(hits), 1),
            "blind %": round(100 * sum(blind[kind]) / len(blind[kind]), 1) if blind[kind] else None,
            "aim %": AIMS.get(kind),
        }
        for kind, hits in sorted(seen.items(), key=lambda item: list(AIMS).index(item[0]) if item[0] in AIMS else 99)
    ]
    publish(
        "scenes",
        f"Bundled checkpoint on {options.pictures} fresh pictures",
        rows,
        pictures=options.pictures,
        seconds=round(time.monotonic() - began),
    )


def conversations(number: int) -> list[Conversation]:
    """Return what is asked about picture `number`: one question each, and now and then the agent's protocol."""
    rng = Random(f"{SEED}/{number}")
    width, height = rng.choice(PICTURE_SIZES)
    scene = sample_scene(rng, width, height, word=rng.random() < 0.15)
    image = draw_scene(rng, scene)
    question = ask(rng, scene)
    talks = [Conversation((image,), (Turn(question.kind, question.text, question.answer),))]
    if number % 4 == 0:
        right = rng.random() < 0.5
        draft = Turn("draft", question.text, question.answer if right else question.wrong, learn=False)
        verdict = Review(feedback="", verdict="PASS" if right else "RETRY")
        talks.append(Conversation((image,), (draft, Turn("review", ENGLISH.review, verdict.model_dump_json()))))
    elif number % 4 == 1:
        talks.append(Conversation((image,), (plan_turn(question.text, question.kind, question.step),)))
        talks.append(Conversation((), (plan_reading_turn(rng, sample_facts(rng, 1)[0]),)))
    elif number % 4 == 2:
        talks += [Conversation((), reading_conversation(rng, 4).turns[:1]) for _ in range(2)]
    else:
        both = compare_conversation(rng, 300, 240)
        first = next((t for t in both.turns if t.kind == "compare"), None)
        talks += [Conversation(both.images, (Turn("compare", first.text, first.answer),))] if first else []
    return talks


def judge(chat: BaseChatModel, talk: Conversation) -> list[tuple[Turn, bool]]:
    """Ask the conversation's learned turns, with the given answers before them, and judge each reply."""
    pictures = [Picture(source=f"picture {i}", path=None, image=im, sha256="") for i, im in enumerate(talk.images)]
    messages: list[BaseMessage] = [SystemMessage(SYSTEM)]
    judged = []
    for i, turn in enumerate(talk.turns):
        blocks: list[Any] = [{"type": "image", "image": p} for p in pictures] if i == 0 else []
        messages.append(HumanMessage([*blocks, {"type": "text", "text": turn.text}]))
        if turn.learn:
            judged.append((turn, is_right(chat, messages, turn)))
        messages.append(AIMessage(turn.answer))
    return judged


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
