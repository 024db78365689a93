"""Processes that share a knowledge base are killed, and nothing is lost, stale or corrupt."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="kill works another way there"), pytest.mark.heavy]


def faults(rounds: int, seed: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.faults", "--check", "--rounds", str(rounds), "--seed", str(seed)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_two_rounds_of_kills_lose_nothing() -> None:
    code, said = faults(rounds=2, seed=1)
    assert code == 0, said


@pytest.mark.slow
def test_twenty_rounds_of_kills_lose_nothing() -> None:
    code, said = faults(rounds=20, seed=2)
    assert code == 0, said
