"""`install` and `uninstall`, as a user runs them, in a home that holds nothing else."""

import json
import os
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cli.clients.options import CLIENTS
from mcp_server.clients.known_clients import CLIENT_NAMES, Place
from mcp_server.clients.known_clients import CLIENTS as KNOWN

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="paths of a POSIX home")

CLAUDE = Path("config") / "Claude" / "claude_desktop_config.json"  # XDG_CONFIG_HOME is `config` here


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Claude Desktop and Codex have been started once; the system is Linux wherever the tests run."""
    monkeypatch.setattr("sys.platform", "linux")
    for folder in (tmp_path / CLAUDE.parent, tmp_path / "user" / ".codex", tmp_path / "pics"):
        folder.mkdir(parents=True)
    return tmp_path


def claude_entry(home: Path, name: str = "lorgnette") -> dict[str, Any]:
    return dict(json.loads((home / CLAUDE).read_text("utf-8"))["mcpServers"][name])


def test_the_commands_know_every_client() -> None:
    assert CLIENTS == CLIENT_NAMES


def test_an_entry_starts_this_installation_with_absolute_paths(lorgnette: Any, home: Path) -> None:
    (home / "docs").mkdir()
    result = lorgnette("install", "claude-desktop", "--root", "pics", "--kb", "docs", "--effort", "quick")
    assert result.exit_code == 0, result.stderr
    entry = claude_entry(home)
    assert Path(entry["command"]).is_absolute() and os.access(entry["command"], os.X_OK)
    arguments = ["serve", "--root", str(home / "pics"), "--kb", str(home / "docs"), "--effort", "quick"]
    assert entry["args"][-len(arguments) :] == arguments
    assert entry["env"] == {"LORGNETTE_HOME": str(home / "home"), "XDG_CONFIG_HOME": str(home / "config")}
    assert "Quit Claude Desktop" in result.stdout and "lorgnette doctor claude-desktop" in result.stdout


def test_a_second_run_changes_nothing_and_makes_no_copy(lorgnette: Any, home: Path) -> None:
    assert lorgnette("install", "claude-desktop").exit_code == 0
    before = (home / CLAUDE).stat()
    again = lorgnette("install", "claude-desktop")
    assert (again.exit_code, again.stdout) == (
        0,
        f"'lorgnette' is already installed in Claude Desktop: {home / CLAUDE}\n",
    )
    after = (home / CLAUDE).stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert [file.name for file in (home / CLAUDE).parent.iterdir()] == [CLAUDE.name]


def test_without_a_root_the_working_folder_of_now_is_named(lorgnette: Any, home: Path) -> None:
    (home / "knowledge_base").mkdir()
    lorgnette("install", "claude-desktop")
    assert claude_entry(home)["args"][-4:] == ["--root", str(home), "--kb", str(home / "knowledge_base")]


def test_uninstall_gives_the_file_back_as_it_was(lorgnette: Any, home: Path) -> None:
    old = '{\n\t"mcpServers": {\n\t\t"x": {"command": "y"}\n\t},\n\t"theme": "dark"\n}'
    (home / CLAUDE).write_text(old, encoding="utf-8")
    lorgnette("install", "claude-desktop")
    assert claude_entry(home, "x") == {"command": "y"} and claude_entry(home)
    result = lorgnette("uninstall", "claude-desktop")
    assert result.exit_code == 0 and "Removed 'lorgnette'" in result.stdout
    assert (home / CLAUDE).read_text("utf-8") == old
    assert lorgnette("uninstall", "claude-desktop").stdout == f"'lorgnette' is not in {home / CLAUDE}\n"


def test_what_the_server_shall_offer_goes_along(lorgnette: Any, home: Path) -> None:
    lorgnette("install", "claude-desktop", "--root", ".", "--tools", "ask_image,search_kb", "--read-only", "--jobs")
    offer = ["--tools", "ask_image,search_kb", "--read-only", "--jobs"]
    assert claude_entry(home)["args"][-len(offer) :] == offer


def test_another_name_makes_a_second_entry(lorgnette: Any, home: Path) -> None:
    lorgnette("install", "claude-desktop")
    lorgnette("install", "claude-desktop", "--name", "lorgnette-quick", "--effort", "quick")
    assert "--effort" in claude_entry(home, "lorgnette-quick")["args"]
    assert "--effort" not in claude_entry(home)["args"]
    lorgnette("uninstall", "claude-desktop", "--name", "lorgnette-quick")
    assert list(json.loads((home / CLAUDE).read_text("utf-8"))["mcpServers"]) == ["lorgnette"]


@pytest.mark.parametrize("name", ["", "a b", "ü", "x" * 65, "a.b"])
def test_a_name_that_a_client_would_refuse_is_bad_usage(name: str, lorgnette: Any, home: Path) -> None:
    assert lorgnette("install", "claude-desktop", "--name", name).exit_code == 2
    assert not (home / CLAUDE).exists()


def test_a_dry_run_shows_the_change_and_makes_none(lorgnette: Any, home: Path) -> None:
    result = lorgnette("install", "codex", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.startswith("--- ") and "+[mcp_servers.lorgnette]\n" in result.stdout
    assert list((home / "user" / ".codex").iterdir()) == []
    lorgnette("install", "codex")
    assert "already installed" in lorgnette("install", "codex", "--dry-run").stdout
    assert "-[mcp_servers.lorgnette]\n" in lorgnette("uninstall", "codex", "--dry-run").stdout
    assert "lorgnette" in (home / "user" / ".codex" / "config.toml").read_text("utf-8")


@pytest.mark.parametrize("client", CLIENT_NAMES)
def test_printing_gives_a_whole_file_and_writes_none(client: Any, lorgnette: Any, home: Path) -> None:
    before = sorted(home.rglob("*"))
    result = lorgnette("install", client, "--print", "--root", "pics")
    value = (tomllib if KNOWN[client].form == "toml" else json).loads(result.stdout)
    assert value[KNOWN[client].key]["lorgnette"]["args"][-2:] == ["--root", str(home / "pics")]
    assert sorted(home.rglob("*")) == before


@pytest.mark.parametrize("client", ["claude-code", "vscode", "cursor"])
def test_a_client_that_never_ran_here_is_said_so_and_force_makes_its_file(
    client: Any, lorgnette: Any, home: Path
) -> None:
    result = lorgnette("install", client)
    assert result.exit_code == 1
    assert f"{KNOWN[client].title} was not found" in result.stderr and "--force" in result.stderr
    assert lorgnette("install", client, "--force").exit_code == 0
    path = KNOWN[client].file(Place("linux", home / "user", os.environ, home), workspace=False)
    assert path is not None and "lorgnette" in path.read_text("utf-8")


@pytest.mark.parametrize("client", ["claude-code", "vscode", "cursor", "codex"])
def test_a_projects_file_is_made_in_the_working_folder(client: Any, lorgnette: Any, home: Path) -> None:
    assert lorgnette("install", client, "--workspace").exit_code == 0
    assert "lorgnette" in (home / str(KNOWN[client].workspace_file)).read_text("utf-8")
    assert lorgnette("uninstall", client, "--workspace").exit_code == 0


def test_claude_desktop_has_no_projects(lorgnette: Any, home: Path) -> None:
    result = lorgnette("install", "claude-desktop", "--workspace")
    assert result.exit_code == 1 and "leave --workspace out" in result.stderr


def test_another_file_of_the_same_form_may_be_named(lorgnette: Any, home: Path) -> None:
    assert lorgnette("install", "vscode", "--file", "profile/mcp.json").exit_code == 0
    assert "lorgnette" in json.loads((home / "profile" / "mcp.json").read_text("utf-8"))["servers"]


def test_a_broken_file_is_one_line_and_stays(lorgnette: Any, home: Path) -> None:
    (home / CLAUDE).write_text('{"mcpServers": {', encoding="utf-8")
    result = lorgnette("install", "claude-desktop")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"Error: The file '{home / CLAUDE}' was left alone: line 1 is not valid JSON")
    assert (home / CLAUDE).read_text("utf-8") == '{"mcpServers": {'


@pytest.mark.parametrize("flag", ["--root", "--kb"])
def test_a_folder_that_is_not_there_is_told_before_the_client_trips_over_it(
    flag: str, lorgnette: Any, home: Path
) -> None:
    result = lorgnette("install", "claude-desktop", flag, "nowhere")
    assert result.exit_code == 1 and f"correct {flag}" in result.stderr
    assert not (home / CLAUDE).exists()


def test_the_environment_of_now_goes_along_but_for_keys(
    lorgnette: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "weights").mkdir()
    for name, value in {
        "LORGNETTE_ROOTS": f"pics{os.pathsep}weights", "LORGNETTE_MODEL": "weights", "LORGNETTE_KB": "docs",
        "LORGNETTE_MAX_NEW_TOKENS": "64", "LORGNETTE_API_KEY": "secret-1", "LORGNETTE_TOKEN": "secret-2",
        "HF_HOME": "/hf", "OTHER": "no",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    result = lorgnette("install", "claude-desktop")
    assert "LORGNETTE_API_KEY is not in the file" in result.stdout and "LORGNETTE_TOKEN" in result.stdout
    text = (home / CLAUDE).read_text("utf-8")
    assert "secret" not in text
    entry = claude_entry(home)
    assert entry["args"][-1] == "serve"  # the environment says the rest
    assert entry["env"] == {
        "HF_HOME": "/hf", "XDG_CONFIG_HOME": str(home / "config"), "LORGNETTE_HOME": str(home / "home"),
        "LORGNETTE_ROOTS": f"{home / 'pics'}{os.pathsep}{home / 'weights'}", "LORGNETTE_KB": str(home / "docs"),
        "LORGNETTE_MODEL": str(home / "weights"), "LORGNETTE_MAX_NEW_TOKENS": "64",
    }  # fmt: skip
    codex = lorgnette("install", "codex", "--print").stdout
    assert 'env_vars = ["LORGNETTE_API_KEY", "LORGNETTE_TOKEN"]' in codex and "secret" not in codex


def test_a_settings_file_of_the_working_folder_goes_along(lorgnette: Any, home: Path) -> None:
    (home / "lorgnette.yaml").write_text("roots: [pics]\neffort: quick\n", encoding="utf-8")
    lorgnette("install", "claude-desktop")
    assert claude_entry(home)["args"][-1] == "serve"
    assert claude_entry(home)["env"]["LORGNETTE_CONFIG"] == str(home / "lorgnette.yaml")


def test_settings_that_the_server_would_refuse_are_refused_now(
    lorgnette: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_EFFORT", "lazy")
    assert lorgnette("install", "claude-desktop").exit_code == 1
    assert not (home / CLAUDE).exists()
