"""Where each client keeps its file and its logs on each system, and how it wants an entry."""

from pathlib import Path

import pytest

from mcp_server.clients.known_clients import CLIENT_NAMES, CLIENTS, Place, System
from mcp_server.clients.launch_command import Launch

LAUNCH = Launch("/l", ("serve", "--root", "/p"), {"LORGNETTE_HOME": "/h"}, ("LORGNETTE_API_KEY",), 50.0)


def place(system: System, home: Path, **environ: str) -> Place:
    return Place(system, home, environ, home / "project")


@pytest.mark.parametrize(
    ("name", "system", "file", "log"),
    [
        ("claude-desktop", "linux", ".config/Claude/claude_desktop_config.json",
         ".config/Claude/logs/mcp-server-l.log"),
        ("claude-desktop", "macos", "Library/Application Support/Claude/claude_desktop_config.json",
         "Library/Logs/Claude/mcp-server-l.log"),
        ("claude-desktop", "windows", "AppData/Roaming/Claude/claude_desktop_config.json",
         "AppData/Roaming/Claude/logs/mcp-server-l.log"),
        ("claude-code", "linux", ".claude.json", ".cache/claude-cli-nodejs"),
        ("claude-code", "macos", ".claude.json", "Library/Caches/claude-cli-nodejs"),
        ("claude-code", "windows", ".claude.json", "AppData/Local/claude-cli-nodejs/Cache"),
        ("vscode", "linux", ".config/Code/User/mcp.json", ".config/Code/logs"),
        ("vscode", "macos", "Library/Application Support/Code/User/mcp.json", "Library/Application Support/Code/logs"),
        ("vscode", "windows", "AppData/Roaming/Code/User/mcp.json", "AppData/Roaming/Code/logs"),
        ("cursor", "linux", ".cursor/mcp.json", ".config/Cursor/logs"),
        ("cursor", "macos", ".cursor/mcp.json", "Library/Application Support/Cursor/logs"),
        ("cursor", "windows", ".cursor/mcp.json", "AppData/Roaming/Cursor/logs"),
        ("codex", "linux", ".codex/config.toml", ".codex/log/codex-tui.log"),
        ("codex", "macos", ".codex/config.toml", ".codex/log/codex-tui.log"),
        ("codex", "windows", ".codex/config.toml", ".codex/log/codex-tui.log"),
    ],
)  # fmt: skip
def test_each_file_and_log_is_where_the_client_has_it(
    name: str, system: System, file: str, log: str, tmp_path: Path
) -> None:
    client = next(client for client in CLIENTS.values() if client.name == name)
    here = place(system, tmp_path)
    assert client.file(here, workspace=False) == tmp_path / file
    assert str(tmp_path / log) in client.logs(here, "l")


def test_every_client_of_the_list_is_known() -> None:
    assert tuple(CLIENTS) == CLIENT_NAMES


def test_the_windows_package_of_claude_desktop_has_its_own_folder(tmp_path: Path) -> None:
    package = tmp_path / "AppData" / "Local" / "Packages" / "Claude_pzs8sxrjxfjjc"
    package.mkdir(parents=True)
    file = CLIENTS["claude-desktop"].file(place("windows", tmp_path), workspace=False)
    assert file == package / "LocalCache" / "Roaming" / "Claude" / "claude_desktop_config.json"


def test_variables_that_move_a_clients_folder_are_heeded(tmp_path: Path) -> None:
    home = tmp_path / "home"
    moved = place("linux", home, CODEX_HOME=str(tmp_path / "x"), CLAUDE_CONFIG_DIR=str(tmp_path / "y"),
                  XDG_CONFIG_HOME=str(tmp_path / "z"))  # fmt: skip
    assert CLIENTS["codex"].file(moved, workspace=False) == tmp_path / "x" / "config.toml"
    assert CLIENTS["claude-code"].file(moved, workspace=False) == tmp_path / "y" / ".claude.json"
    assert CLIENTS["vscode"].file(moved, workspace=False) == tmp_path / "z" / "Code" / "User" / "mcp.json"
    apps = place("windows", home, APPDATA=str(tmp_path / "a"))
    assert CLIENTS["vscode"].file(apps, workspace=False) == tmp_path / "a" / "Code" / "User" / "mcp.json"


def test_projects_have_their_own_files_where_the_client_knows_them(tmp_path: Path) -> None:
    here = place("linux", tmp_path)
    files = {name: client.file(here, workspace=True) for name, client in CLIENTS.items()}
    project = tmp_path / "project"
    assert files == {
        "claude-desktop": None,
        "claude-code": project / ".mcp.json",
        "vscode": project / ".vscode" / "mcp.json",
        "cursor": project / ".cursor" / "mcp.json",
        "codex": project / ".codex" / "config.toml",
    }


def test_entries_speak_each_clients_words() -> None:
    common = {"command": "/l", "args": ["serve", "--root", "/p"], "env": {"LORGNETTE_HOME": "/h"}}
    typed = {"type": "stdio", **common}
    assert CLIENTS["claude-desktop"].entry(LAUNCH) == common
    assert CLIENTS["claude-code"].entry(LAUNCH) == typed
    assert CLIENTS["vscode"].entry(LAUNCH) == typed
    assert CLIENTS["cursor"].entry(LAUNCH) == typed
    codex = {"env_vars": ["LORGNETTE_API_KEY"], "startup_timeout_sec": 30, "tool_timeout_sec": 120}
    assert CLIENTS["codex"].entry(LAUNCH) == {**common, **codex}


def test_codex_waits_longer_than_the_time_budget() -> None:
    slow = Launch("/l", (), {}, (), 300.0)
    assert CLIENTS["codex"].entry(slow)["tool_timeout_sec"] == 330
    assert "env" not in CLIENTS["codex"].entry(slow)


def test_a_server_sees_little_of_the_clients_environment_and_all_of_the_entrys(tmp_path: Path) -> None:
    here = place("linux", tmp_path, HOME="/h", PATH="/bin", TERM="t", HF_HOME="/hf", LORGNETTE_API_KEY="k", OTHER="o")
    assert here.environment({}) == {"HOME": "/h", "PATH": "/bin", "TERM": "t"}
    assert here.environment({"env": {"HF_HOME": "/x", "PATH": "/y"}, "env_vars": ["LORGNETTE_API_KEY", "NONE"]}) == {
        "HOME": "/h", "PATH": "/y", "TERM": "t", "HF_HOME": "/x", "LORGNETTE_API_KEY": "k",
    }  # fmt: skip
    windows = place("windows", tmp_path, SYSTEMROOT="C:\\Windows", HOME="/h")
    assert windows.environment({}) == {"SYSTEMROOT": "C:\\Windows"}
