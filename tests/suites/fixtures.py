"""The tools, resources and prompts that the official conformance suite calls by name, for any server of ours.

The names and the answers are the suite's, as its scenarios describe them. They are mounted beside the product's own,
so that the suite goes through the product's middleware and transport. Nothing here is in the product.
"""

import struct
import zlib
from base64 import b64encode
from typing import Annotated, Any

import anyio
from mcp.server import MCPServer
from mcp.server.context import ServerRequestContext
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import UserMessage
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INVALID_PARAMS,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    AudioContent,
    CallToolResult,
    CreateMessageRequest,
    CreateMessageRequestParams,
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    EmbeddedResource,
    EmptyResult,
    ImageContent,
    InputRequest,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    SetLevelRequestParams,
    SubscribeRequestParams,
    TextContent,
    TextResourceContents,
    UnsubscribeRequestParams,
)
from pydantic import Field

STEP_S = 0.05  # the suite wants to see that news arrives while the tool runs

Ctx = Context[Any, Any]
Reply = CallToolResult | InputRequiredResult


def _png() -> bytes:
    """Return one red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\x00\xff\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def _wav() -> bytes:
    """Return one silent sample."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 8000, 1, 8)
    return (
        struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 10, b"WAVE")
        + form
        + struct.pack("<4sI2s", b"data", 1, b"\x80\0")
    )


PNG, WAV = b64encode(_png()).decode(), b64encode(_wav()).decode()


def add_fixtures(server: MCPServer[Any]) -> None:
    """Mount everything that the suite asks for by name."""
    for tool in (
        *(test_simple_text, test_image_content, test_audio_content, test_embedded_resource),
        *(test_multiple_content_types, test_error_handling, test_tool_with_progress, test_tool_with_logging),
        *(test_sampling, test_elicitation, test_elicitation_sep1034_defaults, test_elicitation_sep1330_enums),
        *(test_missing_capability, test_streaming_elicitation, test_logging_tool),
        *(test_trigger_tool_change, test_trigger_prompt_change),
        *(test_input_required_result_elicitation, test_input_required_result_sampling),
        *(test_input_required_result_list_roots, test_input_required_result_request_state),
        *(test_input_required_result_multiple_inputs, test_input_required_result_multi_round),
        *(test_input_required_result_tampered_state, test_input_required_result_capabilities),
    ):
        server.add_tool(tool)
    _add_resources(server)
    _add_prompts(server)
    _add_handlers(server)


def _text(text: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)])


# What a tool may return.


async def test_simple_text() -> CallToolResult:
    """Return one text."""
    return _text("This is a simple text response for testing.")


async def test_image_content() -> CallToolResult:
    """Return one picture."""
    return CallToolResult(content=[ImageContent(type="image", data=PNG, mime_type="image/png")])


async def test_audio_content() -> CallToolResult:
    """Return one sound."""
    return CallToolResult(content=[AudioContent(type="audio", data=WAV, mime_type="audio/wav")])


