"""The house plan. import-linter keeps who may import whom (`make lint`); here is what a mere import may cost."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "chromadb", "sentence_transformers", "langgraph", "peft", "nicegui")
ROOMS = ("cli", "common", "finetune", "graph", "lorgnette", "mcp_server", "model", "page", "retrieval")
MOST_MODULES = 21


@pytest.mark.parametrize(
    "module",
    [
        "cli.main", "cli.open", "mcp_server", "mcp_server.http_server", "page", "page.desk", "lorgnette",
        "lorgnette.settings", "lorgnette.local_agent", "graph", "graph.agent", "model.open", "retrieval.knowledge_base",
    ],
)  # fmt: skip
def test_an_import_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert run.stdout == "[]\n"


def test_the_contracts_between_rooms_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run([command, "--no-logo"], capture_output=True, text=True, cwd=ROOT)
    assert run.returncode == 0, run.stdout


def rooms_as_mermaid() -> str:
    """Draw the imports between the rooms as they are in the code."""
    import grimp

    graph = grimp.build_graph(*ROOMS)
    arrows = {
        (module.partition(".")[0], imported.partition(".")[0])
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
    }
    lines = [f"    {room} --> {other}" for room, other in sorted(arrows) if room != other]
    return "\n".join(["graph TD", *lines])


def test_the_picture_of_the_rooms_is_the_one_of_the_imports() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    assert f"```mermaid\n{rooms_as_mermaid()}\n```" in page


def test_every_file_that_the_page_sends_people_to_is_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)", page)
    assert len(named) > 25
    for name in named:
        assert (ROOT / name).is_file(), name


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_holds_more_modules_than_a_stranger_can_look_through(room: str) -> None:
    folders = [ROOT / room, *(path for path in (ROOT / room).rglob("*") if path.is_dir())]
    for folder in folders:
        assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) < MOST_MODULES, folder


def test_every_package_is_installed() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    there = {
        ".".join(file.parent.relative_to(ROOT).parts) for room in ROOMS for file in (ROOT / room).rglob("__init__.py")
    }
    assert set(listed) == there
