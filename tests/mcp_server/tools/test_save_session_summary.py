"""save_session_summary over the in-memory client: a report on disk, its path in both channels."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from mcp import Client
from PIL import Image

from graph.agent import Agent
from lorgnette.archive import open_archive
from lorgnette.settings import Settings
from mcp_server.app import build_server
from model.open import ModelIdentity
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio


def never(*_: Any) -> NoReturn:
    raise ValueError("this test has no vision model")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(roots=(tmp_path,), kb=tmp_path / "none", effort="quick")
    Image.new("RGB", (40, 40), "grey").save(tmp_path / "grey.png")
    archive = open_archive(settings)
    assert archive is not None
    chat = GenericFakeChatModel(messages=iter([AIMessage("one")]))
    Agent(chat, ModelIdentity("fake", None, "none"), settings, None, archive).ask(
        "How many?", ["grey.png"], session_id="mine"
    )
    archive.sessions.close()
    return settings


async def test_a_conversation_is_saved_and_its_path_is_in_both_channels(settings: Settings, tmp_path: Path) -> None:
    async with Client(build_server(settings, never)) as client:
        result = await client.call_tool("save_session_summary", {"session_id": "mine", "title": "Grey things"})
    saved = result.structured_content
    assert saved is not None
    assert (saved["turns"], saved["uri"]) == (1, "session://mine/report")
    path = Path(saved["path"])
    assert path.parent == tmp_path / "home" / "reports"
    assert path.read_text("utf-8").startswith("# Grey things\n")
    assert text_of(result) == f"Saved 1 question in {path}\nsession://mine/report"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [({"session_id": "never"}, "session list"), ({"session_id": "../x"}, "session_id"), ({}, "session_id")],
)
async def test_what_cannot_be_saved_is_said(settings: Settings, arguments: dict[str, str], told: str) -> None:
    async with Client(build_server(settings, never)) as client:
        result = await client.call_tool("save_session_summary", arguments)
    assert result.is_error
    assert told in text_of(result)


async def test_sessions_that_are_switched_off_say_how_to_switch_them_on(settings: Settings) -> None:
    off = settings.model_copy(update={"sessions": "none"})
    async with Client(build_server(off, never)) as client:
        result = await client.call_tool("save_session_summary", {"session_id": "mine"})
    assert result.is_error
    assert "set sessions to auto" in text_of(result)
