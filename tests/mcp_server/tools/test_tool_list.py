"""What the list of tools costs every conversation, and the icons that make it recognisable."""

import base64
import io
import json
from typing import Any

import pytest
from mcp import Client
from PIL import Image

from lorgnette.settings import Settings
from mcp_server.app import build_server

pytestmark = pytest.mark.anyio

READ_BY_MODELS = ("name", "description", "inputSchema", "annotations")


def never(*_: Any) -> Any:
    raise ValueError("this test has no vision model")


def tokens(value: object) -> float:
    """About how many: a quarter of the characters of its JSON."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) / 4


async def test_the_three_tools_cost_a_model_at_most_a_thousand_tokens(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        tools = [
            tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in (await client.list_tools()).tools
        ]
    assert {tool["name"] for tool in tools} == {"ask_image", "search_kb", "save_session_summary"}
    assert sum(tokens({key: tool[key] for key in READ_BY_MODELS}) for tool in tools) <= 1000
    assert tokens(tools) <= 3800  # with output schemas, titles and icons, which clients keep for themselves


async def test_schemas_carry_no_titles_but_an_argument_may_be_called_so(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert '"title": "' not in json.dumps([[tool.input_schema, tool.output_schema] for tool in tools.values()])
    assert "title" in tools["save_session_summary"].input_schema["properties"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_server_and_its_tools_have_an_icon_that_can_be_drawn(mode: str, settings: Settings) -> None:
    async with Client(build_server(settings, never), mode=mode) as client:
        tools = (await client.list_tools()).tools
        server = client.server_info
    assert server is not None
    for icons in (server.icons, *(tool.icons for tool in tools)):
        (icon,) = icons or []
        head, _, data = icon.src.partition(",")
        assert (head, icon.mime_type, icon.sizes) == ("data:image/png;base64", "image/png", ["32x32"])
        drawn = Image.open(io.BytesIO(base64.b64decode(data, validate=True))).convert("RGBA")
        assert drawn.size == (32, 32) and 0 < sum(pixel > 0 for pixel in drawn.getchannel("A").tobytes()) < 1024
        assert len(icon.src) < 320
