"""Captions from the command line, made by the bundled checkpoint, which can describe drawn shapes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from common.errors import LorgnetteError

pytestmark = pytest.mark.heavy

SHAPES = Path(__file__).parents[3] / "examples" / "shapes.png"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    folder = tmp_path / "knowledge_base"  # the setting's default
    folder.mkdir()
    shutil.copy(SHAPES, folder / "drawing.png")
    return folder


def test_a_drawn_scene_is_found_by_what_the_bundled_checkpoint_says_of_it(lorgnette: Any) -> None:
    synced = lorgnette("kb", "sync", "--captions", "on")
    assert synced.exit_code == 0, synced.stderr
    assert ", 1 captioned, " in synced.stdout
    (hit,) = json.loads(lorgnette("search", "green triangle", "--json").stdout)["hits"]
    assert hit["source"] == "drawing.png" and hit["headings"] == ["caption"]
    assert hit["text"].startswith("Caption by tiny: ") and "green triangle" in hit["text"]
    assert lorgnette("kb", "verify", "green triangle").stdout.startswith("exact    drawing.png")
    assert "captioned" not in lorgnette("kb", "sync", "--captions", "on").stdout


def test_the_bundled_checkpoint_is_not_asked_unless_the_user_says_so(
    lorgnette: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.open.open_chat", lambda *_: pytest.fail("it was opened"))
    assert lorgnette("kb", "sync").exit_code == 0
    assert [hit["text"] for hit in json.loads(lorgnette("search", "drawing", "--json").stdout)["hits"]] == [
        "drawing.png"
    ]


def test_a_model_that_is_missing_is_said_and_the_picture_found_by_its_name(
    lorgnette: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise LorgnetteError("there is no such model")

    monkeypatch.setattr("model.open.open_chat", fail)
    synced = lorgnette("kb", "sync", "--captions", "on")
    assert synced.exit_code == 0
    assert (
        "Degraded: captions: 1 pictures without, the next sync tries again; drawing.png: there is no" in synced.stdout
    )
    assert lorgnette("search", "drawing").stdout.startswith("[1] drawing.png")
