"""Folders that are remembered: searched from wherever the program is started."""

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    papers, notes = tmp_path / "Papers", tmp_path / "Notes"
    for folder in (papers, notes, tmp_path / "elsewhere"):
        folder.mkdir()
    (papers / "lamp.md").write_text("# Lamp\nThe lamp raises ERR_42 when the fan stands still.\n", "utf-8")
    (notes / "kiln.md").write_text("# Kiln\nThe kiln of Ockley burns at 1140 degrees.\n", "utf-8")
    return papers, notes


def sources(lorgnette: Any, query: str) -> list[str]:
    return [hit["source"] for hit in json.loads(lorgnette("search", query, "--json").stdout)["hits"]]


def test_what_was_synced_first_is_found_from_another_folder(
    lorgnette: Any, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lorgnette("kb", "sync", str(folders[0]))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sources(lorgnette, "ERR_42") == ["lamp.md"]


def test_all_folders_that_were_added_are_searched_and_verified_from_another_one(
    lorgnette: Any, folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = lorgnette("kb", "add", *map(str, folders))
    assert added.exit_code == 0, added.output
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert sources(lorgnette, "ERR_42") == ["Papers/lamp.md"]
    assert sources(lorgnette, "kiln Ockley") == ["Notes/kiln.md"]
    assert lorgnette("kb", "verify", "ERR_42").stdout.startswith("exact    Papers/lamp.md")
    (folders[1] / "mill.txt").write_text("The mill of Ockley has 4 sails.", "utf-8")
    assert lorgnette("kb", "sync").stdout.splitlines()[-1].startswith("1 added")


def test_a_second_folder_that_is_only_synced_is_said_not_to_be_searched(
    lorgnette: Any, folders: tuple[Path, Path]
) -> None:
    assert "note:" not in lorgnette("kb", "sync", str(folders[0])).stderr
    synced = lorgnette("kb", "sync", str(folders[1])).stderr
    assert f"a search without --kb looks in {folders[0]}; `lorgnette kb add {folders[1]}` adds" in synced
    assert lorgnette("kb", "sync", str(folders[0])).stderr.count("note:") == 0


@pytest.mark.parametrize("named", ["Notes", "whole path"])
def test_a_remembered_folder_that_is_removed_does_not_come_back(
    lorgnette: Any, folders: tuple[Path, Path], named: str
) -> None:
    lorgnette("kb", "add", *map(str, folders))
    removed = lorgnette("kb", "remove", str(folders[1]) if named == "whole path" else named)
    assert removed.stdout.splitlines() == ["1 removed", f"{folders[1]} is no longer remembered"]
    assert (folders[1] / "kiln.md").exists()
    lorgnette("kb", "sync")
    assert sources(lorgnette, "kiln Ockley") == []
    assert sources(lorgnette, "ERR_42") == ["lamp.md"]


def test_a_folder_that_is_not_there_is_not_remembered(lorgnette: Any, tmp_path: Path) -> None:
    refused = lorgnette("kb", "add", str(tmp_path / "none"))
    assert refused.exit_code != 0 and "There is no folder" in refused.output


def test_what_programs_keep_and_ignore_files_name_is_left_out_and_many_alike_are_one_line(
    lorgnette: Any, folders: tuple[Path, Path]
) -> None:
    papers = folders[0]
    for name in ("node_modules/a.md", "env/pyvenv.cfg", "env/b.md", "drafts/c.md", "kept/drafts.md"):
        (papers / name).parent.mkdir(exist_ok=True)
        (papers / name).write_text("words", "utf-8")
    (papers / ".gitignore").write_text("drafts/\n*.tmp.md\n", "utf-8")
    (papers / "kept" / ".lorgnetteignore").write_text("secret.*\n", "utf-8")
    (papers / "kept" / "secret.md").write_text("words", "utf-8")
    for n in range(12):
        (papers / f"{n}.exe").write_bytes(b"MZ")
    lines = lorgnette("kb", "sync", str(papers)).stdout.splitlines()
    assert lines[-1].startswith("2 added") and sum(line.startswith("Skipped") for line in lines) == 1
    assert lines[0].startswith("Skipped: 12 files: files of type '.exe' are not read")
