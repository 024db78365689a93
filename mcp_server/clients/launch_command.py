"""The command with which a client starts this server, built from the flags and settings of now.

A client starts it in a folder that nobody chose and with a bare environment, so every path is absolute and what the
environment says here is said in the entry; keys and tokens never are. It knows no client and writes nothing.
"""

import os
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.errors import LorgnetteError
from lorgnette.settings import FLAGS, PREFIX, SECRETS, Settings

SECRET_VARIABLES = tuple(PREFIX + name.upper() for name in SECRETS)
OTHER_VARIABLES = (
    *("CUDA_VISIBLE_DEVICES", "HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "MODELSCOPE_CACHE"),
    *("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
)


class EntryError(LorgnetteError):
    """No entry can be made of this."""


class FolderMissing(EntryError):
    """A folder that the server shall read is not there."""

    def __init__(self, flag: str, folder: Path) -> None:
        self.flag, self.folder = flag, folder
        super().__init__(f"There is no folder {str(folder)!r}; create it, or correct {flag}.")


class NotText(EntryError):
    """A path or a value that no text file can hold."""

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(f"{value!r} is no valid text and cannot be written into a client's file; rename it.")


@dataclass(frozen=True)
class Launch:
    """How a client starts the server."""

    command: str
    args: tuple[str, ...]
    env: Mapping[str, str]
    secrets: tuple[str, ...]
    """Variables that are set here, are needed there, and are written nowhere."""
    time_budget_s: float


def launch(
    flags: Mapping[str, Any], settings: Settings, environ: Mapping[str, str], config_file: Path | None, home: Path
) -> Launch:
    """Build the command of this installation that serves what the flags and the settings say.

    Args:
        flags: What the user gave, by the settings' names; None where a flag was not given.
        settings: Made from these flags, the environment and the file.
        environ: The environment of now.
        config_file: The settings file in use, if any.
        home: The data folder.

    Raises:
        EntryError: A folder is missing, or a name is no text.
    """
    given = {name for name, value in flags.items() if value is not None}
    from_file = _names_in(config_file)
    shown = {name for name in given if name in Settings.model_fields}
    for name in ("roots", "kb"):
        chosen = name in given or PREFIX + name.upper() in environ or name in from_file
        if not chosen and (name == "roots" or settings.kb.is_dir()):
            shown.add(name)  # the default is relative to the working folder, which will be another one
    for folder in settings.roots:
        if not folder.is_dir():
            raise FolderMissing("--root", folder)
    if "kb" in given and not settings.kb.is_dir():
        raise FolderMissing("--kb", settings.kb)
    command, *before = _command()
    order = dict.fromkeys([*flags, "roots", "kb"])
    args = (*before, "serve", *(part for name in order if name in shown for part in _flag(name, settings)))
    env = _environment(settings, environ, config_file, home)
    for text in (command, *args, *env.values()):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise NotText(text) from None
    secrets = tuple(name for name in SECRET_VARIABLES if environ.get(name))
    return Launch(command, args, env, secrets, settings.time_budget_s)


def is_ours(variable: str) -> bool:
    """Whether an entry's variable comes from here, and not from a user's hand."""
    return variable in OTHER_VARIABLES or (variable.startswith(PREFIX) and variable not in SECRET_VARIABLES)


def _command() -> list[str]:
    """Return the absolute command of this installation, which works without any PATH."""
    name = "lorgnette.exe" if os.name == "nt" else "lorgnette"
    for folder in (Path(sysconfig.get_path("scripts")), Path(sys.executable).parent):
        if (folder / name).is_file():
            return [str((folder / name).absolute())]
    return [str(Path(sys.executable).absolute()), "-P", "-m", "cli.main"]


def _flag(name: str, settings: Settings) -> list[str]:
    flag, value = FLAGS.get(name, "--" + name.replace("_", "-")), getattr(settings, name)
    if isinstance(value, bool):
        return [flag] if value else []
    if name == "model":
        value = _model(value)
    if name == "roots":
        return [part for root in value for part in (flag, str(root))]
    if isinstance(value, tuple):
        return [flag, ",".join(value)]
    return [flag, f"{value:g}" if isinstance(value, float) else str(value)]


def _model(model: str) -> str:
    """A folder that is found from here must be found from anywhere."""
    return str(Path(model).absolute()) if model != "tiny" and Path(model).is_dir() else model


def _environment(
    settings: Settings, environ: Mapping[str, str], config_file: Path | None, home: Path
) -> dict[str, str]:
    env = {name: environ[name] for name in OTHER_VARIABLES if environ.get(name)}
    for variable in sorted(environ):
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or variable in SECRET_VARIABLES or not environ[variable]:
            continue
        value = getattr(settings, name, None)
        if name == "home":
            env[variable] = str(home)
        elif name == "model":
            env[variable] = _model(settings.model)
        elif name == "roots":
            env[variable] = os.pathsep.join(map(str, settings.roots))
        elif isinstance(value, Path):
            env[variable] = str(value.absolute())
        elif name != "config":
            env[variable] = environ[variable]
    if config_file is not None and (f"{PREFIX}CONFIG" in environ or config_file.parent == Path.cwd()):
        env[f"{PREFIX}CONFIG"] = str(config_file.absolute())  # the user's own is found from everywhere
    return env


def _names_in(config_file: Path | None) -> set[str]:
    if config_file is None:
        return set()
    import yaml

    read = yaml.safe_load(config_file.read_text(encoding="utf-8"))
    return {str(name) for name in read} if isinstance(read, dict) else set()
