"""What the documentation shows is what the program prints."""

import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

from click.testing import CliRunner

from cli.main import app


def test_the_documented_state_machine_is_the_real_one() -> None:
    page = (Path(__file__).parents[1] / "docs" / "agent.md").read_text("utf-8")
    printed = CliRunner().invoke(app, ["graph"]).stdout.strip()
    assert f"```mermaid\n{printed}\n```" in page


def test_the_page_about_python_is_run(tmp_path: Path) -> None:
    """Each block of the page runs, in a process of its own, and prints what its comments say."""
    root = Path(__file__).parents[1]
    environment = {**os.environ, "LORGNETTE_HOME": str(tmp_path), "PYTHONPATH": str(root)}
    run = partial(subprocess.run, capture_output=True, text=True, cwd=root, env=environment, check=True)
    run([sys.executable, "-m", "cli.main", "kb", "sync", "knowledge_base"])
    blocks = re.findall(r"```python\n(.*?)```", (root / "docs" / "python.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        printed = run([sys.executable, "-c", block]).stdout.splitlines()
        for wanted in re.findall(r"print\(.*?\)\s+# (.+)", block):
            assert wanted in printed, block
