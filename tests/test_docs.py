"""What the documentation shows is what the program prints."""

from pathlib import Path

from click.testing import CliRunner

from cli.main import app


def test_the_documented_state_machine_is_the_real_one() -> None:
    page = (Path(__file__).parents[1] / "docs" / "agent.md").read_text("utf-8")
    printed = CliRunner().invoke(app, ["graph"]).stdout.strip()
    assert f"```mermaid\n{printed}\n```" in page
