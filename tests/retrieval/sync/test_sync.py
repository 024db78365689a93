import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retrieval.catalogue.catalogue import Catalogue
from retrieval.catalogue.rows import Matrix
from retrieval.errors import RetrievalError
from retrieval.locks import FileLock
from retrieval.reading.recipe import Recipe, open_recipe
from retrieval.reading.walk import LEADS_NOWHERE, LEADS_OUT
from retrieval.records import Chunk, Document
from retrieval.settings import RetrievalSettings
from retrieval.sync.sync import FolderMissing, embed_missing, sync
from tests.retrieval.conftest import LetterEmbedder

LONG_AGO = 1_700_000_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "docs"
    made.mkdir()
    return made


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "data" / "kb.sqlite")
    yield opened
    opened.close()


def write(path: Path, text: str | bytes, at: float = LONG_AGO) -> Path:
    """Write a file of long ago: one of just now could change again without a new time, and is looked at twice."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    os.utime(path, (at, at))
    return path


def texts(catalogue: Catalogue) -> dict[str, list[str]]:
    """What each file holds according to the catalogue."""
    found: dict[str, list[tuple[int, str]]] = {}
    for page in catalogue.pages():
        for chunk in page:
            for place in chunk.occurrences:
                found.setdefault(place.source, []).append((place.ordinal, place.text))
    return {source: [text for _, text in sorted(held)] for source, held in found.items()}


def test_a_folder_is_indexed_with_its_inner_folders(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one\n\ntwo")
    write(folder / "in" / "ner" / "知识.md", "三")
    seen = []
    report = sync(catalogue, folder, letters, paragraphs, progress=lambda *told: seen.append(told))
    assert (report.added, report.skipped, report.embedded) == (2, 0, 3)
    assert texts(catalogue) == {"a.txt": ["one", "two"], "in/ner/知识.md": ["三"]}
    assert seen == [("a.txt", 1, 2), ("in/ner/知识.md", 2, 2)]
    assert catalogue.counts().vectors == {"letters": 3}
    row = catalogue.file("a.txt")
    assert row and (row.media_type, row.codec, row.title, row.size) == ("text", "utf-8", "a", 8)


def test_an_unchanged_file_is_not_opened(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    before = catalogue.generation
    monkeypatch.setattr("retrieval.reading.prepare.read_content", lambda *_: pytest.fail("it was opened"))
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.unchanged, report.updated, texts(catalogue)) == (1, 0, {"a.txt": ["one"]})
    assert catalogue.generation == before


@pytest.mark.skipif(sys.platform == "win32", reason="the change time is that of the file's creation there")
def test_other_bytes_behind_the_same_size_and_time_are_found_by_the_change_time(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    noted = (folder / "a.txt").stat().st_ctime_ns
    while write(folder / "a.txt", "two").stat().st_ctime_ns == noted:  # within one tick of the file system's clock
        pass
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.updated, texts(catalogue)) == (1, {"a.txt": ["two"]})


@pytest.mark.skipif(sys.platform == "win32", reason="the change time is that of the file's creation there")
def test_other_rights_are_looked_at_once_and_move_no_projection(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    path = write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    noted, before = path.stat().st_ctime_ns, catalogue.generation
    while path.stat().st_ctime_ns == noted:
        path.chmod(0o600)
    no_reader = replace(paragraphs, read=lambda path, data: pytest.fail("it was read"))
    assert sync(catalogue, folder, letters, no_reader).unchanged == 1
    row = catalogue.file("a.txt")
    assert row and row.ctime_ns == path.stat().st_ctime_ns
    assert not len(catalogue.changed_since(before, places=True)[0])
    before = catalogue.generation
    assert sync(catalogue, folder, letters, no_reader).unchanged == 1 and catalogue.generation == before


def test_a_file_written_just_now_is_looked_at_again(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    tomorrow = 4_000_000_000
    write(folder / "a.txt", "one", tomorrow)
    sync(catalogue, folder, letters, paragraphs)
    write(folder / "a.txt", "two", tomorrow)
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.updated, texts(catalogue)) == (1, {"a.txt": ["two"]})


def test_another_time_with_the_same_bytes_is_a_touch(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    write(folder / "a.txt", "one", LONG_AGO + 5)
    no_reader = replace(paragraphs, read=lambda path, data: pytest.fail("it was read"))
    report = sync(catalogue, folder, letters, no_reader)
    assert (report.unchanged, report.updated) == (1, 0)
    row = catalogue.file("a.txt")
    assert row and row.mtime_ns == (LONG_AGO + 5) * 10**9


def test_an_edited_file_embeds_its_new_chunks_alone(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one\n\ntwo\n\nthree")
    sync(catalogue, folder, letters, paragraphs)
    numbers = {c.text: c.number for page in catalogue.pages() for c in page}
    letters.asked.clear()
    write(folder / "a.txt", "zero\n\none\n\nthree", LONG_AGO + 1)
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.updated, report.embedded, letters.asked) == (1, 1, ["zero"])
    assert texts(catalogue) == {"a.txt": ["zero", "one", "three"]}
    now = {c.text: c.number for page in catalogue.pages() for c in page}
    assert (now["one"], now["three"]) == (numbers["one"], numbers["three"])


def test_a_renamed_file_embeds_nothing_and_keeps_its_numbers(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one\n\ntwo")
    sync(catalogue, folder, letters, paragraphs)
    numbers = catalogue.numbers().tolist()
    letters.asked.clear()
    (folder / "in").mkdir()
    (folder / "a.txt").rename(folder / "in" / "b.txt")
    no_reader = replace(paragraphs, read=lambda path, data: pytest.fail("it was read"))
    report = sync(catalogue, folder, letters, no_reader)
    assert (report.renamed, report.added, report.removed) == (1, 0, 0)
    assert texts(catalogue) == {"in/b.txt": ["one", "two"]}
    assert catalogue.numbers().tolist() == numbers and letters.asked == []


def test_two_copies_that_both_move_stay_two(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    write(folder / "b.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    (folder / "a.txt").rename(folder / "c.txt")
    (folder / "b.txt").rename(folder / "d.txt")
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.renamed, report.removed, set(texts(catalogue))) == (2, 0, {"c.txt", "d.txt"})


def test_a_new_type_is_read_anew_and_embeds_nothing(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    letters.asked.clear()
    (folder / "a.txt").rename(folder / "a.md")
    sync(catalogue, folder, letters, paragraphs)
    assert [(f.source, f.media_type) for f in catalogue.files()] == [("a.md", "markdown")]
    assert letters.asked == []


def test_files_that_change_places_embed_nothing(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    write(folder / "b.txt", "two")
    sync(catalogue, folder, letters, paragraphs)
    letters.asked.clear()
    write(folder / "a.txt", "two", LONG_AGO + 1)
    write(folder / "b.txt", "one", LONG_AGO + 1)
    sync(catalogue, folder, letters, paragraphs)
    assert texts(catalogue) == {"a.txt": ["two"], "b.txt": ["one"]}
    assert letters.asked == [] and not len(catalogue.chunks_without_vector("letters"))


def test_a_rotated_log_embeds_only_what_is_new(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    # More than a batch: the new file has to come before the changed one.
    write(folder / "app.log", "\n\n".join(f"old {i}" for i in range(70)))
    sync(catalogue, folder, letters, paragraphs)
    letters.asked.clear()
    (folder / "app.log").rename(folder / "app.log.1")
    write(folder / "app.log", "\n\n".join(f"new {i}" for i in range(70)), LONG_AGO + 1)
    sync(catalogue, folder, letters, paragraphs)
    assert letters.asked == [f"new {i}" for i in range(70)]


def test_a_deleted_file_disappears(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    write(folder / "b.txt", "two")
    sync(catalogue, folder, letters, paragraphs)
    (folder / "a.txt").unlink()
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.removed, report.unchanged, texts(catalogue)) == (1, 1, {"b.txt": ["two"]})


def test_the_same_text_in_many_files_is_embedded_once(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    for i in range(5):
        write(folder / f"{i}.txt", f"the same\n\nown {i}")
    sync(catalogue, folder, letters, paragraphs)
    assert sorted(letters.asked) == ["own 0", "own 1", "own 2", "own 3", "own 4", "the same"]


def test_an_unreadable_file_is_listed_and_tried_again_when_it_changes(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "BROKEN")
    write(folder / "b.txt", "two")
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.added, report.skipped) == (1, 1)
    assert [(source, "it says so" in reason) for source, reason in report.reasons] == [("a.txt", True)]
    assert [(f.source, f.reason) for f in catalogue.skipped()] == list(report.reasons)
    again = sync(catalogue, folder, letters, paragraphs)
    assert (again.skipped, again.reasons) == (1, ())
    write(folder / "a.txt", "mended", LONG_AGO + 1)
    mended = sync(catalogue, folder, letters, paragraphs)
    assert (mended.updated, mended.skipped, catalogue.skipped()) == (1, 0, [])
    assert texts(catalogue)["a.txt"] == ["mended"]


def test_a_mistake_of_a_reader_costs_its_file_alone(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    def read(path: Path, data: bytes) -> Document:
        if path.name == "strange.txt":
            raise IndexError("7")
        return paragraphs.read(path, data)

    write(folder / "strange.txt", "strange")
    write(folder / "plain.txt", "plain")
    report = sync(catalogue, folder, letters, replace(paragraphs, read=read))
    assert report.skipped == 1 and "plain.txt" in texts(catalogue)
    assert "a mistake in reading it (IndexError: 7)" in report.reasons[0][1]


def test_a_file_that_breaks_takes_its_chunks_along(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    write(folder / "a.txt", "BROKEN", LONG_AGO + 1)
    assert sync(catalogue, folder, letters, paragraphs).skipped == 1
    assert texts(catalogue) == {} and len(catalogue.skipped()) == 1


def test_a_larger_limit_reads_what_was_too_large(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "x" * 100)
    small = replace(paragraphs, max_bytes=99)
    report = sync(catalogue, folder, letters, small)
    assert report.skipped == 1 and "100" in report.reasons[0][1]
    assert sync(catalogue, folder, letters, small).reasons == ()
    assert sync(catalogue, folder, letters, paragraphs).updated == 1


def test_another_splitter_splits_again_and_embeds_only_new_chunks(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one\n\ntwo")
    sync(catalogue, folder, letters, paragraphs)
    letters.asked.clear()
    first_only = replace(paragraphs, split=lambda document: paragraphs.split(document)[:1], fingerprint="first")
    report = sync(catalogue, folder, letters, first_only)
    assert (report.updated, texts(catalogue), letters.asked) == (1, {"a.txt": ["one"]}, [])


def test_another_embedder_embeds_all_and_reads_nothing(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one\n\ntwo")
    sync(catalogue, folder, letters, paragraphs)
    letters.asked.clear()
    letters.fingerprint = "other"
    no_reader = replace(paragraphs, read=lambda path, data: pytest.fail("it was read"))
    report = sync(catalogue, folder, letters, no_reader)
    assert (report.unchanged, report.embedded, sorted(letters.asked)) == (1, 2, ["one", "two"])
    assert catalogue.counts().vectors == {"other": 2}


def test_without_an_embedder_vectors_are_filled_in_later(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "\n\n".join(f"c{i}" for i in range(150)))
    sync(catalogue, folder, None, paragraphs)
    assert catalogue.counts().chunks == 150 and catalogue.counts().vectors == {}
    stop = threading.Event()
    # Stops after the first batch; what is done is done.
    assert embed_missing(catalogue, letters, lambda *_: stop.set(), stop) == 64
    assert embed_missing(catalogue, letters) == 86
    assert embed_missing(catalogue, letters) == 0
    assert catalogue.counts().vectors == {"letters": 150}


def test_a_file_of_very_many_chunks_is_stored_before_it_is_embedded(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "\n\n".join(f"c{i}" for i in range(600)))
    stages = []
    sync(catalogue, folder, letters, paragraphs, progress=lambda *_: stages.append(len(letters.asked)))
    assert stages[0] == 0 and stages[-1] == 600
    assert catalogue.counts().vectors == {"letters": 600}


def test_headings_are_embedded_with_the_text(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    def under_headings(document: Document) -> list[Chunk]:
        return [replace(chunk, headings=("Manual", "Setup")) for chunk in paragraphs.split(document)]

    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, replace(paragraphs, split=under_headings))
    assert letters.asked == ["Manual > Setup\none"]


def test_a_failing_embedder_leaves_files_found_by_words(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    class Down(RetrievalError):
        pass

    class DownEmbedder(LetterEmbedder):
        def embed_documents(self, texts: Sequence[str]) -> Matrix:
            raise Down("the endpoint is down")

    write(folder / "a.txt", "one")
    write(folder / "b.txt", "two")
    report = sync(catalogue, folder, DownEmbedder(), paragraphs)
    assert (report.added, report.embedded) == (2, 0) and "the endpoint is down" in report.degraded[0]
    assert texts(catalogue) == {"a.txt": ["one"], "b.txt": ["two"]}
    assert sync(catalogue, folder, letters, paragraphs).embedded == 2


def test_hidden_things_and_our_own_data_are_left_out(folder: Path, paragraphs: Recipe, letters: LetterEmbedder) -> None:
    catalogue = Catalogue(folder / "kb.sqlite")
    write(folder / "a.txt", "one")
    write(folder / ".hidden.txt", "h")
    write(folder / ".git" / "config.txt", "h")
    write(folder / "~$a.txt", "h")
    write(folder / "index" / "segment.txt", "ours")
    sync(catalogue, folder, letters, paragraphs, leave_out=[folder / "index"])
    assert list(catalogue.known()) == ["a.txt"]
    catalogue.close()


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_are_followed_inside_and_listed_where_they_lead_out(
    catalogue: Catalogue, folder: Path, tmp_path: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(tmp_path / "outside" / "secret.txt", "secret")
    write(folder / "in" / "a.txt", "one")
    (folder / "in" / "loop").symlink_to(folder)
    (folder / "copy.txt").symlink_to(folder / "in" / "a.txt")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (folder / "dangling.txt").symlink_to(folder / "nothing")
    (folder / "self.txt").symlink_to(folder / "self.txt")
    sync(catalogue, folder, letters, paragraphs)
    assert texts(catalogue) == {"in/a.txt": ["one"], "copy.txt": ["one"]}
    reasons = {f.source: f.reason for f in catalogue.skipped()}
    assert reasons == {"dangling.txt": LEADS_NOWHERE, "out": LEADS_OUT, "out.txt": LEADS_OUT, "self.txt": LEADS_NOWHERE}
    assert sync(catalogue, folder, letters, paragraphs).reasons == ()


@pytest.mark.skipif(sys.platform == "win32", reason="no such pipes there")
def test_a_pipe_is_listed_and_not_waited_for(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    os.mkfifo(folder / "pipe.txt")
    report = sync(catalogue, folder, letters, paragraphs)
    assert report.skipped == 1 and "regular file" in report.reasons[0][1]


def test_names_in_other_encodings_and_with_newlines_are_indexed(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    names = {os.fsdecode(b"\xff\xd6.txt"), "two\nlines.txt"}
    for name in names:
        write(folder / name, f"text of {name!r}")
    sync(catalogue, folder, letters, paragraphs)
    assert set(texts(catalogue)) == names
    assert sync(catalogue, folder, letters, paragraphs).unchanged == 2


def test_a_folder_that_is_not_there_removes_nothing(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    (folder / "a.txt").unlink()
    folder.rmdir()
    with pytest.raises(FolderMissing, match="the index is as it was"):
        sync(catalogue, folder, letters, paragraphs)
    assert texts(catalogue) == {"a.txt": ["one"]}


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work another way there")
def test_what_a_closed_folder_holds_is_not_gone(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "closed" / "a.txt", "one")
    sync(catalogue, folder, letters, paragraphs)
    scandir = os.scandir

    def refuse(path: str | Path) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", refuse)
        report = sync(catalogue, folder, letters, paragraphs)
    assert (report.removed, texts(catalogue)) == (0, {"closed/a.txt": ["one"]})
    assert [source for source, _ in report.reasons] == ["closed"]
    sync(catalogue, folder, letters, paragraphs)
    assert catalogue.skipped() == [] and texts(catalogue) == {"closed/a.txt": ["one"]}


def test_a_file_that_changes_while_it_is_read_is_tried_once_more(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "a.txt", "one")
    stat, times = os.stat, iter([LONG_AGO + 1])

    def writing(path: Path, **options: Any) -> Any:
        found = stat(path, **options)
        if str(path).endswith("a.txt") and (at := next(times, None)):
            write(folder / "a.txt", "two", at)
        return found

    monkeypatch.setattr("retrieval.reading.snapshot.os.stat", writing)
    report = sync(catalogue, folder, letters, paragraphs)
    assert (report.added, texts(catalogue)) == (1, {"a.txt": ["two"]})


def test_a_file_that_keeps_changing_keeps_its_last_text_until_next_time(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "a.txt", "one")
    write(folder / "b.txt", "two")
    sync(catalogue, folder, letters, paragraphs)
    write(folder / "a.txt", "three", LONG_AGO + 1)
    write(folder / "c.txt", "four")
    stat = os.stat

    def writing(path: Path, **options: Any) -> Any:
        found = stat(path, **options)
        if str(path).endswith(("a.txt", "c.txt")):
            write(Path(path), "more", found.st_mtime + 1)
        return found

    with monkeypatch.context() as patched:
        patched.setattr("retrieval.reading.snapshot.os.stat", writing)
        report = sync(catalogue, folder, letters, paragraphs)
        assert sync(catalogue, folder, letters, paragraphs).skipped == 2
    assert (report.unchanged, report.skipped) == (1, 2)
    assert texts(catalogue) == {"a.txt": ["one"], "b.txt": ["two"]}
    assert [f.source for f in catalogue.skipped()] == ["c.txt"]
    sync(catalogue, folder, letters, paragraphs)
    assert texts(catalogue) == {"a.txt": ["more"], "b.txt": ["two"], "c.txt": ["more"]}


def test_cancelling_keeps_what_is_done_and_the_next_sync_does_the_rest(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    for name in "abc":
        write(folder / f"{name}.txt", "\n\n".join(f"{name}{i}" for i in range(70)))
    write(folder / "gone.txt", "gone")
    sync(catalogue, folder, letters, replace(paragraphs, max_bytes=10))
    (folder / "gone.txt").unlink()
    stop = threading.Event()
    report = sync(catalogue, folder, letters, paragraphs, progress=lambda *_: stop.set(), cancel=stop)
    assert (report.cancelled, report.updated, report.removed) == (True, 1, 0)
    assert set(texts(catalogue)) == {"a.txt", "gone.txt"}
    rest = sync(catalogue, folder, letters, paragraphs)
    assert (rest.cancelled, rest.updated, rest.unchanged, rest.removed) == (False, 2, 1, 1)


def test_ctrl_c_keeps_what_is_done_and_lets_go_of_the_lock(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    def interrupt(source: str, done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    write(folder / "a.txt", "one")
    write(folder / "b.txt", "two")
    with pytest.raises(KeyboardInterrupt):
        sync(catalogue, folder, letters, paragraphs, progress=interrupt)
    assert texts(catalogue) == {"a.txt": ["one"]}
    assert sync(catalogue, folder, letters, paragraphs).added == 1


def test_a_second_sync_waits_for_the_first_and_can_be_cancelled(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    write(folder / "a.txt", "one")
    stop = threading.Event()
    told = []

    def progress(what: str, done: int, total: int) -> None:
        told.append(what)
        stop.set()

    with FileLock(catalogue.path.with_name("kb.sqlite.lock")):
        report = sync(catalogue, folder, letters, paragraphs, progress=progress, cancel=stop)
    assert report.cancelled and told == ["waiting for another sync of this knowledge base"]
    assert texts(catalogue) == {}


def test_two_syncs_at_once_do_the_work_once(
    catalogue: Catalogue, folder: Path, paragraphs: Recipe, letters: LetterEmbedder
) -> None:
    for i in range(30):
        write(folder / f"{i}.txt", f"own {i}\n\nthe same")
    reports = []
    threads = [
        threading.Thread(target=lambda: reports.append(sync(catalogue, folder, letters, paragraphs))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((r.added, r.unchanged) for r in reports) == [(0, 30), (0, 30), (30, 0)]
    assert len(letters.asked) == 31 and catalogue.check() == []


@pytest.mark.skipif(sys.platform == "win32", reason="kill works another way there")
def test_a_dead_process_lets_go_of_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retrieval.locks import FileLock\n"
        "FileLock(Path(sys.argv[1])).acquire(); print('held', flush=True); sys.stdin.read()"
    )
    path = tmp_path / "lock"
    child = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout and child.stdout.readline() == b"held\n"
        assert not FileLock(path).try_acquire()
        child.send_signal(signal.SIGKILL)
        child.wait()
    with FileLock(path) as lock:
        assert not FileLock(path).try_acquire()
        lock.release()
        assert FileLock(path).try_acquire()


def test_the_settings_recipe_reads_real_files(catalogue: Catalogue, folder: Path, letters: LetterEmbedder) -> None:
    write(folder / "gbk.txt", "知识库里的一段中文文本，用国标编码保存。" * 5)
    write(folder / "gbk2.txt", ("数据库保存文件和向量，检索时先看目录。" * 5).encode("gb18030"))
    write(folder / "page.md", "# Title\n\nSome words.\n")
    write(folder / "program.bin", b"\0\1")
    write(folder / "README", "no suffix")
    recipe = open_recipe(RetrievalSettings())
    report = sync(catalogue, folder, letters, recipe)
    assert (report.added, report.skipped) == (4, 1)  # a README is read whatever its name ends in
    assert {f.source: f.codec for f in catalogue.files()}["gbk2.txt"] == "gb18030"
    assert {f.source for f in catalogue.skipped()} == {"program.bin"}
    assert sync(catalogue, folder, letters, recipe).unchanged == 4
    assert sync(catalogue, folder, letters, open_recipe(RetrievalSettings(chunk_tokens=64))).updated == 4
