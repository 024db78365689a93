"""What the server refuses, and the words in which it says so."""

import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import TextContent

from graph.answer import Answer
from lorgnette.settings import Settings
from mcp_server.app import build_server
from mcp_server.tools.selection import NoToolLeft, UnknownTool
from tests.mcp_server.conftest import text_of

pytestmark = pytest.mark.anyio

ERAS = pytest.mark.parametrize("mode", ["auto", "legacy"])
ALL_TOOLS = ["ask_image", "search_kb", "save_session_summary"]


def opens(agent: Any) -> Callable[..., Any]:
    return lambda _settings, _progress: agent


async def names(settings: Settings) -> list[str]:
    async with Client(build_server(settings, opens(None))) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


@ERAS
async def test_an_unknown_prompt_is_a_protocol_error_that_names_the_known_ones(mode: str, settings: Settings) -> None:
    async with Client(build_server(settings, opens(None)), mode=mode) as client:
        with pytest.raises(MCPError, match="Unknown prompt: 'dance'; known: ") as caught:
            await client.get_prompt("dance")
    assert caught.value.code == -32602


async def test_a_prompt_that_lacks_an_argument_or_has_a_foreign_one_is_refused(settings: Settings) -> None:
    server = build_server(settings, opens(None))

    @server.prompt()
    def greet(name: str, mood: str = "kind") -> str:
        return f"Greet {name}, be {mood}."

    async with Client(server) as client:
        with pytest.raises(MCPError, match="The prompt greet lacks name; has no argument 'nam'; it takes name, mood"):
            await client.get_prompt("greet", {"nam": "Ada"})
        (said,) = (await client.get_prompt("greet", {"name": "Ada"})).messages
    assert isinstance(said.content, TextContent) and "Greet Ada" in said.content.text


@ERAS
@pytest.mark.parametrize("uri", ["lorgnette://nothing", "nothing://at/all", "file:///etc/passwd"])
async def test_an_unknown_resource_is_a_protocol_error(mode: str, uri: str, settings: Settings) -> None:
    async with Client(build_server(settings, opens(None)), mode=mode) as client:
        with pytest.raises(MCPError, match="Unknown resource") as caught:
            await client.read_resource(uri)
    assert caught.value.code == -32602


@pytest.mark.parametrize("method", ["list_resources", "list_resource_templates", "list_prompts"])
async def test_no_list_takes_a_cursor_that_was_never_given(method: str, settings: Settings) -> None:
    async with Client(build_server(settings, opens(None))) as client:
        with pytest.raises(MCPError, match="Invalid cursor") as caught:
            await getattr(client, method)(cursor="page-2")
    assert caught.value.code == -32602


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"question": 7}, "ask_image cannot be called like this: question: input should be a valid string. "),
        ({}, "ask_image cannot be called like this: question: field required. "),
        ({"question": "q", "images": 7}, "images: input should be a valid list. "),
        ({"question": "q", "images": ["a.png", 7]}, "images[1]: input should be a valid string. "),
        ({"question": "q", "max_new_tokens": "many"}, "max_new_tokens: input should be a valid integer"),
        ({"question": None, "images": 1, "effort": 2, "use_knowledge": "x"}, "; and 1 more. "),
    ],
)
async def test_an_argument_of_the_wrong_type_is_named_and_its_value_is_not_repeated(
    arguments: dict[str, Any], said: str, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer)
    async with Client(build_server(settings, opens(agent))) as client:
        result = await client.call_tool("ask_image", arguments)
    assert result.is_error
    assert said in text_of(result)
    assert text_of(result).endswith("Correct that and call again.")
    assert "many" not in text_of(result) and "http" not in text_of(result)
    assert agent.asked == []


async def test_a_client_that_calls_too_often_is_told_how_long_to_wait(
    settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer)
    slow = settings.model_copy(update={"calls_per_minute": 2})
    async with Client(build_server(slow, opens(agent))) as client:
        results = [await client.call_tool("ask_image", {"question": "Which?"}) for _ in range(3)]
        assert (await client.list_tools()).tools
    assert [bool(result.is_error) for result in results] == [False, False, True]
    assert text_of(results[2]) == "Too many calls: 2 in a minute are allowed; wait 30 s and call again."
    assert len(agent.asked) == 2


async def test_a_question_beyond_the_queue_is_told_how_many_wait(
    settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer)
    agent.hold = threading.Event()
    narrow = settings.model_copy(update={"queue_size": 1})
    results = []

    async def ask() -> None:
        results.append(await client.call_tool("ask_image", {"question": "Which?"}))

    async with Client(build_server(narrow, opens(agent))) as client, anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(ask)
        while len(agent.asked) < 2:
            await anyio.sleep(0)
        busy = await client.call_tool("ask_image", {"question": "Which?"})
        agent.hold.set()
    assert busy.is_error
    assert text_of(busy).endswith("The model is busy and 1 question waits already; ask again in a moment.")
    assert [result.is_error for result in results] == [False, False]


async def test_a_question_that_was_cancelled_or_failed_frees_its_place(
    settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    agent = fake_agent(answer, wait_for_cancel=True)
    narrow = settings.model_copy(update={"queue_size": 1})
    async with Client(build_server(narrow, opens(agent))) as client:
        for _ in range(3):
            agent.started.clear()
            async with anyio.create_task_group() as group:
                group.start_soon(client.call_tool, "ask_image", {"question": "Which?"})
                assert await anyio.to_thread.run_sync(agent.started.wait, 300)
                group.cancel_scope.cancel()
        agent.wait_for_cancel, agent.error = False, ValueError("x")
        for _ in range(3):
            await client.call_tool("ask_image", {"question": "Which?"})
        agent.error = None
        result = await client.call_tool("ask_image", {"question": "Which?"})
    assert not result.is_error


async def test_only_the_tools_that_were_named_are_offered_and_no_other_can_be_called(settings: Settings) -> None:
    chosen = settings.model_copy(update={"tools": ("ask_image", "search_kb"), "exclude_tools": ("ask_image",)})
    assert await names(chosen) == ["search_kb"]
    async with Client(build_server(chosen, opens(None))) as client:
        with pytest.raises(MCPError, match="Unknown tool: 'ask_image'; known: search_kb"):
            await client.call_tool("ask_image", {"question": "Which?"})


async def test_read_only_wins_over_the_names(settings: Settings) -> None:
    assert await names(settings) == ALL_TOOLS
    reading = settings.model_copy(update={"read_only": True, "tools": tuple(ALL_TOOLS)})
    assert await names(reading) == ["ask_image", "search_kb"]


async def test_get_job_is_offered_where_jobs_are_on(settings: Settings) -> None:
    assert await names(settings.model_copy(update={"jobs": True, "read_only": True})) == [
        "ask_image",
        "search_kb",
        "get_job",
    ]


@pytest.mark.parametrize("setting", ["tools", "exclude_tools"])
async def test_a_tool_that_there_is_not_ends_the_start_and_the_known_ones_are_named(
    setting: str, settings: Settings
) -> None:
    with pytest.raises(UnknownTool, match=f"{setting} names the tool 'ask_picture', which there is not; known are "):
        build_server(settings.model_copy(update={setting: ("ask_picture",)}), opens(None))


async def test_a_server_without_tools_does_not_start(settings: Settings) -> None:
    with pytest.raises(NoToolLeft):
        build_server(settings.model_copy(update={"tools": ("save_session_summary",), "read_only": True}), opens(None))
