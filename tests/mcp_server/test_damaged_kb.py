"""search_kb where the catalogue cannot be read: the client is told what to run."""

from pathlib import Path
from typing import Any, NoReturn

import pytest
from mcp import Client

from common.home import data_home
from lorgnette.settings import Settings
from mcp_server.app import build_server
from retrieval.knowledge_base import catalogue_path
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio


def never(*_: Any) -> NoReturn:
    raise ValueError("this test has no vision model")


@pytest.mark.parametrize("content", [b"", b"not a database, " * 500])
async def test_a_damaged_catalogue_is_a_tool_error_that_names_the_doctor(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    (tmp_path / "kb").mkdir()
    settings = Settings(kb=tmp_path / "kb", embedder="no-such-model", reranker="none", roots=(tmp_path,))
    path = catalogue_path(settings, data_home())
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    async with Client(build_server(settings, never)) as client:
        result = await client.call_tool("search_kb", {"query": "ERR_42"})
    assert result.is_error and "run `lorgnette kb doctor`" in text_of(result)
    assert path.read_bytes() == content
