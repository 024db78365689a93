"""Every byte that the served process writes to stdout is a line of JSON-RPC, whatever is broken around it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from mcp.types import jsonrpc_message_adapter
from PIL import Image

from common.home import data_home
from lorgnette.settings import Settings
from model.hub import tiny_folder
from retrieval.knowledge_base import catalogue_path

pytestmark = pytest.mark.heavy

TIMEOUT_S = 300
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602
PING = b'{"jsonrpc": "2.0", "id": "last", "method": "ping"}\n'

# Put in front of everything by Python itself; it speaks up when a library is imported, in three ways.
CHATTERBOX = """
import os, subprocess, sys
class Chatterbox:
    def find_spec(self, name, path=None, target=None):
        if name in ("pydantic", "mcp", "PIL", "torch"):
            print("welcome to", name)
            sys.stdout.write("no line end")
            os.write(1, b"bytes of " + name.encode())
            subprocess.run(["echo", "a child of", name])
sys.meta_path.insert(0, Chatterbox())
"""


class Served:
    """The process, spoken to in bytes; what it says is checked as it comes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.said: list[dict[str, Any]] = []

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        number = len(self.said) + 1000
        self.send(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n")
        return self.reply_to(number)

    def initialize(self) -> None:
        client = {"name": "test", "version": "0"}
        self.request("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        self.send(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result: dict[str, Any] = self.request("tools/call", name=tool, arguments=arguments)["result"]
        return result

    def reply_to(self, number: object) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            message = check(line)
            self.said.append(message)
            if message.get("id", self) == number and "method" not in message:
                return message
        raise AssertionError(f"the server ended without a reply to {number!r}")


def check(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"\n")
    jsonrpc_message_adapter.validate_json(line.decode("utf-8"), by_name=False)
    message: dict[str, Any] = json.loads(line)
    return message


@contextmanager
def served(folder: Path, *arguments: str, before: Callable[[], None] | None = None, **extra: str) -> Iterator[Served]:
    """Serve `folder`; at the end stdin is closed, and the rest of stdout checked."""
    path = os.pathsep.join([*filter(None, [extra.pop("PYTHONPATH", "")]), *(path for path in sys.path if path)])
    with subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--root", str(folder), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if before else subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": path, "LORGNETTE_TIME_BUDGET_S": "3000", **extra},
        preexec_fn=before,
    ) as process:
        try:
            server = Served(process)
            yield server
            assert process.stdin is not None and process.stdout is not None
            process.stdin.close()
            server.said += [check(line) for line in process.stdout]
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.new("RGB", (64, 48), "red").save(folder / "red.png")
    return folder


def ask(server: Served) -> dict[str, Any]:
    return server.call("ask_image", question="What is it?", images=["red.png"], max_new_tokens=4)


def close_stderr() -> None:
    os.close(2)


def nobody_reads_stderr() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 2)


@pytest.mark.parametrize(
    "surroundings",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LC_ALL": "nowhere.UTF-9", "LANG": "", "TERM": "dumb", "COLUMNS": "1", "NO_COLOR": "1"},
        {"PYTHONVERBOSE": "1", "PYTHONDEVMODE": "1", "PYTHONUNBUFFERED": "1"},
        {"PYTHONSTARTUP": "/dev/null", "PYTHONINSPECT": "", "PYTHONOPTIMIZE": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        {"HOME": "/nonexistent", "TMPDIR": "/nonexistent", "LORGNETTE_HOME": "", "XDG_DATA_HOME": "/nonexistent"},
    ],
    ids=["ascii", "no terminal", "verbose", "startup", "homeless"],
)
def test_a_hostile_environment_adds_nothing_to_stdout(surroundings: dict[str, str], pictures: Path) -> None:
    with served(pictures, before=None, **surroundings) as server:
        server.initialize()
        assert server.request("tools/list")["result"]["tools"]
        refused = server.call("search_kb", query="Was ist das — 何?", größe_图=1)
        assert refused["isError"] and "größe_图" in refused["content"][0]["text"]


@pytest.mark.skipif(os.name != "posix", reason="closes numbered files")
@pytest.mark.parametrize("before", [None, close_stderr])
def test_what_libraries_print_does_not_reach_stdout_even_where_stderr_is_closed(
    before: Callable[[], None] | None, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "sitecustomize.py").write_text(CHATTERBOX, "utf-8")
    with served(pictures, "--verbose", before=before, PYTHONPATH=str(tmp_path / "first")) as server:
        server.initialize()
        assert ask(server)["structuredContent"]["answer"]


@pytest.mark.skipif(os.name != "posix", reason="makes a pipe by hand")
def test_a_log_that_nobody_reads_ends_neither_the_wire_nor_the_server(pictures: Path) -> None:
    with served(pictures, "--verbose", before=nobody_reads_stderr) as server:
        server.initialize()
        assert ask(server)["structuredContent"]["answer"]


