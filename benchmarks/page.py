"""How long a page takes until it can be used, beside an empty page of NiceGUI's, in turns, in a real browser.

`python -m benchmarks.page [--runs N]` starts `lorgnette open --no-browser` and an empty NiceGUI page in a process each,
opens both in Chromium, and counts from the start of the process to the question that can be typed, or to the words on
the empty page. The aim is 1.5 times the empty page and a second. Memory is that of the process then. From the moment at
which a model writes a word to the word on the screen: an agent that writes the time of day.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.report import publish

ROOT = Path(__file__).parents[1]
SCRIPTED = ROOT / "tests" / "page" / "scripted.py"
EMPTY = """
import sys
from nicegui import ui
@ui.page("/")
def index() -> None:
    ui.label("empty").classes("lo-empty")
print(f"http://127.0.0.1:{sys.argv[1]}/", flush=True)
ui.run(host="127.0.0.1", port=int(sys.argv[1]), show=False, reload=False, show_welcome_message=False)
"""
MIB = 2**20
TIMEOUT_MS = 100_000


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="starts of each; default 5")
    parser.add_argument("--words", type=int, default=20, help="words whose way is timed; default 20")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    path = next(found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        bare = Path(folder) / "empty_page.py"
        bare.write_text(EMPTY, "utf-8")
        ours, empty = list[tuple[float, float]](), list[tuple[float, float]]()
        for _ in range(options.runs):  # in turns, so that both meet the same machine
            empty.append(start(browser, [str(bare), str(free_port())], Path(folder), ".lo-empty"))
            page = ["-m", "cli.main", "open", "--no-browser", "--port", "0"]
            ours.append(start(browser, page, Path(folder), "body[data-ready]"))
        ways = words(browser, Path(folder), options.words)
        browser.close()
    seconds = [statistics.median(one for one, _ in each) for each in (ours, empty)]
    memory = [statistics.median(one for _, one in each) for each in (ours, empty)]
    rows: list[dict[str, Any]] = [
        {"what": "start to a usable page, median", "page": seconds[0], "empty": seconds[1], "unit": "s",
         "aim": 1.5 * seconds[1] + 1},
        {"what": "memory of the process then", "page": memory[0], "empty": memory[1], "unit": "MiB", "aim": None},
        {"what": "written word to the screen, p50", "page": statistics.median(ways), "empty": None, "unit": "ms",
         "aim": 100.0},
        {"what": "written word to the screen, longest", "page": max(ways), "empty": None, "unit": "ms", "aim": None},
    ]  # fmt: skip
    publish("page", "The page beside an empty one of NiceGUI's", rows, runs=options.runs, words=options.words)


def start(browser: Any, command: list[str], folder: Path, usable: str) -> tuple[float, float]:
    """Return the seconds from the start of a process to its page, and the MiB that it holds then."""
    began = time.perf_counter()
    with served(command, folder) as (process, address):
        tab = browser.new_page()
        visit(tab, address)
        tab.wait_for_selector(usable, timeout=TIMEOUT_MS)
        seconds = time.perf_counter() - began
        tab.close()
        import psutil

        return seconds, psutil.Process(process.pid).memory_info().rss / MIB


def words(browser: Any, folder: Path, count: int) -> list[float]:
    """Return the milliseconds that single words take from the agent to the screen."""
    found = []
    with served([str(SCRIPTED)], folder) as (_, address):
        for _ in range(count):
            tab = browser.new_page()
            visit(tab, address)
            tab.wait_for_selector("body[data-ready]", timeout=TIMEOUT_MS)
            tab.fill(".lo-question textarea", "now")
            tab.evaluate(
                """() => { window.seen = new Promise(done => { const look = () => {
                const text = document.querySelector('.lo-text')?.innerText || '';
                if (/^\\d+\\.\\d+$/.test(text.trim())) done([text.trim(), Date.now() / 1000]);
                else requestAnimationFrame(look); }; look(); }); }"""
            )
            tab.press(".lo-question textarea", "Enter")
            written, shown = tab.evaluate("() => window.seen")
            found.append(1000 * (shown - float(written)))
            tab.close()
    return found


def visit(tab: Any, address: str) -> None:
    """Open an address, whose server may not listen yet."""
    until = time.monotonic() + TIMEOUT_MS / 1000
    while True:
        try:
            tab.goto(address, timeout=TIMEOUT_MS)
        except Exception as error:
            if not re.search("ERR_CONNECTION", str(error)) or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


@contextmanager
def served(command: list[str], folder: Path) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """Run a server, and yield it with the address that it prints."""
    environment = {**os.environ, "LORGNETTE_HOME": str(folder / "home"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()  # an empty page waits for its browser's connections otherwise
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
