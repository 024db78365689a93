"""Serving over stdio. What cannot be read is answered too: the SDK drops it, and its sender would wait.

It knows nothing of what the messages mean, and nothing about HTTP.
"""

import os
import signal
import sys
import threading
from contextlib import suppress
from io import TextIOWrapper
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO

import anyio
from mcp.server import MCPServer
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp.types import JSONRPCError
from pydantic import ValidationError

from mcp_server.transport.odd_messages import read_again, refusal_of_id, refusals_of

if TYPE_CHECKING:
    from contextvars import Context

    from mcp.shared._stream_protocols import ReadStream, WriteStream


def serve_stdio(server: MCPServer[Any], stdout: BinaryIO) -> None:
    """Serve until stdin ends, or until nobody reads; `stdout` is what `wire.take_stdout` returned.

    Ctrl-C reaches all of a terminal's processes, the client's servers among them: it is the client's to end them, so
    that one whose stdin is a pipe ignores it. One that was started by hand ends at once.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, _leave if sys.stdin is not None and sys.stdin.isatty() else signal.SIG_IGN)
    try:
        anyio.run(_serve, server, stdout)
    except* BrokenPipeError:
        pass  # the client is gone, there is nobody to tell
    finally:
        with suppress(OSError):
            stdout.close()


def _leave(*_: object) -> None:
    # Not by an exception: a thread that reads a terminal ends with the next line alone. Files are written whole.
    os._exit(128 + signal.SIGINT)


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
            found = item if isinstance(item, SessionMessage) else _read_again(item)
            if isinstance(found, SessionMessage):
                refusal = refusal_of_id(found.message)
                if refusal is None:
                    return found
                found = [refusal]
            for refusal in found:
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


def _read_again(refused: Exception) -> SessionMessage | list[JSONRPCError]:
    """Return the message that a line is after all, or what to answer to it."""
    details = refused.errors(include_url=False, include_context=False) if isinstance(refused, ValidationError) else []
    if any(detail["type"] == "json_invalid" for detail in details):
        found = read_again(str(details[0]["input"]))
        return found if isinstance(found, list) else SessionMessage(found)
    inputs = [detail["input"] for detail in details]
    messages = [given for given in inputs if isinstance(given, dict) and "id" in given]
    return refusals_of(messages[0] if messages else next(iter(inputs), None))
