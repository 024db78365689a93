"""Watching a folder with real events; each wait ends with what it waits for."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings
from retrieval.sync.captions import Caption, CaptionFailed
from retrieval.watch import watch

WAIT_S = 300.0


class Captioner:
    """Says that it is a square; fails at the first one."""

    def __init__(self) -> None:
        self.asked, self.done = 0, threading.Semaphore(0)

    def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
        self.asked += 1
        self.done.release()
        if self.asked == 1:
            raise CaptionFailed("too dark")
        return Caption("a square", "scripted")


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    (tmp_path / "docs").mkdir()
    settings = RetrievalSettings(kb=tmp_path / "docs", embedder="no-such-model", reranker="none")
    opened = KnowledgeBase(settings, tmp_path / "home")
    yield opened
    opened.close()


def test_pictures_are_captioned_between_changes_as_soon_as_there_is_somebody(base: KnowledgeBase) -> None:
    for n, colour in enumerate(["red", "blue"]):
        Image.new("RGB", (4, 4), colour).save(base.folder / f"{n}.png")
    captioner, stop = Captioner(), threading.Event()
    answers = iter([None, None])  # the model is still loading
    reports = threading.Semaphore(0)
    thread = threading.Thread(
        target=watch,
        args=(base, stop, lambda report: reports.release(), pytest.fail),
        kwargs={"captioner": lambda: next(answers, captioner)},
    )
    thread.start()
    try:
        assert captioner.done.acquire(timeout=WAIT_S) and captioner.done.acquire(timeout=WAIT_S)
        assert next(answers, "asked twice") == "asked twice"
        # A change is seen while there is captioning, and what failed is tried again after it.
        (base.folder / "new.txt").write_text("words", "utf-8")
        assert captioner.done.acquire(timeout=WAIT_S)
    finally:
        stop.set()
        thread.join(WAIT_S)
    assert not thread.is_alive()
    assert base.catalogue.uncaptioned() == [] and base.catalogue.file("new.txt") is not None
    assert captioner.asked == 3
