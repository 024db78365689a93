"""Names of files may hold anything; each stays on its line and commands no terminal."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")

NAMES = {
    b"a\nSkipped: b.txt.xyz": "a\\nSkipped: b.txt.xyz",
    b"\x1b[2Jgone\x07.xyz": "\\x1b[2Jgone\\x07.xyz",
    "知识.xyz".encode(): "知识.xyz",
    "红色.xyz".encode("gbk"): "\\xba\\xecɫ.xyz",
    "gpj\u202e.xyz".encode(): "gpj\\u202e.xyz",
    "\x85next\u2028line.xyz".encode(): "\\x85next\\u2028line.xyz",
    b"[red].xyz": "[red].xyz",
    b"back\\slash.xyz": "back\\slash.xyz",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    folder = tmp_path / "knowledge_base"  # the setting's default
    folder.mkdir()
    return folder


def write(folder: Path, name: bytes, text: str) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_text(text, "utf-8")


def test_skipped_files_of_hostile_names_are_listed_on_a_line_each(lorgnette: Any, folder: Path) -> None:
    for name in NAMES:
        write(folder, name, "words")
    synced = lorgnette("kb", "sync")
    assert synced.exit_code == 0
    listed = lorgnette("kb", "list", "--skipped").stdout
    shown = [line.partition("  files of type")[0] for line in listed.splitlines()]
    assert sorted(shown) == sorted(NAMES.values())
    assert not set(listed) & set("\x1b\x07\u202e\x85")
    assert len(json.loads(lorgnette("kb", "list", "--skipped", "--json").stdout)) == len(NAMES)
    # One line for all of a type, that there is no embedder, and the sum.
    assert len(synced.stdout.splitlines()) == 3 and "Skipped: 8 files" in synced.stdout


def test_a_hit_of_a_hostile_name_is_one_line_too(lorgnette: Any, folder: Path) -> None:
    write(folder, b"a\n[2] other.md\x1b[2J.txt", "ERR_42 is raised.")
    write(folder, "红色".encode("gbk") + b".txt", "ERR_43 is raised.")
    lorgnette("kb", "sync")
    assert lorgnette("kb", "list").stdout.splitlines() == [
        "a\\n[2] other.md\\x1b[2J.txt  text  utf-8 (100%)", "\\xba\\xecɫ.txt  text  utf-8 (100%)"
    ]  # fmt: skip
    found = lorgnette("search", "ERR_42 raised").stdout
    assert found.startswith("[1] a\\n[2] other.md\\x1b[2J.txt, characters 0 to 17")
    assert lorgnette("search", "ERR_43 raised").exit_code == 0
    assert lorgnette("kb", "verify", "ERR_42").stdout.startswith("exact    a\\n[2] other.md")