def _embedded(uri: str, mime_type: str, text: str) -> EmbeddedResource:
    return EmbeddedResource(type="resource", resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


async def test_embedded_resource() -> CallToolResult:
    """Return one resource with its text."""
    text = "This is an embedded resource content."
    return CallToolResult(content=[_embedded("test://embedded-resource", "text/plain", text)])


async def test_multiple_content_types() -> CallToolResult:
    """Return text, a picture and a resource."""
    return CallToolResult(
        content=[
            TextContent(type="text", text="Multiple content types test:"),
            ImageContent(type="image", data=PNG, mime_type="image/png"),
            _embedded("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
        ]
    )


async def test_error_handling() -> CallToolResult:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


# What a tool may tell while it runs.


async def test_tool_with_progress(ctx: Ctx) -> CallToolResult:
    """Report 0, 50 and 100 of 100."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100, f"{done} of 100")
        await anyio.sleep(STEP_S)
    return _text("Progress was reported.")


async def test_tool_with_logging(ctx: Ctx) -> CallToolResult:
    """Log three lines."""
    for line in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(line)
        await anyio.sleep(STEP_S)
    return _text("Three lines were logged.")


async def test_logging_tool(ctx: Ctx) -> CallToolResult:
    """Log one line, which nobody may hear who has not asked for it."""
    await ctx.info("A line of the log")
    return _text("One line was logged.")


async def test_trigger_tool_change(ctx: Ctx) -> CallToolResult:
    """Say that the list of tools has changed."""
    await ctx.notify_tools_changed()
    return _text("Said so.")


async def test_trigger_prompt_change(ctx: Ctx) -> CallToolResult:
    """Say that the list of prompts has changed."""
    await ctx.notify_prompts_changed()
    return _text("Said so.")


# What a tool may ask of the client in the middle of a call: 2025-11-25.


async def test_sampling(
    prompt: Annotated[str, Field(description="For the client's model")], ctx: Ctx
) -> CallToolResult:
    """Ask the client's model."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=prompt))
    answer = await ctx.session.create_message(
        [message], max_tokens=100, related_request_id=ctx.request_context.request_id
    )
    assert isinstance(answer, CreateMessageResult)
    return _text(f"LLM response: {answer.content.text if isinstance(answer.content, TextContent) else ''}")


async def _elicit(ctx: Ctx, message: str, properties: dict[str, Any], required: list[str]) -> ElicitResult:
    schema = {"type": "object", "properties": properties, "required": required}
    return await ctx.session.elicit_form(message, schema, ctx.request_context.request_id)


async def test_elicitation(message: Annotated[str, Field(description="For the user")], ctx: Ctx) -> CallToolResult:
    """Ask the user for a name and an address."""
    name = {"type": "string", "description": "User's response"}
    email = {"type": "string", "description": "User's email address"}
    reply = await _elicit(ctx, message, {"username": name, "email": email}, ["username", "email"])
    return _text(f"User response: action={reply.action}, content={reply.content}")


async def test_elicitation_sep1034_defaults(ctx: Ctx) -> CallToolResult:
    """Ask the user with a default for each kind of field."""
    reply = await _elicit(
        ctx,
        "Please look these over",
        {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
            "verified": {"type": "boolean", "default": True},
        },
        [],
    )
    return _text(f"Elicitation completed: action={reply.action}, content={reply.content}")


async def test_elicitation_sep1330_enums(ctx: Ctx) -> CallToolResult:
    """Ask the user to choose, in each of the five forms."""
    plain = ["option1", "option2", "option3"]

    def titled(titles: str) -> list[dict[str, str]]:
        return [{"const": f"value{number}", "title": title} for number, title in enumerate(titles.split(", "), 1)]

    reply = await _elicit(
        ctx,
        "Please choose",
        {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled("First Option, Second Option, Third Option")},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled("First Choice, Second Choice, Third Choice")}},
        },
        [],
    )
    return _text(f"Elicitation completed: action={reply.action}, content={reply.content}")


# What a tool may ask of the client by its result: 2026-07-28.


def _ask_user(message: str, field: str, kind: str = "string") -> ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return ElicitRequest(params=ElicitRequestFormParams(message=message, requested_schema=schema))


def _ask_model(text: str, max_tokens: int) -> CreateMessageRequest:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=text))
    return CreateMessageRequest(params=CreateMessageRequestParams(messages=[message], max_tokens=max_tokens))


def _said(ctx: Ctx, key: str, field: str) -> str | None:
    """Return what the user filled in; none where there is no such answer."""
    reply = (ctx.input_responses or {}).get(key)
    content = reply.content if isinstance(reply, ElicitResult) and reply.action == "accept" else None
    return str(content[field]) if content and field in content else None


