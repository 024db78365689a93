"""The commands about documents, with real files and indexes; words alone are searched."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cli.edge import Run
from cli.main import app
from graph.answer import Citation
from tests.retrieval.regions.page_pdf import page_pdf


@pytest.fixture(autouse=True)
def words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge_base"  # the setting's default
    folder.mkdir()
    (folder / "lamp.md").write_text("# Lamp\nThe lamp raises ERR_42 when the fan stands still.\n", "utf-8")
    (folder / "empty.txt").touch()
    return folder


def test_a_folder_is_synced_searched_and_verified(lorgnette: Any, folder: Path) -> None:
    synced = lorgnette("kb", "sync")
    assert synced.exit_code == 0
    assert synced.stdout.splitlines()[-1].startswith("1 added, 0 updated, 0 renamed, 0 removed, 0 unchanged, 1 skipped")
    assert any(line.startswith("Skipped: empty.txt: ") for line in synced.stdout.splitlines())
    searched = lorgnette("search", "What does ERR_42 mean?")
    assert searched.stdout.splitlines()[0].startswith('[1] lamp.md, characters 0 to 56 under "Lamp", relevant, ')
    assert "ERR_42 when the fan" in searched.stdout
    verified = lorgnette("kb", "verify", "ERR_42")
    assert verified.exit_code == 0 and verified.stdout.startswith("exact    lamp.md, characters 0 to 56")


def test_json_is_one_document(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    found = json.loads(lorgnette("search", "ERR_42", "--json").stdout)
    assert [hit["source"] for hit in found["hits"]] == ["lamp.md"]
    assert json.loads(lorgnette("kb", "sync", "--json").stdout)["unchanged"] == 1
    assert [row["source"] for row in json.loads(lorgnette("kb", "list", "--json").stdout)] == ["lamp.md"]


def test_what_was_skipped_is_listed_with_the_reason(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync", str(folder))
    assert lorgnette("kb", "list").stdout.splitlines() == ["lamp.md  markdown  utf-8 (100%)"]
    (line,) = lorgnette("kb", "list", "--skipped").stdout.splitlines()
    assert line.startswith("empty.txt  no words to index")


def test_what_is_not_there_is_said_and_what_to_do(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    removed = lorgnette("kb", "remove", "nothing.md")
    assert removed.exit_code != 0 and "'nothing.md' is not in the index" in removed.stderr
    assert "no indexed file matches 'nope.txt'" in lorgnette("search", "lamp", "--source", "nope.txt").stdout
    assert "is a file; name the folder of your documents" in lorgnette("kb", "sync", str(folder / "lamp.md")).stderr
    (folder / "lamp.md").unlink()
    lorgnette("kb", "sync")
    assert "No file of the folder could be read; `lorgnette kb list --skipped`" in lorgnette("search", "lamp").stderr


def test_the_filters_narrow_a_search(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    assert lorgnette("search", "ERR_42", "--type", "pdf").stdout.startswith("Nothing relevant was found.")
    assert lorgnette("search", "ERR_42", "--after", "2999-01-01").stdout.startswith("Nothing relevant was found.")
    assert lorgnette("search", "ERR_42", "--source", "*.md", "--before", "2999-01-01").stdout.startswith("[1] lamp.md")


def test_a_removed_file_is_not_found_until_the_next_sync(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    assert lorgnette("kb", "remove", "lamp.md").stdout == "1 removed\n"
    assert lorgnette("search", "ERR_42").stdout.startswith("Nothing relevant was found.")
    assert lorgnette("kb", "remove", "lamp.md").exit_code == 1
    lorgnette("kb", "sync")
    assert lorgnette("search", "ERR_42").stdout.startswith("[1] lamp.md")


def test_the_doctor_finds_indexes_sound(lorgnette: Any, folder: Path) -> None:
    lorgnette("kb", "sync")
    result = lorgnette("kb", "doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "catalogue  1 files, 1 skipped, 1 passages",
        "lexical    1 of 1 passages, sound",
    ]


def test_a_search_before_the_first_sync_says_what_to_run(lorgnette: Any, folder: Path) -> None:
    result = lorgnette("search", "ERR_42")
    assert result.exit_code == 0
    assert f"run: lorgnette kb sync {folder}" in result.stderr


def test_a_missing_folder_is_one_line(lorgnette: Any, tmp_path: Path) -> None:
    for command in (("search", "x"), ("kb", "sync", str(tmp_path / "nowhere"))):
        result = lorgnette(*command)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: There is no folder ") and result.stderr.count("\n") == 1


def test_a_page_with_its_words_framed_is_shown_by_the_systems_viewer(folder: Path) -> None:
    (folder / "k3.pdf").write_bytes(page_pdf([(61, 700, "The K3 microscope has a warranty of 36 months.")]))
    shown: list[Path] = []

    def show(path: Path) -> bool:
        shown.append(path)
        return True

    run = Run(show=show)
    CliRunner().invoke(app, ["kb", "sync"], obj=run)
    found = CliRunner().invoke(app, ["search", "microscope warranty", "--open", "1", "--json"], obj=run)
    (hit,) = json.loads(found.stdout)["hits"]
    assert (hit["place"], len(hit["regions"]), hit["regions"][0]["page"]) == ("page 1", 1, 1)
    (picture,) = shown
    assert picture.read_bytes().startswith(b"\x89PNG") and f"k3.pdf, page 1: {picture}" in found.stderr
    refused = CliRunner().invoke(app, ["search", "microscope warranty", "--open", "2"], obj=run)
    assert refused.exit_code == 2 and "there are 1 hits" in refused.stderr
    lamp = CliRunner().invoke(app, ["search", "ERR_42", "--open", "1"], obj=run)
    assert lamp.exit_code == 1 and "only pages of PDFs and pictures can be drawn" in lamp.stderr


def test_ask_open_shows_the_page_that_the_answer_cites_first(folder: Path, scripted_agent: Any, answer: Any) -> None:
    (folder / "k3.pdf").write_bytes(page_pdf([(61, 700, "The K3 microscope has a warranty of 36 months.")]))
    shown: list[Path] = []
    CliRunner().invoke(app, ["kb", "sync"])
    (hit,) = json.loads(CliRunner().invoke(app, ["search", "microscope warranty", "--json"]).stdout)["hits"]
    quote = {"quote": hit["text"], "page": 1}
    cited = Citation(**{name: hit[name] for name in ("id", "source", "start", "end")}, **quote)
    saying = scripted_agent(answer.model_copy(update={"answer": "36 months [1].", "citations": [cited]}))

    def show(path: Path) -> bool:
        shown.append(path)
        return True

    run = Run(open_agent=lambda _settings, _progress: saying, show=show)
    asked = CliRunner().invoke(app, ["ask", "How long is the warranty of the K3?", "--open"], obj=run)
    assert asked.exit_code == 0 and "36 months [1]." in asked.stdout
    (picture,) = shown
    framed = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert (framed.min(-1) < 200).any() and f"k3.pdf, page 1: {picture}" in asked.stderr
    # Without a page there is nothing to open, which is said and no failure.
    plain = Run(open_agent=lambda _settings, _progress: scripted_agent(answer), show=run.show)
    nothing = CliRunner().invoke(app, ["ask", "How many?", "a.png", "--open"], obj=plain)
    assert nothing.exit_code == 0 and "there is nothing to open" in nothing.stderr and len(shown) == 1
