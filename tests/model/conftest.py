"""The bundled checkpoint, loaded once, and a picture with one red square."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from model.chat import ChatQwen3VL
from model.images import Picture, open_picture
from model.load import Loaded, load
from model.settings import ModelSettings


@pytest.fixture(scope="session")
def loaded() -> Loaded:
    return load(ModelSettings(model="tiny"))


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Picture:
    folder = tmp_path_factory.mktemp("pictures")
    return open_picture(str(draw(folder / "square.png")), (folder,))


@pytest.fixture
def chat(loaded: Loaded) -> Iterator[ChatQwen3VL]:
    model = ChatQwen3VL(loaded=loaded, max_new_tokens=12)
    yield model
    model.close()


def draw(path: Path) -> Path:
    image = Image.new("RGB", (120, 100), "white")
    ImageDraw.Draw(image).rectangle((20, 30, 60, 70), fill="red")
    image.save(path)
    return path
