"""One frozen `Settings` object, read once at the process edge and passed down.

Flags win over `LORGNETTE_*` variables, these over `lorgnette.yaml`, that over the defaults. A key that
nobody reads is an error, so that a misspelling cannot pass for a setting. It reads no weights and
checks no folder: `lorgnette doctor` does.
"""

import difflib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import platformdirs
from pydantic import ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from common.errors import LorgnetteError
from common.home import absolute
from graph.settings import AgentSettings, GraphSettings
from lorgnette.server_settings import ServerSettings
from model.settings import ModelSettings
from retrieval.settings import RetrievalSettings
from retrieval.store import without_password

PREFIX = "LORGNETTE_"
FILE_NAME = "lorgnette.yaml"
NOT_SETTINGS = ("home", "config")  # variables that say where to look, not what to do
SECRETS = ("api_key", "token")
FLAGS = {"roots": "--root", "time_budget_s": "--time-budget"}  # where the flag is not simply --key-with-dashes


class ConfigError(LorgnetteError):
    """The settings cannot be used; mend them where the message says."""


class ConfigUnreadable(ConfigError):
    """The settings file cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The settings file {str(path)!r} cannot be used: {reason}; mend it or move it away.")


class UnknownSetting(ConfigError):
    """A key that no setting has."""

    def __init__(self, key: str, place: str, nearest: str | None) -> None:
        self.key, self.place, self.nearest = key, place, nearest
        hint = f"did you mean {nearest!r}?" if nearest else "remove it."
        super().__init__(f"{place} has no setting {key!r}: {hint}")


class BadSetting(ConfigError):
    """A value that a setting does not take."""

    def __init__(self, name: str, value: object, reason: str) -> None:
        self.name, self.value, self.reason = name, value, reason
        value = without_password(value) if isinstance(value, str) else value
        shown = repr(value) if len(repr(value)) <= 80 else repr(value)[:79] + "…"
        super().__init__(f"{name} cannot be {shown}: {reason}; correct it there.")


class Settings(BaseSettings, AgentSettings, ServerSettings):
    """Every setting, flat."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=PREFIX, env_ignore_empty=True, enable_decoding=False
    )

    @field_validator("roots", mode="before")
    @classmethod
    def _split_roots(cls, value: object) -> object:
        """An environment variable holds several folders as PATH does."""
        return [part for part in value.split(os.pathsep) if part] if isinstance(value, str) else value

    @field_validator("roots")
    @classmethod
    def _absolute_roots(cls, value: tuple[Path, ...]) -> tuple[Path, ...]:
        if not value:
            raise ValueError("at least one folder is needed")
        return tuple(absolute(path) for path in value)

    @field_validator("adapter", "offload_folder")
    @classmethod
    def _absolute_folder(cls, value: Path | None) -> Path | None:
        return None if value is None else absolute(value)

    @field_validator("kb")
    @classmethod
    def _absolute_kb(cls, value: Path) -> Path:
        return absolute(value)

    @field_validator("model")
    @classmethod
    def _model_at_home(cls, value: str) -> str:
        """A client's configuration file is no shell: nobody expands the tilde there."""
        if not value.strip():
            raise ValueError("give tiny, a folder, a hub id or an address")
        return str(absolute(Path(value))) if value.startswith("~") else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags over environment over file; no .env file and no secrets folder is read."""
        return init_settings, env_settings, _FileSource(settings_cls)


class _FileSource(PydanticBaseSettingsSource):
    """`lorgnette.yaml` as a source of settings."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False  # the whole file is one mapping: see __call__

    def __call__(self) -> dict[str, Any]:
        path = config_file()
        return {} if path is None else _read_file(path)


def load_settings(**flags: Any) -> Settings:
    """Read the settings from flags, environment and file.

    Args:
        flags: Settings by name; None means that the flag was not given.

    Raises:
        ConfigError: An unknown key, a value out of range, or an unreadable file.
    """
    given = {key: value for key, value in flags.items() if value is not None}
    for key in given:
        _check_key(key, "The command line")
    for variable in os.environ:
        key = variable.upper().removeprefix(PREFIX).lower()
        if variable.upper().startswith(PREFIX) and key not in NOT_SETTINGS:
            _check_key(key, "The environment", shown=variable, prefix=PREFIX)
    try:
        return _with_library(Settings(**given))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadSetting(_name_where_set(str(first["loc"][0]), given), first["input"], _reason(first["msg"])) from None


