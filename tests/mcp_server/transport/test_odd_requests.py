"""Requests as clients and models really send them: each is answered under its id, on stdio and over HTTP."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import httpx2
import pytest

from lorgnette.settings import Settings

WAIT_S = 300


def call(number: object, arguments: object, tool: str = "search_kb", **extra: object) -> str:
    params = {"name": tool, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": params, **extra})


@dataclass(frozen=True)
class Odd:
    name: str
    line: str
    number: object
    """The id of the answer."""
    found: str
    """What stands in the answer."""


READ = "There is no folder"
"""What a search says that was understood, where there are no documents."""
NO_ID = "needs an id that is a string or a whole number"
BATCH = "batches are no part of the protocol"
NO_JSON = "not valid JSON"
NO_MESSAGE = "no JSON-RPC 2.0 message"

CALLS: list[tuple[str, object, str]] = [
    ("half a surrogate pair", {"query": "a \ud83d"}, READ),
    ("the other half", {"query": "\ude00 b"}, READ),
    ("both halves the wrong way round", {"query": "\ude00\ud83d"}, READ),
    ("half a pair as a key", {"query": "a", "\ud83d": 1}, "has no argument"),
    ("a whole pair", {"query": "\U0001f600"}, READ),
    ("arguments as one string", '{"query": "cat"}', READ),
    ("arguments as a string that is no JSON", "cat", "one JSON object"),
    ("arguments as a list", ["cat"], "one JSON object"),
    ("arguments null", None, "query: field required"),
    ("arguments a number", 7, "one JSON object"),
    ("an optional null", {"query": "cat", "source": None}, READ),
    ("an optional empty text", {"query": "cat", "source": ""}, READ),
    ("an optional blank", {"query": "cat", "source": "  "}, READ),
    ("a number null", {"query": "cat", "top_k": None}, READ),
    ("a number as empty text", {"query": "cat", "top_k": ""}, READ),
    ("a number as text", {"query": "cat", "top_k": "3"}, READ),
    ("a whole number with a point", {"query": "cat", "top_k": 3.0}, READ),
    ("too many hits", {"query": "cat", "top_k": 100}, READ),
    ("too many neighbours", {"query": "cat", "context": 50}, READ),
    ("all of it null", {"query": "cat", "top_k": None, "source": None, "context": None}, READ),
    ("a required null", {"query": None}, "query: input should be a valid string"),
    ("a required empty text", {"query": ""}, "query: string should have at least 1 character"),
    ("no hits", {"query": "cat", "top_k": 0}, "top_k: input should be greater than or equal to 1"),
    ("a fraction of a hit", {"query": "cat", "top_k": 2.5}, "top_k: input should be a valid integer"),
    ("a list where a text is due", {"query": ["cat"]}, "query: input should be a valid string"),
    ("an argument in other letters", {"Query": "cat"}, "did you mean 'query'?"),
    ("a made-up argument", {"query": "cat", "limit": 3}, "has no argument 'limit'"),
    ("a long text", {"query": "cat " * 1000}, "at most 1000 characters"),
    ("control characters", {"query": "a\x00b\x1b[31m\u202e"}, READ),
    ("a text of new lines", {"query": "\n\r\t cat"}, READ),
]
ODD = [
    *(Odd(name, call(number, arguments), number, found) for number, (name, arguments, found) in enumerate(CALLS, 100)),
    Odd("a byte order mark", "\ufeff" + call(1, {"query": "cat"}), 1, READ),
    Odd("blanks around it", f"  {call(2, {'query': 'cat'})} \t", 2, READ),
    Odd("an id that is text", call("seven", {"query": "cat"}), "seven", READ),
    Odd("an empty id", call("", {"query": "cat"}), "", READ),
    Odd("a negative id", call(-4, {"query": "cat"}), -4, READ),
    Odd("an id of 30 digits", call(10**29, {"query": "cat"}), 10**29, READ),
    Odd("an id zero", call(0, {"query": "cat"}), 0, READ),
    Odd("an id with half a pair", call("\ud83d", {"query": "cat"}), "\ufffd", READ),
    Odd("a fraction as id", call(1.5, {"query": "cat"}), None, NO_ID),
    Odd("true as id", call(True, {"query": "cat"}), None, NO_ID),
    Odd("null as id", call(None, {"query": "cat"}), None, NO_ID),
    Odd("a list as id", call([1], {"query": "cat"}), None, NO_ID),
    Odd("a batch of one", f"[{call(3, {'query': 'cat'})}]", 3, BATCH),
    Odd("an empty batch", "[]", None, BATCH),
    Odd("cut off", call(5, {"query": "cat"})[:-2], 5, NO_JSON),
    Odd("cut off inside a text", call(6, {"query": "cat"})[:-6], 6, NO_JSON),
    Odd("something behind it", call(7, {"query": "cat"}) + " and more", 7, NO_JSON),
    Odd("single quotes", call(8, {"query": "cat"}).replace('"cat"', "'cat'"), 8, NO_JSON),
    Odd("a comma too many", call(9, {"query": "cat"})[:-1] + ",}", 9, NO_JSON),
    Odd("nested too deeply", call(10, {"query": "cat"})[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 + "}", 10, "deep"),
    Odd("an id inside the arguments only", '{"params": {"id": 11}, ', None, NO_JSON),
    Odd("no JSON at all", "hello", None, NO_JSON),
    Odd("no version", json.dumps({"id": 12, "method": "tools/list"}), 12, NO_MESSAGE),
    Odd("another version", json.dumps({"jsonrpc": "1.0", "id": 13, "method": "tools/list"}), 13, NO_MESSAGE),
    Odd("no method", json.dumps({"jsonrpc": "2.0", "id": 14}), 14, NO_MESSAGE),
    Odd("a number as method", json.dumps({"jsonrpc": "2.0", "id": 15, "method": 7}), 15, NO_MESSAGE),
    Odd("a list as params", '{"jsonrpc": "2.0", "id": 16, "method": "tools/list", "params": []}', 16, NO_MESSAGE),
    Odd("a text as params", '{"jsonrpc": "2.0", "id": 17, "method": "tools/list", "params": "x"}', 17, NO_MESSAGE),
    Odd("an unknown method", json.dumps({"jsonrpc": "2.0", "id": 18, "method": "tools/nope"}), 18, "Method not found"),
    Odd("an unknown tool", call(19, {}, tool="nope"), 19, "Unknown tool: 'nope'"),
    Odd("no tool", json.dumps({"jsonrpc": "2.0", "id": 20, "method": "tools/call"}), 20, "Unknown tool: None"),
    Odd("a tool null", '{"jsonrpc": "2.0", "id": 21, "method": "tools/call", "params": {"name": null}}', 21, "Unknown"),
    Odd("a session's name of blanks", call(22, {"session_id": "a b"}, "save_session_summary"), 22, "letters, digits"),
    Odd("a field that nobody knows", call(23, {"query": "cat"}, extra=1), 23, READ),
    Odd("NaN", call(24, {"query": "cat", "top_k": float("nan")}), 24, "finite number"),
]  # fmt: skip


class Pipe:
    """The real server in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "cli.main", "serve", "--kb", "/there/is/none"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._said: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        client = {"name": "odd", "version": "0"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        self.answer(json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
        self._write(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))

    def answer(self, line: str) -> dict[str, Any]:
        self._write(line)
        return self._said.get(timeout=WAIT_S)

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(WAIT_S) == 0
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            if "id" in message:
                self._said.put(message)


@pytest.fixture(scope="module")
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.mark.heavy
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_on_stdio_each_is_answered_under_its_id(pipe: Pipe, odd: Odd) -> None:
    answer = pipe.answer(odd.line)
    assert answer["id"] == odd.number
    assert odd.found in json.dumps(answer, ensure_ascii=False)


@pytest.fixture
def post(serve: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """Post what is no client's library's, in a session of the older protocol."""
    server = serve(
        Settings(roots=(tmp_path,), kb=tmp_path / "none", calls_per_minute=0), lambda settings, progress: None
    )
    headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with httpx2.Client(trust_env=False, timeout=WAIT_S) as client:

        def send(line: str) -> dict[str, Any]:
            reply = client.post(f"{server.url}/mcp", headers=headers, content=line.encode())
            if "mcp-session-id" in reply.headers:
                headers["mcp-session-id"] = reply.headers["mcp-session-id"]
            data = [line[6:] for line in reply.text.splitlines() if line.startswith("data: ")]
            found: dict[str, Any] = json.loads(next((line for line in data if '"id"' in line), reply.text))
            return found

        info = {"name": "odd", "version": "0"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        send(json.dumps({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}))
        headers["mcp-protocol-version"] = "2025-11-25"
        yield send


def test_over_http_what_is_cut_inside_an_emoji_is_read(post: Callable[[str], dict[str, Any]]) -> None:
    for odd in [*ODD[:3], *(odd for odd in ODD if odd.name in ("a byte order mark", "an id with half a pair"))]:
        answer = post(odd.line)
        assert answer["id"] == odd.number
        assert odd.found in json.dumps(answer, ensure_ascii=False)


def test_over_http_nothing_is_left_without_an_answer(post: Callable[[str], dict[str, Any]]) -> None:
    for odd in ODD:
        answer = post(odd.line)
        assert "error" in answer or "result" in answer, odd.name
