"""What each MCP client wants: where its file is, how an entry looks, how it starts a server, where its logs are.

It knows paths and shapes only; it reads and writes nothing. `client_files` does, `entries` says what is started.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mcp_server.clients.launch_command import Launch

ClientName = Literal["claude-desktop", "claude-code", "vscode", "cursor", "codex"]
CLIENT_NAMES: tuple[ClientName, ...] = get_args(ClientName)
System = Literal["linux", "macos", "windows"]
Form = Literal["json", "jsonc", "toml"]
STARTUP_TIMEOUT_S = 30
TOOL_TIMEOUT_S = 120  # the server itself answers within the time budget, which this leaves room for
PASSED_ON = ("HOME", "LOGNAME", "PATH", "SHELL", "TERM", "USER")
PASSED_ON_WINDOWS = (
    *("APPDATA", "HOMEDRIVE", "HOMEPATH", "LOCALAPPDATA", "PATH", "PATHEXT", "PROCESSOR_ARCHITECTURE"),
    *("SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "USERNAME", "USERPROFILE"),
)


@dataclass(frozen=True)
class Place:
    """Where a client would run: the system, the user's home, the environment and the project."""

    system: System
    home: Path
    environ: Mapping[str, str]
    workspace: Path
    """The folder that a workspace's own file belongs to."""

    def variable(self, name: str, default: Path) -> Path:
        """Return the folder that a variable names, or the default."""
        named = self.environ.get(name)
        return Path(named) if named else default

    @property
    def applications(self) -> Path:
        """Where programs of this system keep their files."""
        if self.system == "macos":
            return self.home / "Library" / "Application Support"
        if self.system == "windows":
            return self.variable("APPDATA", self.home / "AppData" / "Roaming")
        return self.variable("XDG_CONFIG_HOME", self.home / ".config")

    @property
    def caches(self) -> Path:
        """Where programs of this system keep what may be lost."""
        if self.system == "macos":
            return self.home / "Library" / "Caches"
        if self.system == "windows":
            return self.variable("LOCALAPPDATA", self.home / "AppData" / "Local")
        return self.variable("XDG_CACHE_HOME", self.home / ".cache")

    def environment(self, entry: Mapping[str, Any]) -> dict[str, str]:
        """Return what a server gets to see: little of the client's own environment, then the entry's."""
        names = [*(PASSED_ON_WINDOWS if self.system == "windows" else PASSED_ON), *entry.get("env_vars", ())]
        passed = {name: self.environ[name] for name in names if isinstance(name, str) and name in self.environ}
        return passed | {str(name): str(value) for name, value in entry.get("env", {}).items()}


@dataclass(frozen=True)
class Client:
    """One MCP client."""

    name: ClientName
    title: str
    form: Form
    """Of its file: strict JSON, JSON with comments, or TOML."""
    key: str
    """Under which its file keeps the servers."""
    user_file: Callable[[Place], Path]
    signs: Callable[[Place], tuple[Path, ...]]
    """What exists once the client has run on this machine."""
    workspace_file: str | None
    """Relative to the project; none where the client has no such file."""
    logs: Callable[[Place, str], str]
    """Where it writes what a server of that name says on stderr."""
    next_step: str
    """What the user does after the file has changed."""
    typed: bool = True
    """Whether an entry says that it is of type stdio."""
    extra: Callable[[Launch], dict[str, Any]] = lambda _: {}
    """Keys that only this client has: time-outs, and variables that it passes on."""
    folder: Callable[[Place], Path] = lambda place: place.home
    """Where it starts a server, at worst."""

    def file(self, place: Place, *, workspace: bool) -> Path | None:
        """Return its file for the user or for the project; None where it has none for projects."""
        if not workspace:
            return self.user_file(place)
        return place.workspace / self.workspace_file if self.workspace_file else None

    def is_present(self, place: Place) -> bool:
        """Whether the client has left its signs on this machine."""
        return any(sign.exists() for sign in self.signs(place))

    def entry(self, launch: Launch) -> dict[str, Any]:
        """Return the entry in the client's words."""
        kind = {"type": "stdio"} if self.typed else {}
        environment = {"env": dict(launch.env)} if launch.env else {}
        return {**kind, "command": launch.command, "args": list(launch.args), **environment, **self.extra(launch)}


