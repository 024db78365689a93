"""The README shows what the commands print. Timings and session ids differ from run to run, so they are left out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
VARIES = re.compile(r"^(Time|Session): .*$", re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """Commands of the README with what they print."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in block.split("$ ")[1:]:
            command, _, output = part.partition("\n")
            if command.startswith(".venv/bin/lorgnette"):
                found.append((command, output.strip()))
    return found


def test_the_readme_shows_an_answer_a_refusal_and_a_search() -> None:
    commands = [command for command, _ in examples()]
    assert sum(" ask " in command for command in commands) >= 3
    assert sum(" search " in command for command in commands) >= 2


@pytest.mark.skipif(sys.platform == "win32", reason="the README's commands are for a POSIX shell")
def test_every_command_prints_what_the_readme_shows(tmp_path: Path) -> None:
    environment = os.environ | {"LORGNETTE_HOME": str(tmp_path), "LORGNETTE_TIME_BUDGET_S": "3000"}
    lorgnette = f"{sys.executable} -m cli.main"
    for command, shown in examples():
        done = subprocess.run(
            command.replace(".venv/bin/lorgnette", lorgnette), shell=True, cwd=ROOT, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        )  # fmt: skip
        if " sync " not in command:  # how many files there are is not the README's business
            assert VARIES.sub("", done.stdout).strip() == VARIES.sub("", shown).strip(), command
