"""Asks the rows of a batch one behind another, with one model. It writes nothing."""

import logging
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from graph.answer import Answer
from graph.served_agent import OnEvent
from lorgnette.batch.rows import Row, in_order_of_work
from lorgnette.local_agent import LocalAgent
from model.errors import Cancelled
from model.remote.errors import RemoteModelNotFound, RemoteRefused, RemoteUnavailable

logger = logging.getLogger(__name__)

EVERY_ROW = (RemoteModelNotFound, RemoteRefused, RemoteUnavailable)
"""What would meet every other row too: it ends the batch, and the row is asked when the batch goes on."""


def ask_rows(
    agent: LocalAgent, rows: Sequence[Row], *, on_event: OnEvent, cancel: threading.Event
) -> Iterator[tuple[Row, Answer | Exception]]:
    """Yield each row with its answer, or with what went wrong with it, in the order of the work.

    Args:
        agent: Loads its model first: where that fails no row is to blame.
        rows: In any order.
        on_event: Hears of each node.
        cancel: Set it from another thread to stop within one token.

    Raises:
        ModelError: The model cannot be loaded, its server cannot be used, or `cancel` was set.
    """
    if rows:
        agent.open()
    for row in in_order_of_work(rows):
        if cancel.is_set():
            raise Cancelled
        asked = asdict(row.question)
        try:
            answer = agent.ask(asked.pop("text"), asked.pop("images"), on_event=on_event, cancel=cancel, **asked)
        except (Cancelled, *EVERY_ROW):
            raise
        except Exception as error:  # the edge of a row: whatever it is, the others are asked
            logger.info("row %r failed", row.id, exc_info=True)
            yield row, error
        else:
            yield row, answer
