"""`lorgnette serve` with fewer tools, and with more."""

import os
import subprocess
import sys

import pytest
from mcp import Client, StdioServerParameters

pytestmark = pytest.mark.heavy


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("flags", "offered"),
    [
        (["--read-only", "--tools", "ask_image,save_session_summary"], ["ask_image"]),
        (["--exclude-tools", "ask_image", "--jobs"], ["search_kb", "save_session_summary", "get_job"]),
    ],
)
async def test_the_flags_choose_the_tools(flags: list[str], offered: list[str]) -> None:
    command = StdioServerParameters(command=sys.executable, args=["-m", "cli.main", "serve", *flags], env=environment())
    async with Client(command) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == offered


def test_a_tool_that_there_is_not_ends_the_start_with_one_line() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "cli.main", "serve", "--tools", "ask_picture"],
        input="",
        capture_output=True,
        encoding="utf-8",
        env=environment(),
        timeout=300,
        check=False,
    )
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "Error: tools names the tool 'ask_picture', which there is not; known are ask_image, get_job, "
        "save_session_summary, search_kb.\n"
    )
