"""The MCP server as its clients feel it: start, overhead, memory, cancelling, leaving, and eight clients at once.

`python -m benchmarks.server [--short]` spawns the real command each time. Beside its start stands that of
`mcp-server-git`, a small reference server on the same SDK, in turns with ours. Overhead is that of an agent that
answers at once; what is cancelled is a model of 100 M random weights, which writes until it is stopped. The clients
ask the bundled checkpoint for five minutes, seven of them one question after the other, one four at a time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.report import publish

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
MIB = 2**20
GREEDY = 4  # questions that the greedy client has under way
LONG = {"question": "Describe the picture.", "images": ["shapes.png"], "effort": "quick", "max_new_tokens": 2000}
QUICK = {**LONG, "max_new_tokens": 1}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a minute in all; writes nothing")
    parser.add_argument("--stub", choices=("stdio", "http"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stub:
        serve_stub(options.stub)
        return
    runs, calls, stops, seconds = (3, 100, 1, 20.0) if options.short else (15, 1000, 5, 300.0)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        rows = [*starts(home, runs), *overhead(home, calls), *memory(home), *leaving(home, stops)]
        rows += clients(home, seconds)
    if options.short:
        for row in rows:
            print(row)
    else:
        publish("server", "The MCP server", rows, runs=runs, calls=calls, clients_s=seconds)
    missed = [row["what"] for row in rows if row["aim"] is not None and row["value"] > row["aim"]]
    if missed:
        print(f"not within its aim: {', '.join(missed)}", file=sys.stderr)


def row(what: str, value: float, unit: str, aim: float | None = None) -> dict[str, Any]:
    """Return a row of the table; an aim is the most that is wanted."""
    return {"what": what, "value": value, "unit": unit, "aim": aim}


class Stdio:
    """A server over stdio, spoken to line by line."""

    def __init__(self, command: Sequence[str | Path], home: Path, **extra: str) -> None:
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            encoding="utf-8", cwd=home, env={**os.environ, "LORGNETTE_HOME": str(home / "data"), **extra},
        )  # fmt: skip
        self._number = 0

    def __enter__(self) -> "Stdio":
        client = {"name": "benchmark", "version": "0"}
        self.request("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        self.send({"method": "notifications/initialized"})
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not written has no reader any more
                    pipe.close()

    def send(self, message: dict[str, Any]) -> None:
        """Write one line."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.process.stdin.flush()

    def begin(self, method: str, **params: Any) -> int:
        """Send a request and return its number."""
        self._number += 1
        self.send({"id": self._number, "method": method, "params": params})
        return self._number

    def read(self) -> dict[str, Any]:
        """Return the next message."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("a server ended by itself")
        message: dict[str, Any] = json.loads(line)
        return message

    def answer(self, number: int) -> dict[str, Any]:
        """Return the answer to a request, passing over what comes before it."""
        while (message := self.read()).get("id") != number:
            pass
        return message

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return its answer."""
        return self.answer(self.begin(method, **params))

    def ask(self, **arguments: Any) -> dict[str, Any]:
        """Call ask_image; while the model loads, again."""
        while True:
            result: dict[str, Any] = self.request("tools/call", name="ask_image", arguments=arguments)["result"]
            if not result.get("isError"):
                return result
            if "still loading" not in result["content"][0]["text"]:
                sys.exit(f"a question failed: {result['content'][0]['text']}")

    def begin_long(self) -> int:
        """Begin a long answer and return when its first words have been written."""
        number = self.begin("tools/call", name="ask_image", arguments=LONG, _meta={"progressToken": "p"})
        while "characters" not in str((message := self.read()).get("params", {}).get("message", "")):
            if message.get("id") == number:
                sys.exit(f"an answer ended too early to be cancelled: {message}")
        return number

    def mib(self) -> float:
        """Return the memory that the process holds."""
        return resident(self.process.pid)


def resident(pid: int) -> float:
    """Return the resident memory of a process and its children, in MiB."""
    import psutil

    process = psutil.Process(pid)
    return round(sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / MIB, 1)


def lorgnette(*arguments: str | Path) -> list[str | Path]:
    """Return the command of our server, without documents."""
    return [BIN / "lorgnette", "serve", "--root", ROOT / "examples", "--kb", "no-documents", *arguments]


