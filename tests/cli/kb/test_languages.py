"""Documents and questions in languages that the embedder does not know: said, and the one that does is offered."""

from pathlib import Path
from typing import Any

import pytest

from retrieval.embedders.embedder import mostly_in
from retrieval.language import UNKNOWN
from tests.retrieval.conftest import LetterEmbedder

GERMAN = (
    "Die Schieblehre liegt in der zweiten Schublade, und niemand darf sie ohne einen Zettel aus der Werkstatt nehmen; "
    "wer sie braucht, fragt den Meister."
)
OFFER = "lorgnette kb sync --embedder multilingual; then put embedder: multilingual into lorgnette.yaml"


class Polyglot(LetterEmbedder):
    """Counts letters, and knows every language, or English alone."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.english = name != "multilingual"

    def knows(self, text: str, language: str | None = None) -> bool:
        return not self.english or (language in (None, UNKNOWN, "en") and mostly_in(text, frozenset({"latin"})))


@pytest.fixture(autouse=True)
def embedders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    monkeypatch.setattr("retrieval.knowledge_base.open_embedder", lambda name, **_: Polyglot(name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge_base"
    folder.mkdir()
    (folder / "en.txt").write_text("The caliper is kept in the second drawer of the workshop.", "utf-8")
    return folder


def test_a_sync_and_the_doctor_offer_multilingual_where_documents_need_it(lorgnette: Any, folder: Path) -> None:
    assert OFFER not in lorgnette("kb", "sync").stdout and OFFER not in lorgnette("kb", "doctor").stdout
    (folder / "de.txt").write_text(GERMAN, "utf-8")
    synced = lorgnette("kb", "sync").stdout
    assert "1 passage in German without vectors" in synced and OFFER in synced
    doctor = lorgnette("kb", "doctor")
    assert doctor.exit_code == 0, "nothing is broken"
    assert "dense      1 of 1 passages, sound" in doctor.stdout
    assert "languages  1 passage in German without vectors" in doctor.stdout and OFFER in doctor.stdout
    assert "2 passages have no vector" not in lorgnette("search", "Schieblehre").stdout


def test_what_is_offered_does_what_it_promises(lorgnette: Any, folder: Path) -> None:
    (folder / "de.txt").write_text(GERMAN, "utf-8")
    lorgnette("kb", "sync")
    assert lorgnette("kb", "sync", "--embedder", "multilingual").exit_code == 0
    doctor = lorgnette("kb", "doctor", "--embedder", "multilingual").stdout
    assert "dense      2 of 2 passages, sound" in doctor and "languages" not in doctor


def test_the_doctor_remembers_questions_in_other_languages_and_none_of_their_words(
    lorgnette: Any, folder: Path, tmp_path: Path
) -> None:
    lorgnette("kb", "sync")
    lorgnette("search", "游标卡尺放在哪里")
    lorgnette("search", "drawer")
    assert "languages  1 question in Chinese searched words alone" in lorgnette("kb", "doctor").stdout
    german = lorgnette("search", "Wie viele Schubladen gibt es in der Werkstatt?").stdout
    assert "the embedder does not know German" in german, "though no passage is in German"
    doctor = lorgnette("kb", "doctor").stdout
    assert "languages  2 questions in Chinese, German searched words alone" in doctor and OFFER in doctor
    (kept,) = (tmp_path / "home").rglob("asked_languages.json")
    assert kept.read_text("utf-8") == '{"zh": 1, "de": 1}'
    kept.write_text("{broken", "utf-8")
    assert "languages" not in lorgnette("kb", "doctor").stdout
