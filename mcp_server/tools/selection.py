"""Which tools are offered, by the settings `tools`, `exclude_tools` and `read_only`. It registers none."""

from collections.abc import Mapping

from lorgnette.settings import ConfigError, Settings


class UnknownTool(ConfigError):
    """A setting names a tool that is not offered."""

    def __init__(self, setting: str, name: str, known: list[str]) -> None:
        self.setting, self.name, self.known = setting, name, known
        super().__init__(f"{setting} names the tool {name!r}, which there is not; known are {', '.join(known)}.")


class NoToolLeft(ConfigError):
    """The settings together leave nothing to offer."""

    def __init__(self) -> None:
        super().__init__("tools, exclude_tools and read_only together leave no tool to offer; allow at least one.")


def offered(settings: Settings, writes: Mapping[str, bool]) -> set[str]:
    """Return the names of the tools to offer.

    Args:
        settings: What the user wants; `read_only` wins over the names, and exclusion over inclusion.
        writes: All tools there are, and whether each writes.

    Raises:
        UnknownTool: A name that is not among them.
        NoToolLeft: None is left.
    """
    for setting, names in (("tools", settings.tools), ("exclude_tools", settings.exclude_tools)):
        for name in names:
            if name not in writes:
                raise UnknownTool(setting, name, sorted(writes))
    left = set(settings.tools or writes) - set(settings.exclude_tools)
    if not settings.jobs:
        left.discard("get_job")
    if settings.read_only:
        left = {name for name in left if not writes[name]}
    if not left:
        raise NoToolLeft
    return left
