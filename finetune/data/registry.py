"""Reads LLaMA-Factory's dataset_info.json: which file a name means, its format, and its own names for columns and tags.

It downloads nothing: an entry that names a hub's data set is an error that says how to get it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError

INFO = "dataset_info.json"
# LLaMA-Factory's column names (left, of its data/README.md) and ours
ALPACA = {
    "prompt": "instruction", "query": "input", "response": "output", "history": "history", "system": "system",
    "tools": "tools", "images": "images", "videos": "videos",
}  # fmt: skip
SHAREGPT = {
    "messages": "conversations", "system": "system", "tools": "tools", "images": "images", "videos": "videos",
}  # fmt: skip
TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip
KEYS = (
    "file_name", "formatting", "columns", "tags", "num_samples", "ranking", "split", "subset", "folder", "hf_hub_url",
    "ms_hub_url", "om_hub_url", "script_url", "cloud_file_name",
)  # fmt: skip


class RegistryUnreadable(FinetuneError):
    """The file dataset_info.json is missing or no JSON object."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{str(path)!r} {reason}; it names the data sets of its folder, see docs/data.md.")


class DatasetNotRegistered(FinetuneError):
    """No entry of that name."""

    def __init__(self, name: str, path: Path, nearest: str | None) -> None:
        self.name, self.path, self.nearest = name, path, nearest
        advice = f"did you mean {nearest!r}?" if nearest else "add an entry, or give the file's path."
        super().__init__(f"There is no data set {name!r} in {str(path)!r}; {advice}")


class EntryInvalid(FinetuneError):
    """An entry that cannot be used as it is."""

    def __init__(self, name: str, path: Path, reason: str, fix: str) -> None:
        self.name, self.path, self.reason, self.fix = name, path, reason, fix
        super().__init__(f"The data set {name!r} in {str(path)!r} {reason}; {fix}.")


@dataclass(frozen=True)
class Entry:
    """One data set of the registry."""

    name: str
    file: Path
    """The data file, or a folder of them."""
    format: str
    """alpaca, sharegpt, or messages (openai there)."""
    columns: Mapping[str, str]
    """The file's names by ours."""
    tags: Mapping[str, str]
    """The file's tags by ours; empty where they are ours."""
    num_samples: int | None = None
    ranking: bool = False
    """Whether its rows have a chosen and a rejected answer."""

    def renamed(self, value: Any) -> Any:
        """Return a row with our own column names and tags; what is no such row is left to the reader to refuse."""
        if not isinstance(value, dict):
            return value
        row = {ours: value[theirs] for ours, theirs in self.columns.items() if theirs in value}
        kept = ("id", "category", "references", "generated")
        row |= {name: value[name] for name in kept if name in value}
        if self.format == "sharegpt" and isinstance(row.get("conversations"), list):
            row["conversations"] = [self._retagged(entry) for entry in row["conversations"]]
        if self.format == "messages" and self.tags and isinstance(row.get("messages"), list):
            row["messages"] = [self._renamed_message(entry) for entry in row["messages"]]
        if self.ranking:
            for side in ("chosen", "rejected"):
                if isinstance(row.get(side), dict):
                    row[side] = row[side].get(self.tags.get("value", "value"), row[side].get("content"))
            if not row.get("chosen"):
                row["chosen"] = row.get("output")
        return row

    def _renamed_message(self, entry: Any) -> Any:
        """Return a message of OpenAI's form under its own names; what else it has, calls of tools, is kept."""
        if not isinstance(entry, dict):
            return entry
        role, content = self.tags.get("from", "role"), self.tags.get("value", "content")
        words = {
            "human": "user", "gpt": "assistant", "observation": "tool", "function_call": "function_call",
            "system": "system",
        }  # fmt: skip
        named = {theirs: words[ours] for ours, theirs in self.tags.items() if ours in words}
        kept = {key: value for key, value in entry.items() if key not in (role, content)}
        said = entry.get(role)
        return {**kept, "role": named.get(said, said) if isinstance(said, str) else said, "content": entry.get(content)}

    def _retagged(self, entry: Any) -> Any:
        if not isinstance(entry, dict):
            return entry
        role = entry.get(self.tags.get("from", "from"))
        named = {theirs: ours for ours, theirs in self.tags.items() if ours not in ("from", "value")}
        known = named.get(role, role) if isinstance(role, str) else role
        return {"from": known, "value": entry.get(self.tags.get("value", "value"))}