def _with_library(settings: Settings) -> Settings:
    """Take the folders that `lorgnette kb add` remembers where none is named and the working folder has none."""
    from retrieval.library import remembered

    if "kb" in settings.model_fields_set or settings.kb.is_dir() or (folder := remembered()) is None:
        return settings
    return settings.model_copy(update={"kb": folder})


def user_file() -> Path:
    """Return the user's settings file, which holds in every folder; it need not be there."""
    return Path(platformdirs.user_config_dir("lorgnette", appauthor=False)) / FILE_NAME


def config_file() -> Path | None:
    """Return the settings file in use: `LORGNETTE_CONFIG`, the working folder's, the user's, or none.

    Raises:
        ConfigUnreadable: `LORGNETTE_CONFIG` names no file.
    """
    named = os.environ.get(f"{PREFIX}CONFIG")
    if named:
        path = absolute(Path(named))
        if not path.is_file():
            raise ConfigUnreadable(path, f"{PREFIX}CONFIG names it, but no such file exists")
        return path
    return next((file for file in (Path.cwd() / FILE_NAME, user_file()) if file.is_file()), None)


def settings_table() -> str:
    """Render every setting as a Markdown table, for the README."""
    rows = [f"| `{name}` | {_shown_default(field)} | {_meaning(field)} |" for name, field in _fields()]
    return "\n".join(["| setting | default | meaning |", "|---|---|---|", *rows])


def _fields() -> Iterator[tuple[str, FieldInfo]]:
    """Fields in reading order: the model's, the graph's, our own."""
    order = [*ModelSettings.model_fields, *GraphSettings.model_fields, *RetrievalSettings.model_fields]
    yield from ((name, Settings.model_fields[name]) for name in order)
    yield from ((name, field) for name, field in Settings.model_fields.items() if name not in order)


def _shown_default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "the working folder"
    return "none" if field.default is None else f"`{field.default}`"


def _meaning(field: FieldInfo) -> str:
    choices = ""
    if get_origin(field.annotation) is Literal:
        choices = " (" + ", ".join(f"`{choice}`" for choice in get_args(field.annotation)) + ")"
    return (field.description or "").replace("|", "\\|") + choices


def _read_file(path: Path) -> dict[str, Any]:
    import yaml

    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise ConfigUnreadable(path, _reason(str(error))) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark else ""
        raise ConfigUnreadable(path, f"it is not valid YAML{line}") from None
    if read is None:
        return {}
    if not isinstance(read, dict):
        raise ConfigUnreadable(path, "it should hold lines such as 'model: tiny'")
    for key in read:
        if key in SECRETS:
            raise ConfigUnreadable(path, f"a key does not belong in a file, set {PREFIX}{key.upper()} instead")
        _check_key(str(key), str(path))
    return {key: _from_folder(key, value, path.parent) for key, value in read.items() if value is not None}


def _from_folder(key: str, value: Any, folder: Path) -> Any:
    """Resolve a relative path of the file against the file's own folder; leave what is no path to validation."""
    if key == "roots":
        parts = value.split(os.pathsep) if isinstance(value, str) else value
        return [_from_folder("root", part, folder) for part in parts] if isinstance(parts, list) else parts
    is_path = key in ("root", "adapter", "kb", "offload_folder") or (key == "model" and str(value).startswith("."))
    return str(folder / value) if is_path and isinstance(value, str) and not value.startswith("~") else value


def _check_key(key: str, place: str, shown: str | None = None, prefix: str = "") -> None:
    if key in Settings.model_fields:
        return
    near = difflib.get_close_matches(key, Settings.model_fields, n=1)
    raise UnknownSetting(shown or key, place, (prefix + near[0].upper() if prefix else near[0]) if near else None)


def _name_where_set(key: str, given: Mapping[str, Any]) -> str:
    if key in given:
        return FLAGS.get(key, "--" + key.replace("_", "-"))
    variable = PREFIX + key.upper()
    if os.environ.get(variable):
        return variable
    return f"{key} in {str(config_file())!r}"


def _reason(text: str) -> str:
    """One line of a library's message, without its capital letter and full stop."""
    text = " ".join(text.removeprefix("Value error, ").split()).rstrip(".")
    return text[:1].lower() + text[1:]
