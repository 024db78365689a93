"""What `install` wrote starts the server in a simulation of each client: its format, command, environment, folder."""

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters

from mcp_server.clients.known_clients import CLIENT_NAMES, CLIENTS, ClientName, Place
from mcp_server.uris import STATUS

pytestmark = [pytest.mark.skipif(sys.platform == "win32", reason="paths of a POSIX home"), pytest.mark.heavy]

COMMENTED = '{\n  // mine\n  "%s": {\n    "other": {"command": "x"}, // theirs\n  },\n}\n'
BEFORE = {
    "claude-desktop": '{"globalShortcut": "", "mcpServers": {"other": {"command": "x"}}}',
    "claude-code": '{\n  "numStartups": 7,\n  "projects": {"/p": {"mcpServers": {}}}\n}',
    "vscode": COMMENTED % "servers",
    "cursor": COMMENTED % "mcpServers",
    "codex": 'model = "gpt" # best\n\n[mcp_servers.other]\ncommand = "x"\n',
}


def read_as_client(name: ClientName, path: Path) -> dict[str, Any]:
    """Read the entry as the client does; the comments of these files stand at ends of lines."""
    text = path.read_text("utf-8")
    if name == "codex":
        return dict(tomllib.loads(text)["mcp_servers"]["lorgnette"])
    if name in ("vscode", "cursor"):
        text = re.sub(r",(\s*})", r"\1", re.sub(r"(^|\s)//.*", "", text))
    return dict(json.loads(text)["servers" if name == "vscode" else "mcpServers"]["lorgnette"])


@pytest.fixture
def installed(lorgnette: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install into a client's file that holds something already, and return the file's path."""
    monkeypatch.setattr("sys.platform", "linux")
    place = Place("linux", tmp_path / "user", os.environ, tmp_path)

    def install(name: ClientName) -> Path:
        path = CLIENTS[name].file(place, workspace=False)
        assert path is not None
        path.parent.mkdir(parents=True)
        path.write_text(BEFORE[name], encoding="utf-8")
        result = lorgnette("install", name, "--root", ".", "--kb", "b", "--force")
        assert result.exit_code == 0, result.stderr
        return path

    return install


# One whose file is JSON and one whose file is TOML; the others start the same command.
STARTED = [
    pytest.param(name, marks=() if name in ("claude-desktop", "codex") else pytest.mark.slow) for name in CLIENT_NAMES
]


@pytest.mark.parametrize("name", STARTED)
def test_the_written_entry_starts_the_server_as_the_client_does(
    name: ClientName, installed: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = read_as_client(name, installed(name))
    monkeypatch.setenv("LORGNETTE_HOME", "/nowhere")  # the client's own environment is not the user's shell
    # The SDK's client passes on HOME, LOGNAME, PATH, SHELL, TERM and USER, as Claude Desktop does.
    folder = "/" if name == "claude-desktop" else str(tmp_path)
    parameters = StdioServerParameters(command=entry["command"], args=entry["args"], env=entry["env"], cwd=folder)

    async def talk() -> None:
        async with Client(parameters, mode="legacy" if name != "codex" else "auto") as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert {"ask_image", "search_kb", "save_session_summary"} <= tools
            settings = json.loads((await client.read_resource(STATUS)).contents[0].text)["settings"]  # type: ignore[union-attr]
            assert (settings["roots"], settings["kb"]) == ([str(tmp_path)], str(tmp_path / "b"))
            result = await client.call_tool("search_kb", {"query": "warranty"}, read_timeout_seconds=60)
            assert not result.is_error, result

    anyio.run(talk)


@pytest.mark.parametrize("name", CLIENT_NAMES)
def test_what_was_there_before_comes_back_whole(name: ClientName, installed: Any, lorgnette: Any) -> None:
    path = installed(name)
    assert lorgnette("uninstall", name).exit_code == 0
    left = path.read_text("utf-8")
    if name == "claude-code":  # the key that it needed stays, and is empty
        assert json.loads(left) == {**json.loads(BEFORE[name]), "mcpServers": {}}
    else:
        assert left == BEFORE[name]


def checks_of(result: Any, name: str) -> list[dict[str, str]]:
    return [check for check in json.loads(result.stdout)["checks"] if check["name"] == name]


def test_doctor_tries_the_entry_and_says_where_the_logs_are(installed: Any, lorgnette: Any) -> None:
    path = installed("claude-desktop")
    (check,) = checks_of(lorgnette("doctor", "--json"), "claude-desktop")
    assert check["state"] == "ok", check
    assert str(path) in check["found"] and "lorgnette://status read" in check["found"]
    assert str(path.parent / "logs" / "mcp-server-lorgnette.log") in check["found"]


def test_doctor_speaks_of_no_client_that_has_no_entry(lorgnette: Any) -> None:
    assert not [check for name in CLIENT_NAMES for check in checks_of(lorgnette("doctor", "--json"), name)]
    result = lorgnette("doctor", "codex", "--json")
    assert result.exit_code == 1
    (check,) = checks_of(result, "codex")
    assert (check["state"], check["mend"]) == ("fail", "lorgnette install codex")


def test_doctor_names_the_command_that_mends_an_entry_of_an_installation_that_is_gone(
    installed: Any, lorgnette: Any
) -> None:
    path = installed("claude-code")
    value = json.loads(path.read_text("utf-8"))
    value["mcpServers"]["lorgnette"]["command"] = "/gone/lorgnette"
    path.write_text(json.dumps(value), encoding="utf-8")
    result = lorgnette("doctor", "claude-code", "--json")
    assert result.exit_code == 1
    (check,) = checks_of(result, "claude-code")
    assert "'/gone/lorgnette' cannot be started" in check["found"]
    assert check["mend"].startswith("lorgnette install claude-code; logs: ")


def test_doctor_shows_what_a_failing_server_said(installed: Any, lorgnette: Any) -> None:
    path = installed("codex")
    path.write_text(path.read_text("utf-8").replace('"serve"', '"serve", "--effort", "lazy"'), encoding="utf-8")
    (check,) = checks_of(lorgnette("doctor", "codex", "--json"), "codex")
    assert check["state"] == "fail" and "'lazy' is not one of" in check["found"]
    assert "run it by hand" in check["mend"] and "codex-tui.log" in check["mend"]


def test_doctor_warns_of_a_file_that_the_client_cannot_read_either(installed: Any, lorgnette: Any) -> None:
    installed("cursor").write_text("{", encoding="utf-8")
    (check,) = checks_of(lorgnette("doctor", "--json"), "cursor")
    assert check["state"] == "warn" and "not valid JSON" in check["found"]