def read_registry(folder: Path) -> dict[str, Any]:
    """Return the entries of a folder's dataset_info.json by name, as they stand.

    Raises:
        RegistryUnreadable: As it says.
    """
    path = folder / INFO
    try:
        entries = json.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise RegistryUnreadable(path, "does not exist") from None
    except (OSError, ValueError) as error:
        raise RegistryUnreadable(path, f"cannot be read ({error})") from None
    if not isinstance(entries, dict):
        raise RegistryUnreadable(path, "is no JSON object")
    return entries


def find_entry(name: str, folder: Path) -> Entry:
    """Return the entry of that name.

    Raises:
        RegistryUnreadable, DatasetNotRegistered, EntryInvalid: As they say.
    """
    entries, path = read_registry(folder), folder / INFO
    if name not in entries:
        nearest = get_close_matches(name, list(entries), 1)
        raise DatasetNotRegistered(name, path, nearest[0] if nearest else None)
    return _entry(name, entries[name], path)


def entry_of(file: Path) -> Entry | None:
    """Return the entry of the file's own folder that names it, if there is one that can be used."""
    try:
        entries = read_registry(file.parent)
    except RegistryUnreadable:
        return None
    for name, value in entries.items():
        if isinstance(value, dict) and value.get("file_name") == file.name:
            return _entry(name, value, file.parent / INFO)
    return None


def _entry(name: str, value: Any, path: Path) -> Entry:
    def invalid(reason: str, fix: str) -> EntryInvalid:
        return EntryInvalid(name, path, reason, fix)

    if not isinstance(value, dict):
        raise invalid("is no object", "write it as in docs/data.md")
    for key, given, known in _names(value):
        if key not in known:
            nearest = get_close_matches(key, known, 1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(known)}"
            raise invalid(f"has an unknown key {key!r} in {given}", hint.rstrip("?"))
    if "file_name" not in value:
        raise invalid("is on a hub", "run `lorgnette data pull ID` and name the file in 'file_name'")
    form = value.get("formatting", "alpaca")
    if form not in ("alpaca", "sharegpt", "openai"):
        raise invalid(f"has the formatting {form!r}", "write alpaca, sharegpt or openai")
    names = dict(ALPACA if form == "alpaca" else SHAREGPT)
    if form == "openai":
        form, names["messages"] = "messages", "messages"
    ranking = bool(value.get("ranking"))
    if ranking:
        names |= {"chosen": "chosen", "rejected": "rejected"}
    names["audios"] = "audios"  # so that the reader sees and refuses them
    columns = {ours: ours for ours in names.values()} | {
        names[theirs]: column for theirs, column in (value.get("columns") or {}).items() if theirs in names
    }
    tags = {TAGS[tag]: given for tag, given in (value.get("tags") or {}).items()}
    return Entry(name, path.parent / str(value["file_name"]), form, columns, tags, value.get("num_samples"), ranking)


def _names(value: Mapping[str, Any]) -> Iterator[tuple[str, str, list[str]]]:
    yield from ((key, "the entry", list(KEYS)) for key in value)
    extra = ["chosen", "rejected", "kto_tag", "audios"]
    both = [*ALPACA, *SHAREGPT, *extra]
    yield from ((key, "'columns'", both) for key in value.get("columns") or {})
    yield from ((key, "'tags'", list(TAGS)) for key in value.get("tags") or {})
