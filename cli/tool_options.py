"""The flags that say which tools a server offers, for `serve` and for the entries that start it."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def offer_options(command: F) -> F:
    """Add the flags; they arrive in `**flags` by the settings' names."""
    for option in reversed(
        [
            click.option("--tools", metavar="NAME,...", help="Offer only these tools."),
            click.option("--exclude-tools", metavar="NAME,...", help="Never offer these tools."),
            click.option(
                "--read-only",
                is_flag=True,
                default=None,
                help="Offer only tools that write nothing, whatever --tools.",
            ),
            click.option(
                "--jobs",
                is_flag=True,
                default=None,
                help="Go on with questions beyond their time; offer get_job.",
            ),
        ]
    ):
        command = option(command)
    return command
