"""The house plan: who may import whom, and what a mere import may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "cli": {"mcp_server", "graph", "model", "retrieval", "finetune"},
    "mcp_server": {"graph", "model", "retrieval"},
    "graph": {"model", "retrieval"},
    "finetune": {"graph", "model"},
    "model": set[str](),
    "retrieval": set[str](),
}
HEAVY = ("torch", "transformers", "chromadb", "sentence_transformers", "langgraph", "peft")


def _imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    names = {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for file in files:
        imported = _imports(file)
        assert imported & set(MAY_IMPORT) <= MAY_IMPORT[package] | {package}, file
        if package not in ("cli", "mcp_server"):
            assert "mcp" not in imported, file
        if package not in ("model", "finetune"):
            assert not imported & {"torch", "transformers", "peft"}, file


@pytest.mark.parametrize(
    "module",
    [
        "cli.main",
        "mcp_server",
        "lorgnette.settings",
        "graph",
        "graph.agent",
        "model.open",
        "retrieval.knowledge_base",
    ],
)
def test_an_import_loads_nothing_heavy(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
