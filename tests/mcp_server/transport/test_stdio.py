"""The real server in a process of its own, spoken to line by line, as a client on the other side of a pipe sees it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from common.safe_text import printable
from graph.answer import Answer

pytestmark = pytest.mark.heavy

HEAVY = ("torch", "transformers", "chromadb", "sentence_transformers", "langgraph", "peft")
TIMEOUT_S = 300
CONNECTION_CLOSED = -32000
PATIENT = {"LORGNETTE_TIME_BUDGET_S": "3000"}  # the busiest machine answers in that


def environment(**extra: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), **PATIENT, **extra}


class Server:
    """A served process; every line that it writes to stdout must be JSON-RPC."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process, self._id = process, 0
        self.notes: list[dict[str, Any]] = []

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        self.begin(method, **params)
        return self.reply()

    def begin(self, method: str, **params: Any) -> None:
        self._id += 1
        self._send({"id": self._id, "method": method, "params": params})

    def notify(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message: dict[str, Any] = json.loads(line)
            assert message["jsonrpc"] == "2.0"
            if "id" in message:
                return message
            self.notes.append(message)
        raise AssertionError("the server ended without a reply")

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def initialize(self) -> None:
        client = {"name": "test", "version": "0"}
        self.request("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        self.notify("notifications/initialized")

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()


@contextmanager
def serve(folder: Path, *arguments: str, **extra: str) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--root", str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        env=environment(**extra),
    ) as process:
        try:
            yield Server(process)
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            rest = [json.loads(line) for line in process.stdout]
            assert all(message["jsonrpc"] == "2.0" for message in rest)
            # A call that was running is answered, too: the connection closes.
            assert [message for message in rest if message.get("error", {}).get("code") != CONNECTION_CLOSED] == []
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


@pytest.fixture
def circle(tmp_path: Path) -> Path:
    image = Image.new("RGB", (320, 240), "grey")
    ImageDraw.Draw(image).ellipse((100, 60, 200, 160), fill="red")
    path = tmp_path / "circle.png"
    image.save(path)
    return path


def test_a_question_about_a_picture_is_answered_over_stdio(circle: Path) -> None:
    with serve(circle.parent) as server:
        server.initialize()
        tools = server.request("tools/list")["result"]["tools"]
        assert [tool["name"] for tool in tools] == ["ask_image", "search_kb", "save_session_summary"]
        result = server.request(
            "tools/call",
            name="ask_image",
            arguments={"question": "How many objects are there?", "images": ["circle.png"], "max_new_tokens": 16},
            _meta={"progressToken": "p"},
        )["result"]
    assert not result.get("isError"), result
    answer = Answer.model_validate(result["structuredContent"])
    assert answer.model.name == "tiny"
    assert answer.usage.new_tokens > 0
    assert result["content"][0]["text"].startswith(printable(answer.answer))
    values = [note["params"]["progress"] for note in server.notes if note["method"] == "notifications/progress"]
    assert values and all(earlier < later for earlier, later in pairwise(values))


def test_a_refused_picture_is_told_to_the_model_over_stdio(circle: Path, tmp_path_factory: Any) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    Image.new("RGB", (8, 8)).save(outside)
    with serve(circle.parent) as server:
        server.initialize()
        arguments = {"question": "What is it?", "images": [str(outside)]}
        result = server.request("tools/call", name="ask_image", arguments=arguments)["result"]
    assert result["isError"]
    assert "outside the allowed folders" in result["content"][0]["text"]


def test_a_missing_model_is_an_error_of_the_call_and_not_of_the_server(circle: Path, tmp_path: Path) -> None:
    with serve(circle.parent, "--model", str(tmp_path / "nowhere")) as server:
        server.initialize()
        assert server.request("tools/list")["result"]["tools"]
        arguments = {"question": "What is it?", "images": ["circle.png"]}
        for _ in range(2):
            result = server.request("tools/call", name="ask_image", arguments=arguments)["result"]
            assert result["isError"]
            assert "nowhere" in result["content"][0]["text"]


def test_nothing_but_json_reaches_stdout_in_a_hostile_environment(circle: Path) -> None:
    hostile = {"PYTHONWARNINGS": "default", "PYTHONUNBUFFERED": "1", "TERM": "xterm-256color", "FORCE_COLOR": "1"}
    with serve(circle.parent, "--verbose", **hostile) as server:
        server.initialize()
        server.notify("notifications/cancelled", requestId=99)
        assert server.request("tools/list", cursor="x")["error"]["code"] == -32602
        assert server.request("tools/call", name="rm", arguments={})["error"]["code"] == -32602


@pytest.mark.parametrize("variable", ["LORGNETTE_MAX_NEW_TOKENS", "LORGNETTE_NONSENSE"])
def test_bad_settings_end_the_server_with_one_line_before_it_serves(variable: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cli.main", "serve"],
        input="",
        capture_output=True,
        encoding="utf-8",
        env=environment(**{variable: "garbage\n"}),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout == ""
    (line,) = run.stderr.splitlines()
    assert line.startswith("Error: ") and variable in line


def test_a_call_in_flight_does_not_keep_the_server_alive(circle: Path) -> None:
    with serve(circle.parent) as server:
        server.initialize()
        arguments = {"question": "What is it?", "images": ["circle.png"]}
        server.begin("tools/call", name="ask_image", arguments=arguments)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_ctrl_c_in_the_clients_terminal_is_the_clients_business(circle: Path) -> None:
    with serve(circle.parent) as server:
        server.initialize()
        server.interrupt()
        assert server.request("ping")["result"] == {}


def test_listing_the_tools_loads_nothing_heavy() -> None:
    program = f"""
import sys
import anyio, cli.main, cli.ask.render
from mcp import Client
from mcp_server.app import build_server
from lorgnette.settings import load_settings
async def main():
    async with Client(build_server(load_settings(), lambda settings, progress: None)) as client:
        assert (await client.list_tools()).tools
anyio.run(main)
print([name for name in ("langchain_core", *{HEAVY!r}) if name in sys.modules])
import graph.agent
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=TIMEOUT_S,
        check=True,
    )
    assert run.stdout.splitlines() == ["[]", "[]"]


def test_the_command_line_itself_imports_click_and_little_else() -> None:
    slow = "('pydantic', 'rich', 'mcp', 'yaml', 'asyncio')"
    program = f"import sys, cli.main; print([name for name in {slow} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, encoding="utf-8", env=environment(), check=True
    )
    assert run.stdout.strip() == "[]"
