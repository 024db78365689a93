"""The documentation's figures are those that the benchmarks wrote."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_table_of_the_documentation_is_the_committed_result() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.report", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (ROOT / "docs" / "measurements.md").read_text("utf-8").count("<!-- end -->") >= 3
