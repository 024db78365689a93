"""docs/clients.md says what the code does."""

import json
import re
import tomllib
from pathlib import Path

from cli.clients.install import install
from mcp_server.clients.known_clients import CLIENTS, Place
from mcp_server.clients.launch_command import Launch

PAGE = (Path(__file__).parents[1] / "docs" / "clients.md").read_text("utf-8")
BY_HAND = Launch("/path/to/.venv/bin/lorgnette", ("serve", "--root", "/home/me/Pictures"), {}, (), 50.0)


def test_the_entries_by_hand_are_those_that_install_writes() -> None:
    shown, _ = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]
    assert shown == {"mcpServers": {"lorgnette": CLIENTS["claude-desktop"].entry(BY_HAND)}}
    (table,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert tomllib.loads(table) == {"mcp_servers": {"lorgnette": CLIENTS["codex"].entry(BY_HAND)}}


def test_the_page_names_every_file_and_every_flag() -> None:
    place = Place("macos", Path("~"), {}, Path())
    for client in CLIENTS.values():
        assert f"`{client.name}`" in PAGE and f"| {client.title} |" in PAGE
        assert f"`{client.user_file(place).as_posix()}`" in PAGE
        assert client.workspace_file is None or f"`{client.workspace_file}`" in PAGE
    own = ("name", "workspace", "file", "dry_run", "only_print", "force")
    assert all(option.opts[0] in PAGE for option in install.params if option.name in own)
