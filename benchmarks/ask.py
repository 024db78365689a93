"""What a question and a start cost: cold and warm `ask`, `--help`, `serve` to `tools/list` beside an empty server.

`python -m benchmarks.ask [--runs 10]` starts every command anew, alternating with its peer, and quotes medians.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import publish

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "examples" / "shapes.png"
QUESTION = "How many objects are there?"
CLI = Path(sys.executable).parent / "lorgnette"
EMPTY_SERVER = """
from mcp.server import MCPServer
MCPServer("empty", version="1").run()
"""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    runs: int = parser.parse_args().runs
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        empty = Path(folder, "empty.py")
        empty.write_text(EMPTY_SERVER, "utf-8")
        cold: dict[str, Callable[[], float]] = {
            "bare python -c pass": lambda: command([sys.executable, "-c", "pass"]),
            "lorgnette --help": lambda: command([str(CLI), "--help"]),
            "empty mcp server to tools/list": lambda: listed([sys.executable, str(empty)]),
            "lorgnette serve to tools/list": lambda: listed([str(CLI), "serve"]),
            "lorgnette ask, new process": lambda: command(
                [str(CLI), "ask", QUESTION, str(PICTURE), "--root", str(ROOT)]
            ),
            "the same, --effort quick": lambda: command(
                [str(CLI), "ask", QUESTION, str(PICTURE), "--root", str(ROOT), "--effort", "quick"]
            ),
        }
        seconds: dict[str, list[float]] = defaultdict(list)
        for _ in range(runs):  # in turns, so that a slow minute of the machine hits all alike
            for name, measure in cold.items():
                seconds[name].append(measure())
    rows += [row(name, values) for name, values in seconds.items()]
    phases = warm(runs)
    rows += [row(name, values) for name, values in phases.items()]
    publish("ask", f"Seconds, median of {runs}", rows, runs=runs)


def row(name: str, values: list[float]) -> dict[str, object]:
    """Return a table row: median, fastest and slowest, in seconds."""
    return {
        "what": name,
        "median s": round(statistics.median(values), 3),
        "min s": round(min(values), 3),
        "max s": round(max(values), 3),
    }


def command(arguments: list[str]) -> float:
    """Return the wall-clock seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(arguments, check=True, capture_output=True)
    return time.perf_counter() - began


def listed(arguments: list[str]) -> float:
    """Return the seconds from starting a server to its answered `tools/list`, with the SDK's own client."""

    async def run() -> float:
        from mcp import Client, StdioServerParameters

        began = time.perf_counter()
        async with Client(StdioServerParameters(command=arguments[0], args=arguments[1:])) as client:
            await client.list_tools()
            return time.perf_counter() - began

    return asyncio.run(run())


def warm(runs: int) -> dict[str, list[float]]:
    """Return the seconds of loading and of each node when the model is already in memory."""
    from graph.agent import open_agent
    from graph.answer import Event
    from graph.settings import AgentSettings

    seconds: dict[str, list[float]] = defaultdict(list)
    began = time.perf_counter()
    agent = open_agent(AgentSettings(roots=(ROOT,)))
    seconds["imports and weights, in a warm file cache"].append(time.perf_counter() - began)
    agent.ask(QUESTION, [str(PICTURE)])

    def note(event: Event) -> None:
        if event.kind == "end":
            seconds[f"  of which {event.node}"].append(event.seconds)

    for _ in range(runs):
        began = time.perf_counter()
        agent.ask(QUESTION, [str(PICTURE)], on_event=note)
        seconds["ask, warm"].append(time.perf_counter() - began)
    return {name: seconds[name] for name in sorted(seconds, key=lambda n: n.startswith("  "))}


if __name__ == "__main__":
    main()
