"""What the server lists: short schemas, and documents and sessions beside the fixed resources. It answers no call."""

from collections.abc import Awaitable, Callable
from typing import Any

from mcp.types import Resource, Tool

from mcp_server.middleware import StrictServer
from mcp_server.state.app import App


class ListingServer(StrictServer[App]):
    """The server with lists of its own."""

    def __init__(self, name: str, more_resources: Callable[[], Awaitable[list[Resource]]], **options: Any) -> None:
        """Build it.

        Args:
            name: As clients know it.
            more_resources: Gives those that are there at the moment, beside those that always are.
            options: As `MCPServer` takes them.
        """
        super().__init__(name, **options)
        self._more_resources = more_resources

    async def list_tools(self) -> list[Tool]:
        """List the tools without their schemas' titles, which repeat the names and cost every conversation tokens.

        The objects inside results do not forbid other keys: a client that keeps their form takes what a newer server
        adds.
        """
        return [
            tool.model_copy(
                update={
                    "input_schema": _untitled(tool.input_schema),
                    "output_schema": tool.output_schema and _with_open_parts(_untitled(tool.output_schema)),
                }
            )
            for tool in await super().list_tools()
        ]

    async def list_resources(self) -> list[Resource]:
        """List the fixed resources, then those that are there at the moment."""
        return [*await super().list_resources(), *await self._more_resources()]


def _with_open_parts(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a result without the ban on other keys in the objects that it holds."""
    parts = {
        name: {key: value for key, value in part.items() if (key, value) != ("additionalProperties", False)}
        for name, part in schema.get("$defs", {}).items()
    }
    return {**schema, "$defs": parts} if parts else schema


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema without titles; a property of that name stays."""
    short = {key: value for key, value in schema.items() if key != "title"}
    for key in ("properties", "$defs"):
        if key in short:
            short[key] = {name: _untitled(inner) for name, inner in short[key].items()}
    for key in ("items", "additionalProperties"):
        if isinstance(short.get(key), dict):
            short[key] = _untitled(short[key])
    for key in ("anyOf", "allOf", "oneOf"):
        if key in short:
            short[key] = [_untitled(inner) for inner in short[key]]
    return short