def starts(home: Path, runs: int) -> list[dict[str, Any]]:
    """Measure from the spawn to the answer to tools/list, in turns, after one start that fills the disk's cache."""
    commands: dict[str, Sequence[str | Path]] = {
        "ours": lorgnette(), "theirs": [BIN / "mcp-server-git", "--repository", ROOT],
    }  # fmt: skip
    times: dict[str, list[float]] = {name: [] for name in commands}
    sdk: list[float] = []
    for _ in range(runs + 1):
        for name, command in commands.items():
            with Stdio(command, home) as server:
                server.request("tools/list")
                times[name].append(time.perf_counter() - server.began)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import mcp.server"], check=True)
        sdk.append(time.perf_counter() - began)
    ours, theirs = (statistics.median(times[name][1:]) for name in commands)
    return [
        row("spawn to tools/list, median", ours, "s", 0.6),
        row("the same of mcp-server-git", theirs, "s"),
        row("ours to theirs", ours / theirs, "times", 0.5),
        row("spawn to the SDK imported, which both need", statistics.median(sdk[1:]), "s"),
    ]


def serve_stub(transport: str) -> None:
    """Serve an agent that answers at once."""
    from graph.answer import Answer, ModelResult, Usage
    from graph.served_agent import ServedAgent
    from lorgnette.settings import load_settings
    from mcp_server.app import build_server

    answer = Answer(
        answer="Three.", citations=[], boxes=[], plan=None, review=None, degraded=[],
        model=ModelResult(name="stub", adapter=None, quantization="none"),
        usage=Usage(prefill_tokens=0, cached_tokens=0, new_tokens=0, seconds=0.0), session_id="s", truncated=False,
    )  # fmt: skip

    class Stub(ServedAgent):
        def answer(self, *_: Any, **__: Any) -> Answer:
            return answer

    settings = load_settings(calls_per_minute=0, kb="no-documents")
    if transport == "stdio":
        build_server(settings, lambda *_: Stub()).run("stdio")
        return
    from mcp_server.http_server import HttpServer

    HttpServer(settings, "127.0.0.1", 0, lambda *_: Stub()).run(lambda text: print(text, file=sys.stderr))


def overhead(home: Path, calls: int) -> list[dict[str, Any]]:
    """Measure a call of ask_image whose answer is there at once, over both transports."""
    import httpx2

    stub, environment = [sys.executable, "-m", "benchmarks.server", "--stub"], {"PYTHONPATH": str(ROOT)}
    arguments = {"question": "How many?"}
    with Stdio([*stub, "stdio"], home, **environment) as server:
        stdio = timed(calls, lambda: server.ask(**arguments))
    with over_http([*stub, "http"], home, **environment) as (url, _), httpx2.Client(trust_env=False) as http:
        headers = {"Accept": "application/json, text/event-stream"}
        client = {"name": "benchmark", "version": "0"}
        params: dict[str, Any] = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
        body = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
        reply = http.post(f"{url}/mcp", json=body, headers=headers)
        headers |= {"mcp-session-id": reply.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
        http.post(f"{url}/mcp", json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=headers)
        call = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": "ask_image", "arguments": arguments},
        }

        def ask() -> None:
            if "Three." not in http.post(f"{url}/mcp", json=call, headers=headers).text:
                sys.exit("a call over HTTP failed")

        over = timed(calls, ask)
    return [
        row("call over stdio, p50", stdio[0], "ms", 2.0),
        row("call over stdio, p99", stdio[1], "ms"),
        row("call over HTTP, p50", over[0], "ms"),
        row("call over HTTP, p99", over[1], "ms"),
    ]


def timed(calls: int, call: Any) -> tuple[float, float]:
    """Return the median and the 99th percentile of a call, in milliseconds, after 20 that warm up."""
    times = []
    for _ in range(calls + 20):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(times[20:], n=100)
    return cuts[49], cuts[98]


@contextmanager
def over_http(command: Sequence[str | Path], home: Path, **extra: str) -> Iterator[tuple[str, int]]:
    """Run a server over HTTP; yields its address and the number of its process."""
    with subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, encoding="utf-8", cwd=home,
        env={**os.environ, "LORGNETTE_HOME": str(home / "data"), **extra},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        said = process.stderr.readline()
        if "listens on" not in said:
            sys.exit(f"the server did not start: {said}")
        # What else it says must not fill the pipe.
        threading.Thread(target=lambda: sys.stderr.writelines(process.stderr or ()), daemon=True).start()
        try:
            yield said.partition("listens on ")[2].partition("/mcp")[0], process.pid
        finally:
            process.terminate()
            process.wait()


