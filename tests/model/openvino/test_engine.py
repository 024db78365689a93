"""The bundled checkpoint converted and answered by the real OpenVINO, beside transformers.

`LORGNETTE_TEST_IR` names a folder that `lorgnette model convert tiny FOLDER --weights fp32` wrote; without it the
fixture converts, which takes a minute or two and the network.
"""

import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from PIL import Image, ImageDraw
from pydantic import BaseModel, Field

pytest.importorskip("openvino_genai", reason="the extra openvino is not installed")

from graph.agent import Agent
from graph.settings import AgentSettings
from model.call_options import Cancelled
from model.ir import IR, read_ir
from model.open import open_chat
from model.openvino import engine as engines
from model.openvino.chat import ChatOpenVINO
from model.openvino.errors import EngineBroken, PromptTooLong
from model.openvino.vision_memo import TOWER, remembering
from model.pictures.boxes import read_boxes
from model.pictures.picture import Picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import Loaded
from model.settings import ModelSettings
from tests.model.openvino.conftest import END

pytestmark = pytest.mark.slow

QUESTIONS = ("Where is the red square?", "Describe the picture.", "How many shapes are there?", "Locate every shape.")


@pytest.fixture(scope="session")
def ir(tmp_path_factory: pytest.TempPathFactory) -> IR:
    if named := os.environ.get("LORGNETTE_TEST_IR"):
        return read_ir(Path(named))
    from model.openvino.convert import convert

    home = tmp_path_factory.mktemp("converter")
    return convert("tiny", home / "tiny", "fp32", home)


@pytest.fixture(scope="module")
def openvino(ir: IR) -> Iterator[ChatOpenVINO]:
    chat = open_chat(ModelSettings(model=f"openvino:{ir.folder}"))[0]
    assert isinstance(chat, ChatOpenVINO)
    yield chat
    chat.close()


@pytest.fixture(scope="module")
def by_torch(loaded: Loaded) -> Iterator[ChatQwen3VL]:
    chat = ChatQwen3VL(loaded=loaded)
    yield chat
    chat.close()


