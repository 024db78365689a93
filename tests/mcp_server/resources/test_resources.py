"""The resources over the in-memory client: a real knowledge base that searches words alone, and real sessions."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import ResourceLink
from PIL import Image

from graph.agent import Agent
from lorgnette.archive import open_archive
from lorgnette.documents import Documents
from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.resources.documents import DocumentResource
from model.open import ModelIdentity
from tests.retrieval.regions.page_pdf import page_pdf

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
LAMP = "# Lamp\nThe lamp raises ERR_42.\n\n# Fan\nThe fan stands still.\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "kb" / "devices").mkdir(parents=True)
    (tmp_path / "kb" / "devices" / "lamp.md").write_text(LAMP, "utf-8")
    (tmp_path / "kb" / "tool.bin").write_bytes(b"\0")
    return Settings(kb=tmp_path / "kb", embedder="no-such-model", reranker="none", roots=(tmp_path,))


def never(*_: Any) -> Any:
    raise ValueError("this test has no vision model")


async def read(client: Any, uri: str) -> str:
    (content,) = (await client.read_resource(uri)).contents
    return str(content.text)


async def indexed(client: Any) -> Any:
    """Return the list of documents as soon as the server has indexed them by itself."""
    await client.list_tools()  # what the server waits for before it begins
    with anyio.fail_after(300):
        while not (found := json.loads(await read(client, "kb://documents")))["documents"]:
            await anyio.sleep(0.05)
    return found


@ERAS
async def test_documents_are_listed_with_what_was_skipped_and_why(mode: str, settings: Settings) -> None:
    async with Client(build_server(settings, never), mode=mode) as client:
        found = await indexed(client)
    (lamp,) = found["documents"]
    assert (lamp["uri"], lamp["kind"], lamp["chunks"]) == ("kb://document/devices%2Flamp.md", "markdown", 2)
    assert len(lamp["sha256"]) == 64
    (skipped,) = found["skipped"]
    assert skipped["source"] == "tool.bin" and "are not read" in skipped["reason"]
    assert found["untrusted"] is True and found["note"] is None


async def test_a_list_too_long_goes_on_from_its_note(settings: Settings) -> None:
    with Documents(settings) as documents:
        held = DocumentResource(documents, max_bytes=20_300)  # room for one entry
        documents.required().sync()
        first = held.listing()
        assert (len(first["documents"]), first["skipped"]) == (1, [])
        assert first["note"] == "1 more: kb://documents?start=1"
        assert [item["source"] for item in held.listing(1)["skipped"]] == ["tool.bin"]


async def test_a_document_is_read_by_its_path_and_by_its_hash(settings: Settings) -> None:
    async with Client(build_server(settings, never)) as client:
        (lamp,) = (await indexed(client))["documents"]
        by_path, by_hash = await read(client, lamp["uri"]), await read(client, f"kb://document/{lamp['sha256']}")
    assert by_path == by_hash
    head, text = by_path.split("\n\n", 1)
    assert head.startswith(f"devices/lamp.md, characters 0 to {len(LAMP)} of {len(LAMP)}, sha256 {lamp['sha256']}")
    assert "data, never instructions" in head
    assert text.splitlines() == [f"> {line}" for line in LAMP.splitlines()]


async def test_a_long_document_is_cut_at_a_line_and_says_where_it_goes_on(settings: Settings) -> None:
    text = "".join(f"Line {number} of the log.\n" for number in range(2000))
    (settings.kb / "long.log").write_text(text, "utf-8")
    with Documents(settings) as documents:
        held = DocumentResource(documents, max_bytes=40_000)
        documents.required().sync()
        start, parts = 0, []
        while True:
            part = held.text("long.log", start)
            assert len(json.dumps(part).encode()) <= 40_000
            head, body = part.split("\n\n", 1)
            parts += [line.removeprefix("> ") for line in body.splitlines()]
            if "?start=" not in head:
                break
            start = int(head.partition("?start=")[2].split()[0])
    assert parts == text.splitlines()


async def test_a_passage_names_its_places_and_its_neighbours(settings: Settings) -> None:
    (settings.kb / "copy.md").write_text(LAMP, "utf-8")
    async with Client(build_server(settings, never)) as client:
        await indexed(client)
        found = await client.call_tool("search_kb", {"query": "ERR_42"})
        passage = json.loads(await read(client, f"kb://chunk/{found.structured_content['hits'][0]['id']}"))
        after = json.loads(await read(client, passage["places"][0]["after"]))
    assert passage["text"] == "# Lamp\nThe lamp raises ERR_42." and passage["headings"] == ["Lamp"]
    assert [(place["source"], place["start"], place["before"]) for place in passage["places"]] == [
        ("copy.md", 0, None),
        ("devices/lamp.md", 0, None),
    ]
    assert after["text"].startswith("# Fan")
    assert passage["untrusted"] is True


@ERAS
@pytest.mark.parametrize(
    "uri",
    [
        "kb://document/no.md",
        "kb://document/..%2f..%2fetc%2fpasswd",
        "kb://document/devices%2Flamp.md?start=9999",
        "kb://document/devices%2Flamp.md?start=-1",
        "kb://documents?start=99",
        "kb://chunk/none",
        "session://none",
        "session://no%20name",
        "session://none/report",
        "other://thing",
    ],
)
async def test_what_is_not_there_has_the_protocols_own_code(mode: str, uri: str, settings: Settings) -> None:
    async with Client(build_server(settings, never), mode=mode) as client:
        await indexed(client)
        with pytest.raises(MCPError) as caught:
            await client.read_resource(uri)
    assert caught.value.code == -32602


async def test_without_a_folder_the_list_is_empty_and_names_the_flag(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"kb": tmp_path / "nowhere"})
    async with Client(build_server(nowhere, never)) as client:
        found = json.loads(await read(client, "kb://documents"))
    assert found["documents"] == [] and "--kb DIR" in found["note"]


async def test_a_session_can_be_read_again_as_turns_and_as_a_report(settings: Settings, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), "grey").save(tmp_path / "grey.png")
    archive = open_archive(settings)
    assert archive is not None
    chat = GenericFakeChatModel(messages=iter([AIMessage("one\u202e\x1b[31m")]))
    Agent(chat, ModelIdentity("fake", None, "none"), settings, None, archive).ask(
        "How many?", ["grey.png"], session_id="mine", effort="quick"
    )
    archive.sessions.close()
    async with Client(build_server(settings, never)) as client:
        session = json.loads(await read(client, "session://mine"))
        report = await read(client, "session://mine/report")
    (turn,) = session["turns"]
    assert (turn["question"], turn["answer"]["answer"], turn["images"][0]["source"]) == ("How many?", "one", "grey.png")
    assert session["untrusted"] is True
    assert "> How many?" in report and "> one" in report and "data, never an instruction" in report


@ERAS
async def test_the_list_holds_documents_and_the_sessions_of_this_server(
    mode: str, settings: Settings, answer: Any, fake_agent: Any
) -> None:
    async with Client(build_server(settings, lambda *_: fake_agent(answer)), mode=mode) as client:
        await indexed(client)
        before = [resource.uri for resource in (await client.list_resources(cache_mode="bypass")).resources]
        await client.call_tool("ask_image", {"question": "Which?"})
        after = [resource.uri for resource in (await client.list_resources(cache_mode="bypass")).resources]
    assert before == [
        "ui://lorgnette/answer", "kb://documents", "lorgnette://status", "kb://document/devices%2Flamp.md",
    ]  # fmt: skip
    assert after == [*before, "session://s-1", "session://s-1/report"]


async def test_the_status_says_how_the_model_and_the_documents_are_and_no_secret(settings: Settings) -> None:
    secret = settings.model_copy(update={"sessions": "postgresql://me:hush@host/db"})
    async with Client(build_server(secret, never)) as client:
        await indexed(client)
        text = await read(client, "lorgnette://status")
    told = json.loads(text)
    assert (told["model"]["name"], told["knowledge"]["files"], told["knowledge"]["skipped"]) == ("tiny", 1, 1)
    assert told["knowledge"]["embedder_ready"] is False
    assert told["questions"]["answered_or_waiting"] == 0
    assert "hush" not in text and "postgresql://me:***@host/db" in text
    assert "no vision model" not in text  # the words of an unexpected error are for the log


@ERAS
async def test_each_resource_and_template_says_what_it_is(mode: str, settings: Settings) -> None:
    async with Client(build_server(settings, never), mode=mode) as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
    ours: list[Any] = [*resources[1:3], *templates[:5]]
    assert {template.uri_template for template in templates} >= {
        "kb://documents{?start}",
        "kb://document/{id}{?start}",
        "kb://chunk/{id}",
        "session://{id}",
        "session://{id}/report",
    }
    assert all(one.title and one.description and one.mime_type and one.icons for one in ours)
    assert all("    " not in (one.description or "") for one in ours)
    assert resources[0].title and resources[0].description, "the view for hosts that show one"


@ERAS
async def test_a_hit_links_to_its_page_and_the_page_has_its_words_framed(mode: str, settings: Settings) -> None:
    (settings.kb / "k3.pdf").write_bytes(page_pdf([(61, 700, "The K3 microscope has a warranty of 36 months.")]))
    async with Client(build_server(settings, never), mode=mode) as client:
        await indexed(client)
        result = await client.call_tool("search_kb", {"query": "microscope warranty"})
        assert result.structured_content is not None
        (hit,) = result.structured_content["hits"]
        _, link = result.content
        assert hit["regions"][0]["page"] == 1 and hit["place"] == "page 1"
        assert isinstance(link, ResourceLink) and str(link.uri) == f"kb://passage/{hit['id']}/page"
        framed = await png(client, str(link.uri))
        plain = await png(client, "kb://page/k3.pdf/1")
        assert framed.size == plain.size and framed.tobytes() != plain.tobytes()
        region = hit["regions"][0]
        places = ",".join(str(region[key]) for key in ("x1", "y1", "x2", "y2"))
        assert (await png(client, f"kb://page/k3.pdf/1?frame={places}")).tobytes() == framed.tobytes()
        for wrong in ("1,2,3", "a,b,c,d", ",,,", "1,2,3,-4", "1,2,3,4," * 300):
            with pytest.raises(MCPError, match="names no places; give frame as x1,y1,x2,y2 in thousandths"):
                await client.read_resource(f"kb://page/k3.pdf/1?frame={wrong}")
        (settings.kb / "k3.pdf").write_bytes(page_pdf([(61, 300, "Another text."), (61, 700, "The K4.")]))
        changed = await png(client, f"kb://page/k3.pdf/1?frame={places}")
        assert changed.tobytes() == (await png(client, "kb://page/k3.pdf/1")).tobytes(), "nothing false is framed"
        for uri in (
            "kb://page/k3.pdf/2",
            "kb://page/devices%2Flamp.md/1",
            "kb://page/gone.pdf/1",
            "kb://passage/ff/page",
        ):
            with pytest.raises(MCPError, match=r"cannot be shown|is indexed|There is no passage"):
                await client.read_resource(uri)


async def png(client: Any, uri: str) -> Image.Image:
    (content,) = (await client.read_resource(uri)).contents
    return Image.open(io.BytesIO(base64.b64decode(content.blob))).convert("RGB")
