"""A real Chromium, and pages served by a process of their own, with the bundled checkpoint or a scripted agent."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
SHAPES = ROOT / "examples" / "shapes.png"
START_S = 300
WAIT_MS = 100_000
"""A busy machine is no reason to fail."""
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Serve = Callable[..., "Served"]


class Served:
    """A page that runs in a process of its own."""

    def __init__(self, command: list[str], folder: Path, home: Path) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LORGNETTE_")}
        environment |= {"LORGNETTE_HOME": str(home), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        environment |= {"XDG_CONFIG_HOME": str(home / "config")}
        self._said = (folder / f"said-{time.monotonic_ns()}").open("w+")
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=self._said, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://127.0.0.1:"), self.said

    @property
    def said(self) -> str:
        """What it has written to stderr."""
        self._said.flush()
        return Path(self._said.name).read_text("utf-8")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._said.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder in which pages are started."""
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.fixture
def serve_page(folder: Path, home: Path) -> Iterator[Serve]:
    """Start pages, each in a process that ends with the test."""
    need("nicegui")
    with ExitStack() as stack:

        def start(*flags: str, scripted: bool = False) -> Served:
            script = str(Path(__file__).with_name("scripted.py"))
            command = [script] if scripted else ["-m", "cli.main", "open", "--no-browser", "--port", "0"]
            served = Served([sys.executable, *command, *flags], folder, home)
            stack.callback(served.stop)
            return served

        yield start


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Give a real browser; skips where none is installed."""
    need("playwright", "nicegui")
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: "Browser") -> "Iterator[Page]":
    """Give an empty tab, in English; what its console says of errors fails the test."""
    context = browser.new_context(locale="en-US", viewport={"width": 1100, "height": 800})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert errors == []


def visit(tab: Any, address: str) -> None:
    """Open the page, and wait until it can be used."""
    tab.goto(address)
    tab.wait_for_selector("body[data-ready]")


def ask(tab: Any, question: str, *pictures: Path) -> None:
    """Ask in the page, with pictures by the file dialog; returns at once."""
    if pictures:
        tab.set_input_files("input[type=file]", [str(picture) for picture in pictures])
        tab.locator(".lo-chip").nth(len(pictures) - 1).wait_for()
    tab.fill(".lo-question textarea", question)
    tab.press(".lo-question textarea", "Enter")


def answered(tab: Any, count: int = 1) -> str:
    """Wait for the answer of so many questions, and return the last one's words."""
    tab.locator(".lo-review").nth(count - 1).wait_for()
    return str(tab.locator(".lo-text").nth(count - 1).inner_text())
