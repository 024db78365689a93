"""Messages as clients send them where the protocol's reader gives up: mended, or refused under their own id.

A JavaScript client that cuts a text inside an emoji sends half of a surrogate pair, some put a byte order mark in
front, some send a batch, which the protocol gave up. Whoever sends a request waits for an answer under its id.
"""

import json
import re
from typing import Any

from mcp.types import (
    INVALID_REQUEST,
    PARSE_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SURROGATES = re.compile("[\ud800-\udfff]")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_ID = re.compile(r'\s*:\s*("(?:[^"\\]|\\.)*"|-?\d+)\s*[,}\]]?')


def mended(text: str) -> str | None:
    """Return the JSON with what no reader takes replaced; None if it stays unreadable.

    Halves of surrogate pairs become replacement characters, a byte order mark goes.
    """
    try:
        found = json.loads(text.strip().removeprefix("\ufeff"))
    except (ValueError, RecursionError):
        return None
    return _SURROGATES.sub(REPLACEMENT, json.dumps(found, ensure_ascii=False))


def read_again(line: str) -> JSONRPCMessage | list[JSONRPCError]:
    """Return the message that a refused line is after all, or what to answer; nothing where nobody waits.

    Args:
        line: That the protocol's reader refused as JSON.
    """
    if not line.strip().removeprefix("\ufeff"):
        return []
    text = mended(line)
    if text is None:
        reason = "the message is nested too deeply" if _is_deep(line) else "the line is not valid JSON"
        return [error(id_in(line), PARSE_ERROR, f"Parse error: {reason}; send one message on one line")]
    try:
        message: JSONRPCMessage = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        return refusals_of(json.loads(text))
    return message


def refusals_of(sent: Any) -> list[JSONRPCError]:
    """Return what to answer to JSON that is no message; a batch gets an answer for each of its requests."""
    if isinstance(sent, list):
        asked = [one for one in sent if isinstance(one, dict) and _waits(one)]
        text = "Invalid request: batches are no part of the protocol; send each message by itself"
        return [error(_known(one.get("id")), INVALID_REQUEST, text) for one in asked] or [
            error(None, INVALID_REQUEST, text)
        ]
    if not isinstance(sent, dict):
        return [error(None, INVALID_REQUEST, "Invalid request: the line is no JSON-RPC 2.0 message")]
    if not _waits(sent):
        return []
    return [error(_known(sent["id"]), INVALID_REQUEST, "Invalid request: the line is no JSON-RPC 2.0 message")]


def refusal_of_id(message: JSONRPCMessage) -> JSONRPCError | None:
    """Return the answer to a request whose id is no id, which the protocol's reader takes for a notification."""
    if not isinstance(message, JSONRPCNotification) or message.method.startswith("notifications/"):
        return None
    return error(None, INVALID_REQUEST, "Invalid request: a request needs an id that is a string or a whole number")


def error(number: str | int | None, code: int, message: str) -> JSONRPCError:
    """Return an answer that says what is wrong."""
    return JSONRPCError(jsonrpc="2.0", id=number, error=ErrorData(code=code, message=message))


def id_in(line: str) -> str | int | None:
    """Return the id that stands at the top of text which is no JSON; None where none can be made out."""
    depth, at = 0, 0
    while at < len(line):
        char = line[at]
        if char == '"':
            string = _STRING.match(line, at)
            if string is None:
                return None
            at = string.end()
            if depth == 1 and string[0] == '"id"' and (found := _ID.match(line, at)):
                value: str | int = json.loads(found[1])
                return _known(value)
            continue
        depth += (char in "{[") - (char in "}]")
        at += 1
    return None


def _is_deep(line: str) -> bool:
    return line.count("[") + line.count("{") > 100


def _waits(sent: dict[str, Any]) -> bool:
    """Return whether the sender waits for an answer: notifications and answers get none."""
    return "id" in sent and "result" not in sent and "error" not in sent


def _known(number: object) -> str | int | None:
    if isinstance(number, str):
        return _SURROGATES.sub(REPLACEMENT, number)
    return number if isinstance(number, int) and not isinstance(number, bool) else None
