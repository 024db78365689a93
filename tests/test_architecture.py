"""The house plan. import-linter keeps who may import whom (`make lint`); here is what a mere import may cost."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "chromadb", "sentence_transformers", "langgraph", "peft", "nicegui")
ROOMS = ("cli", "common", "finetune", "graph", "lorgnette", "mcp_server", "model", "retrieval")
MOST_MODULES = 21


@pytest.mark.parametrize(
    "module",
    [
        "cli.main", "mcp_server", "lorgnette", "lorgnette.settings", "lorgnette.local_agent", "graph", "graph.agent",
        "model.open", "retrieval.knowledge_base",
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


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_holds_more_modules_than_a_stranger_can_look_through(room: str) -> None:
    folders = [ROOT / room, *(path for path in (ROOT / room).rglob("*") if path.is_dir())]
    for folder in folders:
        assert len([file for file in folder.glob("*.py") if file.name != "__init__.py"]) < MOST_MODULES, folder
