"""What models send for a tool's arguments is read as it is meant."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from PIL import Image

from graph.answer import Answer
from lorgnette.settings import Settings
from mcp_server.app import build_server
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio


def opens(agent: Any) -> Callable[..., Any]:
    return lambda _settings, _progress: agent


MEANT: list[tuple[Any, dict[str, Any]]] = [
    ({"images": "a.png"}, {"images": ("a.png",)}),
    ({"images": '["a.png", "a.png"]'}, {"images": ("a.png", "a.png")}),
    ({"images": "[odd].png"}, {"images": ("[odd].png",)}),
    ({"images": None}, {"images": ()}),
    ({"images": ""}, {"images": ()}),
    ({"images": ["a.png"]}, {"images": ("a.png",)}),
    ({"effort": "Quick"}, {"effort": "quick"}),
    ({"effort": " THOROUGH "}, {"effort": "thorough"}),
    ({"effort": ""}, {"effort": None}),
    ({"effort": None}, {"effort": None}),
    ({"session_id": ""}, {"session_id": None}),
    ({"max_new_tokens": ""}, {"max_new_tokens": None}),
    ({"max_new_tokens": "64"}, {"max_new_tokens": 64}),
    ({"use_knowledge": "false"}, {"use_knowledge": False}),
    ({"use_knowledge": None}, {"use_knowledge": True}),
    ({"use_knowledge": ""}, {"use_knowledge": True}),
]


@pytest.mark.parametrize(("sent", "meant"), MEANT, ids=str)
async def test_an_argument_means_what_a_model_means_by_it(
    sent: dict[str, Any], meant: dict[str, Any], tmp_path: Path, fake_agent: Callable[..., Any], answer: Answer
) -> None:
    for name in ("a.png", "[odd].png"):
        Image.new("RGB", (64, 64)).save(tmp_path / name)
    agent = fake_agent(answer)
    settings = Settings(roots=(tmp_path,))
    async with Client(build_server(settings, opens(agent))) as client:
        result = await client.call_tool("ask_image", {"question": "Which?", **sent})
    assert not result.is_error, text_of(result)
    assert {name: getattr(agent.asked[0], name) for name in meant} == meant


async def test_more_hits_than_there_may_be_are_cut_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "kb").mkdir()
    settings = Settings(roots=(tmp_path,), kb=tmp_path / "kb")
    async with Client(build_server(settings, opens(None))) as client:
        result = await client.call_tool("search_kb", {"query": "cat", "top_k": 100, "context": 9})
    assert "top_k: cut to 20, which is the most" in text_of(result)
    assert "context: cut to 3, which is the most" in text_of(result)


@pytest.mark.parametrize("wrong", ["sometimes", 5, ["quick"]])
async def test_what_means_nothing_is_refused_with_what_to_send(tmp_path: Path, wrong: object) -> None:
    async with Client(build_server(Settings(roots=(tmp_path,)), opens(None))) as client:
        result = await client.call_tool("ask_image", {"question": "Which?", "effort": wrong})
    assert result.is_error
    assert "effort: input should be 'quick', 'normal' or 'thorough'" in text_of(result)
