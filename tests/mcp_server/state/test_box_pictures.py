"""An answer's boxes as a picture that the client can open."""

import base64
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import BlobResourceContents, ResourceLink
from PIL import Image

from graph.answer import Answer, Box
from graph.question import Question
from graph.served_agent import ServedAgent
from lorgnette.answer_text import AskResult
from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.state.box_pictures import DrawnPictures
from model.pictures.open import open_picture
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio


class Sees(ServedAgent):
    """Opens the pictures as the real agent does; those of earlier questions are `earlier` many."""

    def __init__(self, answer: Answer, earlier: int = 0) -> None:
        self.answers_with, self.earlier = answer, earlier

    def answer(self, question: Question, *, on_pictures: Any = None, **_: Any) -> Answer:
        on_pictures([open_picture(image, (Path.cwd(),)) for image in question.images], self.earlier)
        return self.answers_with


def opens(agent: Any) -> Callable[..., Any]:
    return lambda _settings, _progress: agent


@pytest.fixture
def picture(tmp_path: Path) -> str:
    Image.new("RGB", (600, 400), "grey").save(tmp_path / "a.png")
    return "a.png"


def boxed(answer: Answer, *numbers: int) -> Answer:
    boxes = [Box(label="circle", image=number, x1=10, y1=20, x2=30, y2=40) for number in numbers]
    return answer.model_copy(update={"boxes": boxes})


async def test_boxes_are_offered_as_a_link_that_can_be_read_and_named_in_both_channels(
    settings: Settings, answer: Answer, picture: str, tmp_path: Path
) -> None:
    async with Client(build_server(settings, opens(Sees(boxed(answer, 0))))) as client:
        result = await client.call_tool("ask_image", {"question": "Where?", "images": [picture]})
        _, link = result.content
        assert isinstance(link, ResourceLink)
        read = (await client.read_resource(link.uri)).contents[0]
    assert [block.type for block in result.content] == ["text", "resource_link"]
    (drawn,) = AskResult.model_validate(result.structured_content).drawn
    assert (drawn.image, drawn.uri) == (0, link.uri)
    assert f"Picture 0 with its boxes: {drawn.uri} ({drawn.path})" in text_of(result).splitlines()
    assert (link.mime_type, read.mime_type) == ("image/png", "image/png")
    assert isinstance(read, BlobResourceContents)
    data = base64.b64decode(read.blob)
    assert Image.open(io.BytesIO(data)).size == (600, 400)
    assert Path(drawn.path).read_bytes() == data
    assert Path(drawn.path).parent == tmp_path / "home" / "pictures"


async def test_only_pictures_of_this_question_are_drawn(settings: Settings, answer: Answer, picture: str) -> None:
    async with Client(build_server(settings, opens(Sees(boxed(answer, 0, 2), earlier=2)))) as client:
        result = await client.call_tool("ask_image", {"question": "Where?", "images": [picture]})
    assert [one["image"] for one in result.structured_content["drawn"]] == [2]


async def test_each_picture_with_boxes_has_its_own_link(settings: Settings, answer: Answer, picture: str) -> None:
    Image.new("RGB", (500, 500), "red").save("b.png")
    Image.new("RGB", (500, 500), "blue").save("c.png")
    async with Client(build_server(settings, opens(Sees(boxed(answer, 0, 2))))) as client:
        arguments = {"question": "Where?", "images": [picture, "b.png", "c.png"]}
        result = await client.call_tool("ask_image", arguments)
    links = [block for block in result.content if isinstance(block, ResourceLink)]
    assert [link.name for link in links] == ["boxes-0.png", "boxes-2.png"]
    assert len({link.uri for link in links}) == 2


async def test_an_answer_without_boxes_has_no_link(settings: Settings, answer: Answer, picture: str) -> None:
    async with Client(build_server(settings, opens(Sees(boxed(answer))))) as client:
        result = await client.call_tool("ask_image", {"question": "How many?", "images": [picture]})
    assert [block.type for block in result.content] == ["text"]
    assert "drawn" not in result.structured_content
    assert not (Path.cwd() / "home" / "pictures").exists()


async def test_a_cache_that_cannot_be_written_costs_the_link_alone(
    settings: Settings, answer: Answer, picture: str, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "pictures").write_text("a file where the folder should be")
    async with Client(build_server(settings, opens(Sees(boxed(answer, 0))))) as client:
        result = await client.call_tool("ask_image", {"question": "Where?", "images": [picture]})
    assert not result.is_error
    assert len(result.content) == 1
    note = "boxes: no picture with them could be kept (File exists)"
    assert result.structured_content["degraded"] == [*answer.degraded, note]
    assert f"Degraded: {note}" in text_of(result)


@pytest.mark.parametrize("name", ["0" * 32, "..%2f..%2fsecret", "nothing", "0" * 31 + "G"])
async def test_a_picture_that_is_not_there_is_said_as_the_protocol_wants(settings: Settings, name: str) -> None:
    async with Client(build_server(settings, opens(None))) as client:
        with pytest.raises(MCPError) as caught:
            await client.read_resource(f"lorgnette://picture/{name}")
    assert caught.value.code == -32602


def test_the_oldest_drawings_make_room_for_new_ones(tmp_path: Path) -> None:
    pictures = DrawnPictures(tmp_path, max_bytes=250)
    names = []
    for age, letter in enumerate(b"abcd"):
        names.append(pictures.keep(bytes([letter]) * 100))
        os.utime(tmp_path / f"{names[-1]}.png", (1000 + age, 1000 + age))
    assert [pictures.read(name) is not None for name in names] == [False, False, True, True]


def test_what_a_killed_process_left_makes_room_too_and_the_newest_stays_whatever_its_size(tmp_path: Path) -> None:
    part = tmp_path / "x.part"
    part.write_bytes(b"x" * 100)
    os.utime(part, (1000, 1000))
    name = DrawnPictures(tmp_path, max_bytes=50).keep(b"y" * 100)
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.png"]


def test_a_drawing_that_failed_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        DrawnPictures(tmp_path).keep(b"png")
    assert list(tmp_path.iterdir()) == []
