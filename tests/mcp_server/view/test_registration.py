"""What clients are told of the view, in both eras of the protocol."""

from typing import Any

import pytest
from mcp import Client
from mcp.client.extension import advertise
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.view.register import URI, answer_html

pytestmark = pytest.mark.anyio


def never(*_: Any) -> Any:
    raise ValueError("this test has no vision model")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_tools_name_the_view_and_it_is_read_as_an_app(mode: str, settings: Settings) -> None:
    shows = [advertise(EXTENSION_ID, {"mimeTypes": [APP_MIME_TYPE]})]
    async with Client(build_server(settings, never), mode=mode, extensions=shows) as client:
        tools = {tool.name: tool.model_dump(by_alias=True)["_meta"] for tool in (await client.list_tools()).tools}
        (content,) = (await client.read_resource(URI)).contents
    assert tools["ask_image"] == tools["search_kb"] == {"ui": {"resourceUri": URI}, "ui/resourceUri": URI}
    assert tools["save_session_summary"] is None
    assert content.mime_type == APP_MIME_TYPE
    assert content.model_dump()["text"] == answer_html()