def drawn(seed: int) -> Picture:
    """Return one to three rectangles on white, in one of five sizes."""
    rnd = random.Random(seed)
    width, height = rnd.choice([(192, 192), (160, 120), (640, 480), (300, 500), (97, 133)])
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for _ in range(rnd.randint(1, 3)):
        x, y = rnd.randint(0, width // 2), rnd.randint(0, height // 2)
        draw.rectangle((x, y, x + width // 4, y + height // 4), fill=rnd.choice(["red", "blue", "green"]))
    return Picture(str(seed), None, image, str(seed))


def question(pictures: Sequence[Picture], text: str) -> list[BaseMessage]:
    shown: list[Any] = [{"type": "image", "image": picture} for picture in pictures]
    return [SystemMessage("You look at pictures."), HumanMessage([*shown, {"type": "text", "text": text}])]


@pytest.mark.parametrize("seed", range(24))
def test_an_answer_and_its_boxes_are_those_of_transformers(
    seed: int, openvino: ChatOpenVINO, by_torch: ChatQwen3VL
) -> None:
    pictures = [drawn(seed)] if seed % 3 else [drawn(seed), drawn(seed + 100)]
    asked = question(pictures, QUESTIONS[seed % 4])
    expected = by_torch.invoke(asked, max_new_tokens=48)
    answer = openvino.invoke(asked, max_new_tokens=48)
    assert answer.text == expected.text
    assert answer.usage_metadata is not None and expected.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] == expected.usage_metadata["input_tokens"]
    assert answer.response_metadata["probability"] == pytest.approx(expected.response_metadata["probability"], rel=0.01)
    sizes = [(picture.width, picture.height) for picture in pictures]
    assert read_boxes(answer.text, sizes) == read_boxes(expected.text, sizes)


def test_what_was_read_is_not_read_again(openvino: ChatOpenVINO, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's steps tell what it reads: one of the prompt brings no token but the last."""
    monkeypatch.setattr(engines, "STEP_TOKENS", 8)
    loaded = openvino.loaded
    pipeline = engines.Pipeline(loaded.ir, "CPU", 64)
    chat = ChatOpenVINO(loaded=replace(loaded, engine=pipeline), max_new_tokens=1)
    steps: list[object] = []
    write = pipeline.write

    def counted(*asked: Any) -> Any:
        steps.clear()
        for token in write(*asked):
            steps.append(token)
            yield token

    monkeypatch.setattr(pipeline, "write", counted)
    picture, read = drawn(7), []
    for text in ("Where is the red square?", "How many shapes are there?"):
        answer = chat.invoke(question([picture], text))
        assert answer.usage_metadata is not None
        unread = answer.usage_metadata["input_tokens"] - answer.usage_metadata["input_token_details"]["cache_read"]
        read.append(len(steps))
        assert len(steps) == -(-unread // 8)
    assert read[1] < read[0]
    chat.close()


class Plan(BaseModel):
    steps: list[str] = Field(max_length=2)
    needs: bool
    level: int = Field(ge=1, le=5)
    note: str | None = None


def test_a_decision_follows_its_schema(openvino: ChatOpenVINO) -> None:
    for seed in range(4):
        plan = openvino.with_structured_output(Plan).invoke(
            question([drawn(seed)], "Plan it."), max_new_tokens=1500, temperature=1.0, seed=seed
        )
        assert isinstance(plan, Plan)


def test_the_same_seed_draws_the_same_answer(openvino: ChatOpenVINO) -> None:
    asked = question([drawn(3)], "Describe the picture.")
    said = [openvino.invoke(asked, temperature=2.0, seed=seed).text for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


def test_after_a_cancelled_answer_the_next_one_is_whole(
    openvino: ChatOpenVINO, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question([drawn(5)], "Describe the picture.")
    whole = openvino.invoke(asked).text
    cancel, engine = threading.Event(), openvino.loaded.engine
    write, steps = engine.write, []

    def cancelled_at_the_third(*given: Any) -> Any:
        with closing(write(*given)) as tokens:
            for token in tokens:
                steps.append(token)
                if len(steps) == 3:
                    cancel.set()
                yield token

    monkeypatch.setattr(engine, "write", cancelled_at_the_third)
    with pytest.raises(Cancelled):
        openvino.invoke(asked, cancel=cancel)
    assert len(steps) == 3
    monkeypatch.undo()
    assert openvino.invoke(asked).text == whole


def test_an_engine_that_gave_up_answers_the_next_question(openvino: ChatOpenVINO) -> None:
    engine, asked = openvino.loaded.engine, question([drawn(5)], "How many shapes are there?")
    whole = openvino.invoke(asked).text
    options = engines.WritingOptions(4, frozenset({END}), grammar='root ::= "a" {1,')
    with pytest.raises(EngineBroken, match="ask again"):
        list(engine.write("What?", [], options))
    assert openvino.invoke(asked).text == whole


def test_a_prompt_beyond_the_memory_is_refused(openvino: ChatOpenVINO) -> None:
    engine = engines.Pipeline(openvino.loaded.ir, "CPU", 0)
    engine.capacity = 10**6
    chat = ChatOpenVINO(loaded=replace(openvino.loaded, engine=engine, ir=replace(openvino.loaded.ir)))
    with pytest.raises(PromptTooLong):
        chat.invoke(question([], "red square " * 3000))
    chat.close()


def test_the_tower_gives_the_same_with_its_memory_and_without(ir: IR) -> None:
    import openvino as ov

    core, exact = ov.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    path = (
        Path(os.environ["LORGNETTE_TEST_TOWER"]) if "LORGNETTE_TEST_TOWER" in os.environ else ir.folder / f"{TOWER}.xml"
    )
    model = core.read_model(path)
    if not model.get_sinks():
        model = remembering(model)
    tower = core.compile_model(model, "CPU", exact)
    first, second = tower.create_infer_request(), tower.create_infer_request()
    rng = np.random.default_rng(0)
    for patches in (16, 64, 64, 16):
        given = {
            "hidden_states": rng.normal(size=(patches, 128)).astype(np.float32),
            "attention_mask": np.zeros((1, patches, patches), np.float32),
            "rotary_pos_emb": rng.normal(size=(patches, 16)).astype(np.float32),
        }
        anew = [value.copy() for value in first.infer(given).values()]
        again = [value.copy() for value in first.infer(given).values()]
        other = [value.copy() for value in second.infer(given).values()]
        for a, b, c in zip(anew, again, other, strict=True):
            np.testing.assert_array_equal(a, b)
            np.testing.assert_allclose(a, c, atol=1e-5)


def test_a_question_goes_through_the_whole_agent(ir: IR, tmp_path: Path) -> None:
    drawn(8).image.save(tmp_path / "drawn.png")
    settings = AgentSettings(model=f"openvino:{ir.folder}", roots=(tmp_path,), sessions="none")
    agent = Agent(*open_chat(settings), settings)
    answer = agent.ask("How many shapes are there?", ["drawn.png"], time_budget_s=3000)
    local = AgentSettings(model="tiny", roots=(tmp_path,), sessions="none")
    expected = Agent(*open_chat(local), local).ask("How many shapes are there?", ["drawn.png"], time_budget_s=3000)
    assert (answer.answer, answer.plan, answer.review) == (expected.answer, expected.plan, expected.review)
    assert answer.usage.cached_tokens > 0
