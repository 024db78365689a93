"""Where a configuration comes from: a YAML file or the flags of a command line, as names with values.

Knows no key: what a name means is `schema`'s, and what it means in other programs `translations`'.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.errors import FinetuneError

if TYPE_CHECKING:
    from yaml import Node, SafeLoader


class ConfigUnreadable(FinetuneError):
    """The file is missing, no YAML, or no mapping."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"The configuration {str(path)!r} {reason}; give a YAML file of keys and values.")


class NoFlag(FinetuneError):
    """A word of the command line that belongs to no flag."""

    def __init__(self, word: str) -> None:
        self.word = word
        super().__init__(f"{word!r} belongs to no flag; write --key=value, and several values with commas between.")


def read_pairs(path: Path, sections: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield the file's dotted names with their values.

    Args:
        path: The file.
        sections: Names under which keys stand; without any, such as `model:` alone, they say nothing.

    Raises:
        ConfigUnreadable: In words for the user.
    """
    for name, value in _flatten(_read(path)):
        if name in sections and value is None:
            continue
        yield name, value


def parse_overrides(words: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield key and value of each flag of a command line.

    Values are read as YAML reads them, but numbers and dates stay as they were written: which key they are for says
    what they are.

    Raises:
        NoFlag: A word that is no flag.
    """
    import yaml

    rest = list(words)
    while rest:
        word = rest.pop(0)
        key, equals, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not key:
            raise NoFlag(word)
        if not equals and rest and not rest[0].startswith("--"):
            equals, text = "=", rest.pop(0)
        try:
            value = yaml.safe_load(text) if equals else True
        except yaml.YAMLError:
            value = text
        yield key.replace("-", "_"), value if isinstance(value, bool | list | None) else text


def _read(path: Path) -> Mapping[Any, Any]:
    import yaml

    try:
        content = yaml.load(path.read_text("utf-8"), _loader(path))
    except FileNotFoundError as error:
        raise ConfigUnreadable(path, "does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigUnreadable(path, f"cannot be read ({error})") from error
    except yaml.YAMLError as error:
        why = "a tab stands where YAML wants spaces: " if r"'\t'" in str(error) else ""
        raise ConfigUnreadable(path, f"is no YAML ({why}{' '.join(str(error).split())})") from error
    except RecursionError as error:
        raise ConfigUnreadable(path, "is nested too deeply") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigUnreadable(path, "holds no mapping of keys")
    return content


def _loader(path: Path) -> "type[SafeLoader]":
    """Return YAML's safe loader that takes no key twice; its own lets the last one win in silence."""
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: "Node", deep: bool = False) -> dict[Any, Any]:
            lines: dict[str, int] = {}
            for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
                line = key.start_mark.line + 1
                if key.tag != "tag:yaml.org,2002:merge" and isinstance(key, yaml.ScalarNode):
                    if key.value in lines:
                        where = f"in line {lines[key.value]} and again in line {line}"
                        raise ConfigUnreadable(path, f"names {key.value!r} {where}: keep one of them")
                    lines[key.value] = line
            found: dict[Any, Any] = super().construct_mapping(node, deep)  # type: ignore[arg-type]  # any node, as here
            return found

    return Loader


def _flatten(content: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{name}.")
        else:
            yield name, value or None if isinstance(value, Mapping) else value
