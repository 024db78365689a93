"""search_kb over the in-memory client: a real knowledge base that searches words alone."""

import json
from pathlib import Path
from typing import Any, NoReturn

import anyio
import pytest
from mcp import Client

from lorgnette.settings import Settings
from mcp_server.app import build_server
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb" / "lamp.md").write_text("# Lamp\nThe lamp raises ERR_42 when the fan stands still.\n", "utf-8")
    return Settings(kb=tmp_path / "kb", embedder="no-such-model", reranker="none", roots=(tmp_path,))


def never(*_: Any) -> NoReturn:
    raise ValueError("this test has no vision model")


async def found(client: Any, **arguments: Any) -> Any:
    """Search until the server has seen the file by itself, which is what it promises; a weak hit is another file's."""
    with anyio.fail_after(300):
        while True:
            result = await client.call_tool("search_kb", arguments)
            if result.is_error or any(hit["match"] == "relevant" for hit in result.structured_content["hits"]):
                return result
            await anyio.sleep(0.05)


async def test_documents_are_indexed_by_the_server_itself_and_cited(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        result = await found(client, query="What is ERR_42?")
    (hit,) = result.structured_content["hits"]
    assert (hit["source"], hit["page"], hit["stale"]) == ("lamp.md", None, False)
    assert hit["text"] == (settings.kb / "lamp.md").read_text("utf-8")[hit["start"] : hit["end"]]
    assert "lamp.md, characters 0 to" in text_of(result) and "ERR_42" in text_of(result)
    assert result.structured_content["mode"] == "lexical"
    assert "only words were searched" in json.dumps(result.structured_content["degraded"])


async def test_the_passages_around_a_hit_are_given_where_they_are_asked_for(settings: Settings) -> None:
    sections = [f"# {name}\nThe {name} stone is {name}.\n" for name in ("amber", "beryl", "coral")]
    (settings.kb / "stones.md").write_text("\n".join(sections), "utf-8")
    async with Client(build_server(settings, never)) as client:
        result = await found(client, query="Which stone is beryl?", top_k=1, context=1)
    (hit,) = result.structured_content["hits"]
    assert ("amber" in hit["before"][0], "coral" in hit["after"][0]) == (True, True)
    assert "Before:\n> " in text_of(result)


async def test_a_new_file_is_found_without_a_word_from_the_user(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        await found(client, query="What is ERR_42?")
        (settings.kb / "new.txt").write_text("The grey wheel is blocked, says ERR_77.", "utf-8")
        result = await found(client, query="ERR_77")
    hits = result.structured_content["hits"]
    assert (hits[0]["source"], hits[0]["match"]) == ("new.txt", "relevant")
    assert {hit["match"] for hit in hits[1:]} <= {"weak"}, "another error's number is no answer"


async def test_a_missing_folder_is_an_error_that_names_the_flag(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"kb": tmp_path / "nowhere"})
    async with Client(build_server(nowhere, never)) as client:
        result = await client.call_tool("search_kb", {"query": "ERR_42"})
    assert result.is_error and "--kb DIR" in text_of(result)


async def test_the_first_search_of_a_server_finds_what_the_documents_hold(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        await client.list_tools()
        result = await client.call_tool("search_kb", {"query": "What is ERR_42?"})
    assert [hit["source"] for hit in result.structured_content["hits"]] == ["lamp.md"]


async def test_nothing_is_called_irrelevant_while_the_documents_are_still_being_read(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_server.tools.search_kb.FIRST_SYNC_S", 0.0)
    monkeypatch.setattr("mcp_server.state.kb_watcher.KnowledgeBaseWatcher._run", lambda self: None)
    async with Client(build_server(settings, never)) as client:
        result = await client.call_tool("search_kb", {"query": "What is ERR_42?"})
    assert "Nothing was found yet: ask again in a moment." in text_of(result)
    assert "still being read for the first time" in json.dumps(result.structured_content["degraded"])


@pytest.mark.parametrize("source", ["LAMP.md", "{kb}/lamp.md", "kb://document/lamp.md", "*.md"])
async def test_a_source_in_any_form_means_its_file(settings: Settings, source: str) -> None:
    async with Client(build_server(settings, never)) as client:
        await client.list_tools()
        result = await client.call_tool("search_kb", {"query": "ERR_42", "source": source.format(kb=settings.kb)})
    assert [hit["source"] for hit in result.structured_content["hits"]] == ["lamp.md"]


async def test_a_source_that_is_no_document_is_an_error_that_names_what_is_near(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        await client.list_tools()
        result = await client.call_tool("search_kb", {"query": "ERR_42", "source": "lmap.md"})
    assert result.is_error
    assert "did you mean 'lamp.md'?" in text_of(result)


async def test_a_result_beyond_what_clients_take_loses_its_neighbours_first(settings: Settings) -> None:
    words = " ".join(f"lamp{number}" for number in range(400))
    sections = [f"# Part {number}\nThe lamp ERR_42 again. {words}\n" for number in range(60)]
    (settings.kb / "long.md").write_text("\n".join(sections), "utf-8")
    async with Client(build_server(settings, never)) as client:
        await client.list_tools()
        result = await client.call_tool("search_kb", {"query": "lamp ERR_42", "top_k": 20, "context": 3})
    hits = result.structured_content["hits"]
    assert hits and all(not hit["before"] and not hit["after"] for hit in hits)
    assert "context: left out, the result would be too long" in result.structured_content["degraded"]
    assert len(text_of(result)) < 100_000


async def test_a_picture_inside_the_roots_is_searched_for_by_its_words(settings: Settings, tmp_path: Path) -> None:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (500, 160), "white")
    ImageDraw.Draw(image).text((30, 50), "ERR_42", fill="black", font=ImageFont.load_default(48))
    image.save(tmp_path / "display.png")
    async with Client(build_server(settings, never)) as client:
        result = await found(client, query="What does the display say?", image="display.png")
        refused = await client.call_tool("search_kb", {"query": "x", "image": "/etc/hosts"})
    assert result.structured_content["hits"][0]["source"] == "lamp.md"
    assert any(note.startswith("image: ") for note in result.structured_content["degraded"])
    assert refused.is_error
