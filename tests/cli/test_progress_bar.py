"""Long work says how far it is: a bar where somebody watches, lines where the output is a log."""

import threading
import time

import pytest

from cli.kb.command import stoppable
from cli.progress_bar import counted


def test_without_a_terminal_long_work_says_in_lines_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with counted("looking", every_s=0.0) as count:

        def work() -> None:
            count.told("reading\x1b[31m notes.csv", 3, 4)
            time.sleep(0.3)
            count.told("embedding", 10, 0)
            time.sleep(0.3)

        stoppable(work, threading.Event(), beat=count.tick)
    lines = capsys.readouterr().err.splitlines()
    assert {"reading\\x1b[31m notes.csv: 3 of 4", "embedding"} <= set(lines)


def test_without_a_terminal_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with counted("looking") as count:
        stoppable(lambda: count.told("reading", 1, 2), threading.Event(), beat=count.tick)
    assert capsys.readouterr().err == ""