def memory(home: Path) -> list[dict[str, Any]]:
    """Measure what the process holds before and after its first question, with its own model and with another's."""
    rows = []
    with Stdio(lorgnette(), home) as server:
        server.request("tools/list")
        rows.append(row("memory at tools/list", server.mib(), "MiB"))
        server.ask(**QUICK)
        rows.append(row("memory after the first question", server.mib(), "MiB"))
        for _ in range(20):
            server.ask(**QUICK)
        rows.append(row("memory after 20 more", server.mib(), "MiB"))
    with over_http([*lorgnette(), "--http", "--port", "0"], home), Stdio(lorgnette(), home) as attached:
        attached.ask(**QUICK)
        rows.append(row("memory after the first question, attached", attached.mib(), "MiB"))
    return rows


def leaving(home: Path, runs: int) -> list[dict[str, Any]]:
    """Measure when the model is free after a cancelled answer, and when the process ends after its stdin."""
    from benchmarks.shared_prefix import write_small

    folder = home / "100M"
    write_small(folder)
    freed, ended = [], []
    for _ in range(runs):
        with Stdio(lorgnette("--model", folder, "--time-budget", "600"), home) as server:
            server.ask(**QUICK)
            alone = statistics.median(seconds_of(server) for _ in range(3))
            number = server.begin_long()
            server.send({"method": "notifications/cancelled", "params": {"requestId": number}})
            freed.append(max(seconds_of(server) - alone, 0.0))
            server.begin_long()
            assert server.process.stdin is not None
            began = time.perf_counter()
            server.process.stdin.close()
            server.process.wait()
            ended.append(time.perf_counter() - began)
    return [
        row("cancel to model free, worst", max(freed), "s", 1.0),
        row("end of stdin to exit, a call in flight, worst", max(ended), "s", 1.0),
    ]


def seconds_of(server: Stdio) -> float:
    """Return how long a short answer takes from now on."""
    began = time.perf_counter()
    server.ask(**QUICK)
    return time.perf_counter() - began


def clients(home: Path, seconds: float) -> list[dict[str, Any]]:
    """Let eight clients ask one server, and count."""
    import anyio

    with over_http([*lorgnette(), "--http", "--port", "0"], home, LORGNETTE_CALLS_PER_MINUTE="0") as (url, pid):
        answers, errors, grown = anyio.run(ask_together, url, pid, seconds)
    steady = [answers[name] for name in range(7)]
    return [
        row(f"8 HTTP clients, {seconds:.0f} s: answers", answers.total(), "answers"),
        row("errors", len(errors), "answers", 0),
        row("least of seven clients that ask one at a time", min(steady), "answers"),
        row("most of them", max(steady), "answers"),
        row(f"of the one that asks {GREEDY} at a time", answers[7], "answers"),
        row("most to least of the seven", max(steady) / max(min(steady), 1), "times", 1.5),
        row("the greedy one to the median of the seven", answers[7] / max(statistics.median(steady), 1), "times", 2.0),
        row("memory after the first tenth of the time", grown[0], "MiB"),
        row("memory at the end", grown[1], "MiB", grown[0] * 1.1),
    ]


async def ask_together(url: str, pid: int, seconds: float) -> tuple[Counter[int], list[str], tuple[float, float]]:
    """Return the answers by client, what went wrong, and the memory early and at the end."""
    import anyio
    from mcp import Client
    from mcp.types import Implementation

    answers, errors = Counter[int](), list[str]()

    async def ask(client: Any, name: int, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            number += 1
            asked = {"question": f"How many objects are there? {number}", "images": ["shapes.png"]}
            result = await client.call_tool("ask_image", asked)
            if result.is_error:
                errors.append(result.content[0].text)
            elif time.monotonic() < until:  # those that were under way at the end are more with the greedy one
                answers[name] += 1

    async def run(name: int, until: float) -> None:
        who = Implementation(name=f"client-{name}", version="0")
        mode = "auto" if name % 2 else "legacy"
        async with Client(f"{url}/mcp", mode=mode, client_info=who) as client, anyio.create_task_group() as group:
            for _ in range(GREEDY if name == 7 else 1):
                group.start_soon(ask, client, name, until)

    async with Client(f"{url}/mcp") as client:  # the model is there before the clock runs
        while (await client.call_tool("ask_image", QUICK)).is_error:
            pass
    until = time.monotonic() + seconds
    async with anyio.create_task_group() as group:
        for name in range(8):
            group.start_soon(run, name, until)
        await anyio.sleep(seconds / 10)
        early = resident(pid)
    return answers, errors, (early, resident(pid))


if __name__ == "__main__":
    main()