@pytest.mark.parametrize("content", [b"", b"not a database, " * 500], ids=["empty", "garbage"])
def test_a_broken_catalogue_is_an_error_of_the_call_on_a_clean_wire(
    content: bytes, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    documents = tmp_path / "documents"
    documents.mkdir()
    (documents / "notes.md").write_text("A circle is round.", "utf-8")
    path = catalogue_path(Settings(kb=documents, roots=(pictures,)), data_home())
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with served(pictures, "--kb", str(documents)) as server:
        server.initialize()
        result = server.call("search_kb", query="circle")
        assert result["isError"] and "lorgnette kb doctor" in result["content"][0]["text"]
        assert server.request("tools/list")["result"]["tools"]


def broken_model(folder: Path, *spoilt: str) -> str:
    folder.mkdir()
    for file in tiny_folder().iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(b"\x00garbage\xff" if file.name in spoilt else file.read_bytes())
    return str(folder)


@pytest.mark.parametrize("spoilt", ["model.safetensors", "everything", "nothing there"])
def test_a_missing_or_broken_model_is_an_error_of_the_call_on_a_clean_wire(
    spoilt: str, pictures: Path, tmp_path: Path
) -> None:
    model = str(tmp_path / "model")
    if spoilt != "nothing there":
        names = [file.name for file in tiny_folder().iterdir()] if spoilt == "everything" else [spoilt]
        model = broken_model(tmp_path / "model", *names)
    with served(pictures, "--model", model) as server:
        server.initialize()
        result = ask(server)
        assert result["isError"] and "Traceback" not in result["content"][0]["text"]
        assert server.request("tools/list")["result"]["tools"]


def test_a_home_that_cannot_be_written_leaves_the_wire_clean(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file, where a folder should be", "utf-8")
    with served(pictures, "--kb", str(pictures), LORGNETTE_HOME=str(tmp_path / "home")) as server:
        server.initialize()
        assert server.call("search_kb", query="circle")["isError"]
        result = ask(server)
        assert result.get("isError") or result["structuredContent"]["degraded"]


NO_MESSAGES: list[tuple[bytes, object, int]] = [
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/li', 1, PARSE_ERROR),
    (b"GET / HTTP/1.1\r", None, PARSE_ERROR),
    (b"\xff\xfe\x00{", None, PARSE_ERROR),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "\\ud800"}', 1, METHOD_NOT_FOUND),
    (b"[" * 100_000, None, PARSE_ERROR),
    (b"x" * 5_000_000, None, PARSE_ERROR),
    (b"[]", None, INVALID_REQUEST),
    (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', 1, INVALID_REQUEST),
    (b'"ping"', None, INVALID_REQUEST),
    (b'{"jsonrpc": "1.0", "id": 7, "method": "ping"}', 7, INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": "seven", "method": 7}', "seven", INVALID_REQUEST),
    (b'{"jsonrpc": "2.0", "id": true, "method": []}', None, INVALID_REQUEST),
]
NOT_ANSWERED = [
    b"",
    b"   \t ",
    b'{"jsonrpc": "2.0", "method": "notifications/cancelled", "params": []}',
    b'{"jsonrpc": "2.0", "method": "notifications/nonsense"}',
    b'{"jsonrpc": "2.0", "id": 1, "result": 3}',
    b'{"jsonrpc": "2.0", "id": 1, "error": "no"}',
]


def test_a_line_that_is_no_message_is_answered_unless_nobody_waits_and_the_next_one_is_served(pictures: Path) -> None:
    expected = [*NO_MESSAGES, *((line, None, None) for line in NOT_ANSWERED)]
    with served(pictures) as server:
        server.initialize()
        for line, number, code in expected:
            before = len(server.said)
            server.send(line + b"\n" + PING)
            server.reply_to("last")
            said = [(message["id"], message["error"]["code"]) for message in server.said[before:-1]]
            assert said == ([] if code is None else [(number, code)]), line[:80]


def test_the_first_line_may_be_broken_too(pictures: Path) -> None:
    with served(pictures) as server:
        server.send(b"hello?\n")
        server.initialize()
        assert server.said[0]["error"]["code"] == PARSE_ERROR


def test_a_line_of_five_megabytes_is_refused_by_its_schema(pictures: Path) -> None:
    with served(pictures) as server:
        server.initialize()
        result = server.call("ask_image", question="?" * 5_000_000)
        assert result["isError"] and len(result["content"][0]["text"]) < 10_000
        assert server.request("ping")["result"] == {}


def test_bytes_of_another_encoding_in_a_string_do_no_harm(pictures: Path) -> None:
    with served(pictures) as server:
        server.initialize()
        call = b'{"name": "search_kb", "arguments": {"query": "Gr\xf6\xdfe?", "gr\xfcn": 1}}'
        server.send(b'{"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": ' + call + b"}\n")
        assert server.reply_to(5)["result"]["isError"]


@pytest.mark.parametrize("rest", [b"", b'{"jsonrpc": "2.0", "id": 9, "meth', PING.rstrip(), b"\xff"])
def test_stdin_that_ends_in_the_middle_of_a_line_ends_the_server(rest: bytes, pictures: Path) -> None:
    with served(pictures) as server:
        server.initialize()
        server.send(rest)


def test_a_client_that_stops_reading_ends_the_server_without_a_word(pictures: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "serve", "--root", str(pictures)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip
    with process:
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        server = Served(process)
        server.initialize()
        process.stdout.close()
        server.send(PING * 200)  # the first answers fail before the end of stdin is seen
        with suppress(BrokenPipeError):
            process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(TIMEOUT_S) == 0


def test_an_error_of_the_protocol_is_a_line_too(pictures: Path) -> None:
    with served(pictures) as server:
        server.initialize()
        for method, params in (("tools/call", {"name": 3}), ("no/such", {}), ("tools/list", {"cursor": "x"})):
            assert server.request(method, **params)["error"]["code"] in (INVALID_PARAMS, -32601)
