"""The thread that keeps the knowledge base current; what it watches with is tested with `retrieval.watch`."""

import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graph.answer import Answer
from graph.served_agent import ServedAgent
from lorgnette.documents import Documents
from lorgnette.settings import load_settings
from mcp_server.state.kb_watcher import KnowledgeBaseWatcher
from retrieval.sync.captions import Caption

WAIT_S = 300.0


class Eyes(ServedAgent):
    """An agent that can describe pictures, and nothing else."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def answer(self, *_: Any, **__: Any) -> Answer:
        raise AssertionError("nobody asks it a question")

    @property
    def captioner(self) -> "Eyes":
        return self

    def caption(self, picture: Image.Image, sha256: str, cancel: threading.Event) -> Caption:
        self.asked.set()
        return Caption("a square", "eyes-1")


@pytest.mark.parametrize("captions", ["on", "off"])
def test_the_servers_model_captions_pictures_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, captions: str
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "docs"
    folder.mkdir()
    Image.new("RGB", (4, 4), "red").save(folder / "a.png")
    settings = load_settings(kb=folder, embedder="no-such-model", reranker="none", captions=captions)
    eyes, looked = Eyes(), threading.Event()

    def opened() -> Eyes:
        looked.set()
        return eyes

    documents = Documents(settings)
    keeper = KnowledgeBaseWatcher(documents, lambda: None, opened)
    keeper.start()
    try:
        if captions == "on":
            assert eyes.asked.wait(WAIT_S)
        else:
            while documents.required().catalogue.file("a.png") is None:
                assert not looked.wait(0.05)
    finally:
        keeper.stop()
        documents.close()
    assert looked.is_set() is (captions == "on")
