"""`lorgnette search --image`: a picture finds the document that holds its words."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    (tmp_path / "knowledge_base").mkdir()
    (tmp_path / "knowledge_base" / "a.md").write_text("The centrifuge MX-400 turns at 4,000 rpm.\n", "utf-8")
    (tmp_path / "knowledge_base" / "b.md").write_text("The lamp is cleaned with a soft cloth.\n", "utf-8")
    image = Image.new("RGB", (600, 200), "white")
    ImageDraw.Draw(image).text((30, 60), "Centrifuge MX-400", fill="black", font=ImageFont.load_default(48))
    image.save(tmp_path / "plate.png")


def test_a_picture_finds_what_its_words_find(lorgnette: Any) -> None:
    assert lorgnette("kb", "sync").exit_code == 0
    result = lorgnette("search", "--image", "plate.png", "same machine?", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["hits"][0]["source"] == "a.md"
    assert [note for note in found["degraded"] if note.startswith("image: ")] == [
        "image: searched for by the words in it alone, no model describes pictures here (captions)",
        "image: what pictures look like is not compared, no image_embedder is set",
    ]


def test_neither_words_nor_picture_is_bad_usage_and_a_missing_picture_one_sentence(lorgnette: Any) -> None:
    assert lorgnette("search").exit_code == 2
    missing = lorgnette("search", "--image", "no.png")
    assert missing.exit_code == 1 and "no.png" in missing.stderr
