"""The client of mcp 1.30, the last of the 1.x line, against a server of ours: run with that version's Python.

`python old_client.py URL` or `python old_client.py COMMAND ARGUMENT...`; exits with 0 when everything was right.
It knows nothing of the project: what it calls, it was offered.
"""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import PromptReference

WAIT = timedelta(seconds=120)
INVALID_PARAMS = -32602


def connect(arguments: list[str]) -> AbstractAsyncContextManager[Any]:
    if arguments[0].startswith("http"):
        return streamable_http_client(arguments[0])
    return stdio_client(StdioServerParameters(command=arguments[0], args=arguments[1:]))


async def talk(session: ClientSession) -> list[str]:
    """Use everything that is offered; return what was done."""
    greeting = await session.initialize()
    assert greeting.protocolVersion == "2025-11-25", greeting
    assert greeting.serverInfo.name == "lorgnette"
    await session.send_ping()
    return [
        f"{await use_tools(session)} calls",
        f"{await use_resources(session)} resources",
        f"{await use_prompts(session)} prompts",
    ]


async def use_tools(session: ClientSession) -> int:
    names = {tool.name for tool in (await session.list_tools()).tools}
    assert {"ask_image", "search_kb", "save_session_summary"} <= names, names
    seen: list[float] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)

    question = {"question": "How many objects are there?", "images": ["shapes.png"]}
    answer = await session.call_tool("ask_image", question, WAIT, on_progress)
    assert not answer.isError and answer.structuredContent, answer
    assert answer.structuredContent["answer"] and answer.content[0].type == "text"
    assert seen and seen == sorted(set(seen)), seen
    saved = await session.call_tool(
        "save_session_summary", {"session_id": answer.structuredContent["session_id"]}, WAIT
    )
    assert not saved.isError, saved
    found = await session.call_tool("search_kb", {"query": "calibration"}, WAIT)
    assert not found.isError and found.structuredContent, found
    refused = await session.call_tool("ask_image", {"question": "What is it?", "images": ["/etc/hostname"]}, WAIT)
    assert refused.isError and "allowed folders" in refused.content[0].text, refused  # type: ignore[union-attr]
    for name, arguments in (("no_such_tool", {}), ("", {})):
        try:
            await session.call_tool(name, arguments, WAIT)
        except McpError as error:
            assert error.error.code == INVALID_PARAMS, error.error
        else:
            raise AssertionError(f"{name!r} was called")
    return 6


async def use_resources(session: ClientSession) -> int:
    resources = (await session.list_resources()).resources
    for resource in resources:
        contents = (await session.read_resource(resource.uri)).contents
        assert contents, resource.uri
    await session.list_resource_templates()
    return len(resources)


async def use_prompts(session: ClientSession) -> int:
    prompts = (await session.list_prompts()).prompts
    for prompt in prompts:
        needed = {argument.name: "shapes.png" for argument in prompt.arguments or [] if argument.required}
        assert (await session.get_prompt(prompt.name, needed)).messages, prompt.name
        for argument in prompt.arguments or []:
            reference = PromptReference(type="ref/prompt", name=prompt.name)
            await session.complete(reference, {"name": argument.name, "value": "s"})
    return len(prompts)


async def main() -> None:
    async with connect(sys.argv[1:]) as streams, ClientSession(*streams[:2], read_timeout_seconds=WAIT) as session:
        done = await talk(session)
    sys.stdout.write(", ".join(done) + "\n")


asyncio.run(main())