def _claude_folder(place: Place) -> Path:
    """Where Claude Desktop keeps its file; its Windows installer from the web has it redirected into a package."""
    if place.system == "windows":
        packages = place.variable("LOCALAPPDATA", place.home / "AppData" / "Local") / "Packages"
        for package in sorted(packages.glob("Claude_*")):
            return package / "LocalCache" / "Roaming" / "Claude"
    return place.applications / "Claude"


def _claude_logs(place: Place, name: str) -> str:
    folder = place.home / "Library" / "Logs" / "Claude" if place.system == "macos" else _claude_folder(place) / "logs"
    return f"{folder / f'mcp-server-{name}.log'}, and mcp.log beside it"


def _claude_code_file(place: Place) -> Path:
    return place.variable("CLAUDE_CONFIG_DIR", place.home) / ".claude.json"


def _claude_code_logs(place: Place, name: str) -> str:
    caches = place.caches / "claude-cli-nodejs"
    return f"{caches / 'Cache' if place.system == 'windows' else caches}, per project in mcp-logs-{name}; also /mcp"


def _vscode_logs(place: Place, _: str) -> str:
    return f"MCP: List Servers > Show Output; files in {place.applications / 'Code' / 'logs'}"


def _cursor_logs(place: Place, _: str) -> str:
    return f"Output panel > MCP Logs; files in {place.applications / 'Cursor' / 'logs'}"


def _codex_folder(place: Place) -> Path:
    return place.variable("CODEX_HOME", place.home / ".codex")


def _codex_extra(launch: Launch) -> dict[str, Any]:
    secrets = {"env_vars": list(launch.secrets)} if launch.secrets else {}
    tool_timeout_s = max(TOOL_TIMEOUT_S, round(launch.time_budget_s) + 30)
    return {**secrets, "startup_timeout_sec": STARTUP_TIMEOUT_S, "tool_timeout_sec": tool_timeout_s}


CLIENTS: dict[ClientName, Client] = {
    client.name: client
    for client in (
        Client(
            name="claude-desktop",
            title="Claude Desktop",
            form="json",
            key="mcpServers",
            user_file=lambda place: _claude_folder(place) / "claude_desktop_config.json",
            signs=lambda place: (_claude_folder(place),),
            workspace_file=None,
            logs=_claude_logs,
            next_step="Quit Claude Desktop wholly (not only its window) and start it again.",
            typed=False,
            folder=lambda place: Path(place.home.anchor),
        ),
        Client(
            name="claude-code",
            title="Claude Code",
            form="json",
            key="mcpServers",
            user_file=_claude_code_file,
            signs=lambda place: (_claude_code_file(place), place.variable("CLAUDE_CONFIG_DIR", place.home / ".claude")),
            workspace_file=".mcp.json",
            logs=_claude_code_logs,
            next_step="Start `claude` anew; /mcp shows the server.",
        ),
        Client(
            name="vscode",
            title="VS Code",
            form="jsonc",
            key="servers",
            user_file=lambda place: place.applications / "Code" / "User" / "mcp.json",
            signs=lambda place: (place.applications / "Code", place.home / ".vscode"),
            workspace_file=".vscode/mcp.json",
            logs=_vscode_logs,
            next_step="Run `MCP: List Servers` in VS Code and start it; chat uses it in agent mode.",
        ),
        Client(
            name="cursor",
            title="Cursor",
            form="jsonc",
            key="mcpServers",
            user_file=lambda place: place.home / ".cursor" / "mcp.json",
            signs=lambda place: (place.home / ".cursor", place.applications / "Cursor"),
            workspace_file=".cursor/mcp.json",
            logs=_cursor_logs,
            next_step="Switch the server on in Cursor's settings, under MCP.",
        ),
        Client(
            name="codex",
            title="Codex",
            form="toml",
            key="mcp_servers",
            user_file=lambda place: _codex_folder(place) / "config.toml",
            signs=lambda place: (_codex_folder(place),),
            workspace_file=".codex/config.toml",
            logs=lambda place, _: f"{_codex_folder(place) / 'log' / 'codex-tui.log'}; also /mcp",
            next_step="Start `codex` anew; /mcp shows the server.",
            typed=False,
            extra=_codex_extra,
        ),
    )
}