async def test_missing_capability() -> CallToolResult:
    """Need the client's model, which it has not offered."""
    raise MCPError(
        code=MISSING_REQUIRED_CLIENT_CAPABILITY,
        message="This tool needs the client's capability 'sampling'",
        data={"requiredCapabilities": {"sampling": {}}},
    )


async def test_streaming_elicitation(ctx: Ctx) -> Reply:
    """Report progress, then ask."""
    await ctx.report_progress(1, 2, "about to ask")
    if (name := _said(ctx, "user_name", "name")) is None:
        return InputRequiredResult(input_requests={"user_name": _ask_user("What is your name?", "name")})
    return _text(f"Hello, {name}!")


async def test_input_required_result_elicitation(ctx: Ctx) -> Reply:
    """Ask the user for a name."""
    if (name := _said(ctx, "user_name", "name")) is None:
        return InputRequiredResult(input_requests={"user_name": _ask_user("What is your name?", "name")})
    return _text(f"Hello, {name}!")


async def test_input_required_result_sampling(ctx: Ctx) -> Reply:
    """Ask the client's model."""
    reply = (ctx.input_responses or {}).get("capital_question")
    if not isinstance(reply, CreateMessageResult):
        question = _ask_model("What is the capital of France?", 100)
        return InputRequiredResult(input_requests={"capital_question": question})
    return _text(reply.content.text if isinstance(reply.content, TextContent) else "")


async def test_input_required_result_list_roots(ctx: Ctx) -> Reply:
    """Ask for the client's folders."""
    reply = (ctx.input_responses or {}).get("client_roots")
    if not isinstance(reply, ListRootsResult):
        return InputRequiredResult(input_requests={"client_roots": ListRootsRequest()})
    return _text(", ".join(f"{root.name}: {root.uri}" for root in reply.roots))


async def test_input_required_result_request_state(ctx: Ctx) -> Reply:
    """Ask for a confirmation and want the state back."""
    if _said(ctx, "confirm", "ok") is None or ctx.request_state is None:
        confirm = _ask_user("Please confirm", "ok", "boolean")
        return InputRequiredResult(input_requests={"confirm": confirm}, request_state="asked to confirm")
    return _text("state-ok" if ctx.request_state == "asked to confirm" else "another state")


async def test_input_required_result_multiple_inputs(ctx: Ctx) -> Reply:
    """Ask the user, the model and for the folders at once."""
    asked: dict[str, InputRequest] = {
        "user_name": _ask_user("What is your name?", "name"),
        "greeting": _ask_model("Generate a greeting", 50),
        "client_roots": ListRootsRequest(),
    }
    if ctx.request_state is None or not asked.keys() <= (ctx.input_responses or {}).keys():
        return InputRequiredResult(input_requests=asked, request_state="asked for three")
    return _text(f"Hello, {_said(ctx, 'user_name', 'name')}!")


async def test_input_required_result_multi_round(ctx: Ctx) -> Reply:
    """Ask for a name, then for a colour."""
    if ctx.request_state is None or ctx.request_state == "1":
        name = _said(ctx, "step1", "name")
        if ctx.request_state is None or name is None:
            question = _ask_user("Step 1: What is your name?", "name")
            return InputRequiredResult(input_requests={"step1": question}, request_state="1")
        return _ask_color(name)
    name = ctx.request_state.removeprefix("2 ")
    color = _said(ctx, "step2", "color")
    return _ask_color(name) if color is None else _text(f"{name} likes {color}.")


def _ask_color(name: str) -> InputRequiredResult:
    question = _ask_user("Step 2: What is your favorite color?", "color")
    return InputRequiredResult(input_requests={"step2": question}, request_state=f"2 {name}")


async def test_input_required_result_tampered_state(ctx: Ctx) -> Reply:
    """Give out a state that nobody may change; the SDK seals it."""
    if ctx.request_state is None:
        confirm = _ask_user("Please confirm", "ok", "boolean")
        return InputRequiredResult(input_requests={"confirm": confirm}, request_state="sealed")
    return _text(ctx.request_state)


