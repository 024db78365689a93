"""Pictures that nobody on this project made: each opens as RGB in its own size, and can be asked about."""

from pathlib import Path

import pytest
from PIL import Image

from graph.agent import Agent
from graph.settings import AgentSettings
from model.open import ModelIdentity
from model.pictures.open import open_picture
from model.qwen3_vl.chat import ChatQwen3VL

FOLDER = Path(__file__).parent.parent / "data" / "pictures"
SIZES = {"clevr.png": (320, 240), "coins.png": (384, 303), "chelsea.png": (451, 300), "rocket.jpg": (640, 427)}
MODES = {"clevr.png": "RGBA", "coins.png": "L", "chelsea.png": "RGB", "rocket.jpg": "RGB"}


def test_every_picture_of_the_folder_is_tried() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.suffix != ".LICENSE"} == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_real_picture_opens_as_rgb_in_its_own_size(name: str) -> None:
    picture = open_picture(name, [FOLDER])
    assert picture.image.mode == "RGB"
    assert (picture.width, picture.height) == SIZES[name]


@pytest.mark.parametrize("name", SIZES)
def test_a_real_picture_keeps_its_brightness(name: str) -> None:
    """It is not inverted, not black where it was transparent, and not cut off at a bit depth."""
    with Image.open(FOLDER / name) as stored:
        assert stored.mode == MODES[name]
        expected = stored.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    found = open_picture(name, [FOLDER]).image.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert found == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("name", SIZES)
def test_a_real_picture_can_be_asked_about(name: str, chat: ChatQwen3VL) -> None:
    agent = Agent(chat, ModelIdentity("tiny", None, "none"), AgentSettings(roots=(FOLDER,), effort="quick"))
    answer = agent.ask("How many objects are there?", [name], max_new_tokens=8)
    assert answer.answer
    assert answer.usage.prefill_tokens > 32  # the picture, not the question alone
