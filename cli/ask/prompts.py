"""`lorgnette ask --show-prompts`: each conversation as the model gets it, with what came back, on stderr."""

import logging

import click

from common.safe_text import printable
from graph.wording.conversation import logger


class _Printer(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print one conversation."""
        click.echo(printable(record.getMessage()), err=True)


def print_conversations() -> None:
    """Print from now on what the nodes say to the model."""
    if not any(isinstance(handler, _Printer) for handler in logger.handlers):
        logger.addHandler(_Printer())
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