async def test_input_required_result_capabilities(ctx: Ctx) -> Reply:
    """Ask only for what the client has offered."""
    offered = ctx.client_capabilities
    asked: dict[str, InputRequest] = {}
    if offered is not None and offered.elicitation is not None:
        asked["user_name"] = _ask_user("What is your name?", "name")
    if offered is not None and offered.sampling is not None:
        asked["greeting"] = _ask_model("Generate a greeting", 50)
    if not asked or asked.keys() <= (ctx.input_responses or {}).keys():
        return _text("Nothing to ask for.")
    return InputRequiredResult(input_requests=asked)


def _add_resources(server: MCPServer[Any]) -> None:
    @server.resource("test://static-text", name="static-text", description="A text", mime_type="text/plain")
    def static_text() -> str:
        return "This is the content of the static text resource."

    @server.resource("test://static-binary", name="static-binary", description="A picture", mime_type="image/png")
    def static_binary() -> bytes:
        return _png()

    @server.resource("test://watched-resource", name="watched", description="To subscribe to", mime_type="text/plain")
    def watched() -> str:
        return "Nothing has changed."

    @server.resource(
        "test://template/{id}/data", name="template", description="A template", mime_type="application/json"
    )
    def template(id: str) -> dict[str, Any]:
        return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


def _add_prompts(server: MCPServer[Any]) -> None:
    @server.prompt()
    def test_simple_prompt() -> str:
        """One text."""
        return "This is a simple prompt for testing."

    @server.prompt()
    def test_prompt_with_arguments(
        arg1: Annotated[str, Field(description="The first")], arg2: Annotated[str, Field(description="The second")]
    ) -> str:
        """Two arguments in a text."""
        return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"

    @server.prompt()
    def test_prompt_with_embedded_resource(
        resourceUri: Annotated[str, Field(description="Of the resource")],
    ) -> list[UserMessage]:
        """A resource in a prompt."""
        embedded = _embedded(resourceUri, "text/plain", "Embedded resource content for testing.")
        return [UserMessage(embedded), UserMessage("Please process the embedded resource above.")]

    @server.prompt()
    def test_prompt_with_image() -> list[UserMessage]:
        """A picture in a prompt."""
        image = ImageContent(type="image", data=PNG, mime_type="image/png")
        return [UserMessage(image), UserMessage("Please analyze the image above.")]

    @server.prompt()
    async def test_input_required_result_prompt(ctx: Ctx) -> Any:
        """Ask the user before there is a prompt."""
        if (context := _said(ctx, "user_context", "context")) is None:
            question = _ask_user("What context should the prompt use?", "context")
            return InputRequiredResult(input_requests={"user_context": question})
        return f"Use this context: {context}"


def _add_handlers(server: MCPServer[Any]) -> None:
    """Add what 2025-11-25 has and the product does without: log levels and subscriptions to a resource."""
    handlers = server._lowlevel_server
    watched: set[str] = set()

    async def set_level(_: ServerRequestContext[Any], params: SetLevelRequestParams) -> EmptyResult:
        return EmptyResult()

    async def subscribe(_: ServerRequestContext[Any], params: SubscribeRequestParams) -> EmptyResult:
        watched.add(str(params.uri))
        return EmptyResult()

    async def unsubscribe(_: ServerRequestContext[Any], params: UnsubscribeRequestParams) -> EmptyResult:
        if str(params.uri) not in watched:
            raise MCPError(code=INVALID_PARAMS, message=f"Nobody watches {params.uri}")
        watched.discard(str(params.uri))
        return EmptyResult()

    handlers.add_request_handler("logging/setLevel", SetLevelRequestParams, set_level)
    if handlers.get_request_handler("resources/subscribe") is None:
        handlers.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
        handlers.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, unsubscribe)
    if handlers.get_request_handler("completion/complete") is None:

        async def complete(ref: object, argument: object, context: object) -> None:
            return None

        server.completion()(complete)
