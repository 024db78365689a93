"""Serving over stdio. What cannot be read is answered too: the SDK drops it, and its sender would wait.

It knows nothing of what the messages mean, and nothing about HTTP.
"""

from contextlib import suppress
from io import TextIOWrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

if TYPE_CHECKING:
    from contextvars import Context

    from mcp.shared._stream_protocols import ReadStream, WriteStream


def serve_stdio(server: MCPServer[Any], stdout: BinaryIO) -> None:
    """Serve until stdin ends, or until nobody reads; `stdout` is what `wire.take_stdout` returned."""
    try:
        anyio.run(_serve, server, stdout)
    except* BrokenPipeError:
        pass  # the client is gone, there is nobody to tell
    finally:
        with suppress(OSError):
            stdout.close()


async def _serve(server: MCPServer[Any], stdout: BinaryIO) -> None:
    inner = server._lowlevel_server  # `MCPServer` itself takes no streams
    text = anyio.wrap_file(TextIOWrapper(stdout, encoding="utf-8", newline="\n"))
    async with stdio_server(stdout=text) as (incoming, outgoing):
        answered = _Answered(incoming, outgoing)
        await inner.run(answered, outgoing, inner.create_initialization_options())


class _Answered:
    """The messages of `incoming`; lines that are none are answered on `outgoing` and left out."""

    def __init__(
        self, incoming: "ReadStream[SessionMessage | Exception]", outgoing: "WriteStream[SessionMessage]"
    ) -> None:
        self._incoming, self._outgoing = incoming, outgoing

    @property
    def last_context(self) -> "Context | None":
        """The sender's context of the last message, which the SDK asks for."""
        return getattr(self._incoming, "last_context", None)

    async def receive(self) -> SessionMessage | Exception:
        while True:
            item = await self._incoming.receive()
            if isinstance(item, SessionMessage):
                return item
            refusal = _refusal(item)
            if refusal is not None:
                await self._outgoing.send(SessionMessage(refusal))

    async def aclose(self) -> None:
        await self._incoming.aclose()

    def __aiter__(self) -> "_Answered":
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> "_Answered":
        await self._incoming.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._incoming.__aexit__(kind, error, trace)


def _refusal(error: Exception) -> JSONRPCError | None:
    """Return the answer to a line that is no message; none where nobody waits for one."""
    details = error.errors(include_url=False, include_context=False) if isinstance(error, ValidationError) else []
    if any(detail["type"] == "json_invalid" for detail in details):
        line = details[0]["input"]
        if isinstance(line, str) and not line.strip():
            return None
        return _error(None, PARSE_ERROR, "Parse error: the line is not valid JSON; send one message on one line")
    sent = next((detail["input"] for detail in details if isinstance(detail["input"], dict)), {"id": None})
    if "id" not in sent or "result" in sent or "error" in sent:
        return None  # notifications and answers are not answered
    number = sent["id"]
    known = number if isinstance(number, str | int) and not isinstance(number, bool) else None
    return _error(known, INVALID_REQUEST, "Invalid request: the line is no JSON-RPC 2.0 message")


def _error(number: str | int | None, code: int, message: str) -> JSONRPCError:
    return JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=message))
