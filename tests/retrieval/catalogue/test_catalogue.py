import os
import re
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.catalogue import catalogue as catalogue_module
from retrieval.catalogue.catalogue import Catalogue, CatalogueDamaged, CatalogueFull, CatalogueNewer, CatalogueReadOnly
from retrieval.catalogue.rows import FileRow
from retrieval.records import Chunk, Filter

VECTOR = np.array([0.6, 0.8], np.float32)


@pytest.fixture
def catalogue(tmp_path: Path) -> Iterator[Catalogue]:
    opened = Catalogue(tmp_path / "data" / "kb.sqlite")
    yield opened
    opened.close()


def row(source: str, sha256: str = "s", **fields: Any) -> FileRow:
    known: dict[str, Any] = {"source": source, "sha256": sha256, "size": 3, "mtime_ns": 5, "state": "indexed"}
    return FileRow(**known | fields)


def chunk(id: str, start: int = 0, text: str | None = None) -> Chunk:
    text = id if text is None else text
    return Chunk(id, text, start, start + len(text))


def ids(catalogue: Catalogue) -> set[str]:
    return {c.id for page in catalogue.pages(2) for c in page}


def number_of(catalogue: Catalogue, id: str) -> int:
    return next(c.number for page in catalogue.pages() for c in page if c.id == id)


def test_a_file_comes_back_as_it_was_put(catalogue: Catalogue) -> None:
    put = row("a/b.pdf", media_type="pdf", codec="gb18030", confidence=0.5, title="题", notes=("one",), recipe="r")
    generation = catalogue.put_file(put, [Chunk("x", "text", 3, 7, 2, ("H", "h"))])
    assert catalogue.files() == [FileRow(**vars(put) | {"generation": generation})]
    (stored,) = catalogue.chunks([1])
    assert (stored.id, stored.text, stored.headings) == ("x", "text", ("H", "h"))
    (place,) = stored.occurrences
    assert (place.source, place.page, place.start, place.end, place.text) == ("a/b.pdf", 2, 3, 7, "text")


def test_names_in_other_encodings_and_with_newlines_survive(catalogue: Catalogue) -> None:
    names = [os.fsdecode(b"\xff\xfe.txt"), "two\nlines.txt", "quote's.txt", "知识.txt"]
    for name in names:
        catalogue.put_file(row(name), [chunk(repr(name))])
    assert {f.source for f in catalogue.files()} == set(names)
    assert {c.occurrences[0].source for page in catalogue.pages() for c in page} == set(names)
    assert len(catalogue.numbers_matching(Filter(source=names[0]))) == 1
    catalogue.remove_files(names)
    assert catalogue.files() == []


def test_a_chunk_of_two_files_is_stored_once_and_knows_both(catalogue: Catalogue) -> None:
    catalogue.put_file(row("b"), [chunk("x")])
    catalogue.put_file(row("a"), [chunk("y"), chunk("x", 9)])
    stored = next(c for c in catalogue.chunks([1, 2]) if c.id == "x")
    assert [(o.source, o.ordinal, o.start) for o in stored.occurrences] == [("a", 1, 9), ("b", 0, 0)]
    assert catalogue.counts().chunks == 2


def test_a_chunk_that_stands_twice_in_a_file_has_two_places(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("x", 10)])
    assert [o.start for o in catalogue.chunks([1])[0].occurrences] == [0, 10]


def test_a_place_gives_its_own_white_space(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x", text="one two")])
    catalogue.put_file(row("b"), [chunk("x", text="one\ntwo")])
    (stored,) = catalogue.chunks([1])
    assert [o.text for o in stored.occurrences] == ["one two", "one\ntwo"]


def test_a_chunk_goes_with_its_last_place(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("y")])
    catalogue.put_file(row("b"), [chunk("x")])
    catalogue.put_file(row("a"), [])
    assert ids(catalogue) == {"x"}
    catalogue.remove_files(["b"])
    assert ids(catalogue) == set()


def test_a_number_is_never_given_again(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    catalogue.remove_files(["a"])
    catalogue.put_file(row("a"), [chunk("x")])
    assert catalogue.numbers().tolist() == [2]


def test_chunks_come_in_the_order_asked_for_and_unknown_ones_are_left_out(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("y"), chunk("z")])
    assert [c.number for c in catalogue.chunks([3, 99, 1])] == [3, 1]


def test_more_numbers_than_sql_takes_variables_can_be_asked_for(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    assert [c.id for c in catalogue.chunks(range(1, 40_000))] == ["x"]


def test_pages_give_every_chunk_once(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk(f"c{i}") for i in range(7)])
    catalogue.put_file(row("b"), [chunk("c0"), chunk("c6")])
    assert [[c.number for c in page] for page in catalogue.pages(3)] == [[1, 2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), "abcd"),
        (Filter(source=""), "abcd"),
        (Filter(source="docs/one.md"), "a"),
        (Filter(source="docs"), "abc"),
        (Filter(source="./docs/"), "abc"),
        (Filter(source="doc"), ""),
        (Filter(source="docs/*.md"), "a"),
        (Filter(source="docs/**/*.md"), "ab"),
        (Filter(source="*.md"), "ab"),
        (Filter(source="docs/???.md"), "a"),
        (Filter(source="docs/s*"), "b"),
        (Filter(source="re[p]ort.pdf"), ""),
        (Filter(media_type="pdf"), "cd"),
        (Filter(after=3.0), "cd"),
        (Filter(before=3.0), "ab"),
        (Filter(source="docs", media_type="pdf", after=1.0, before=9.0), "c"),
    ],
)
def test_a_filter_allows_the_chunks_of_the_files_it_means(catalogue: Catalogue, wanted: Filter, expected: str) -> None:
    files = {"a": "docs/one.md", "b": "docs/sub/two.md", "c": "docs/three.pdf", "d": "report.pdf"}
    for i, (name, source) in enumerate(files.items(), 1):
        kind = "pdf" if source.endswith("pdf") else "markdown"
        catalogue.put_file(row(source, media_type=kind, mtime_ns=i * 10**9), [chunk(name)])
    found = catalogue.numbers_matching(wanted)
    assert "".join(sorted(c.id for c in catalogue.chunks(found))) == expected
    assert found.tolist() == sorted(found.tolist())


def test_a_filter_takes_composed_and_decomposed_accents_for_the_same(catalogue: Catalogue) -> None:
    catalogue.put_file(row("cafe\N{COMBINING ACUTE ACCENT}/a.txt"), [chunk("x")])
    assert len(catalogue.numbers_matching(Filter(source="café"))) == 1


def test_vectors_come_back_by_number_and_by_id(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("y"), chunk("z")], {"x": VECTOR, "z": -VECTOR}, "e1")
    numbers, matrix = catalogue.vectors([3, 2, 1], "e1")
    assert numbers.tolist() == [1, 3]
    np.testing.assert_array_equal(matrix, [VECTOR, -VECTOR])
    assert list(catalogue.vectors_by_id(["x", "y"], "e1")) == ["x"]
    assert [n.tolist() for n, _ in catalogue.vector_pages("e1", 1)] == [[1], [3]]
    assert catalogue.vectors([1], "e2")[1].shape == (0, 0)


def test_vectors_of_another_embedder_count_as_missing_until_replaced(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("y")], {"x": VECTOR, "y": VECTOR}, "old")
    assert catalogue.chunks_without_vector("new").tolist() == [1, 2]
    catalogue.set_vectors({1: -VECTOR}, "new")
    assert catalogue.chunks_without_vector("new").tolist() == [2]
    assert catalogue.counts().vectors == {"new": 1, "old": 1}


def test_a_vector_for_a_chunk_that_has_gone_is_passed_over(catalogue: Catalogue) -> None:
    catalogue.set_vectors({77: VECTOR}, "e")
    assert catalogue.counts().vectors == {} and catalogue.check() == []


def test_a_projection_catches_up_by_generations(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("y")])
    first = catalogue.changes_since(0)
    assert (first.added.tolist(), first.removed.tolist(), first.rebuild) == ([1, 2], [], False)
    assert first.generation == catalogue.generation
    catalogue.put_file(row("a"), [chunk("y"), chunk("z")])
    second = catalogue.changes_since(first.generation)
    assert (second.added.tolist(), second.removed.tolist()) == ([number_of(catalogue, "z")], [1])
    assert catalogue.changes_since(second.generation).added.tolist() == []
    catalogue.set_vectors({2: VECTOR}, "e")
    assert catalogue.changes_since(second.generation).added.tolist() == [2]


def test_a_vector_that_is_there_already_is_no_change(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")], {"x": VECTOR}, "e")
    before = catalogue.generation
    catalogue.put_file(row("b"), [chunk("x")], {"x": VECTOR}, "e")
    assert catalogue.changes_since(before).added.tolist() == []


def test_a_projection_too_far_behind_or_ahead_is_told_to_rebuild(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path / "kb.sqlite", kept_generations=4)
    for i in range(8):
        catalogue.put_file(row("a"), [chunk(f"c{i}")])
    behind = catalogue.changes_since(3)
    assert behind.rebuild and behind.added.tolist() == [8] and behind.removed.tolist() == []
    near = catalogue.changes_since(4)
    assert not near.rebuild and near.removed.tolist() == [4, 5, 6, 7]
    assert catalogue.changes_since(99).rebuild
    catalogue.close()


def test_a_rename_keeps_numbers_and_tells_projections_nothing(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    before = catalogue.generation
    catalogue.rename("a", row("b"))
    assert [f.source for f in catalogue.files()] == ["b"]
    assert catalogue.chunks([1])[0].occurrences[0].source == "b"
    changes = catalogue.changes_since(before)
    assert changes.generation == before + 1 and not len(changes.added) and not len(changes.removed)


def test_a_rename_onto_another_file_replaces_that(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    catalogue.put_file(row("b"), [chunk("y")])
    catalogue.rename("a", row("b"))
    assert ids(catalogue) == {"x"} and [f.source for f in catalogue.files()] == ["b"]


def test_what_fails_half_way_leaves_nothing(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    before = catalogue.generation
    with pytest.raises(AssertionError):
        catalogue.put_file(row("a"), [chunk("y")], {"y": np.array([np.nan], np.float32)}, "e")
    assert ids(catalogue) == {"x"} and catalogue.generation == before


def test_skipped_files_are_listed_with_the_reason(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    catalogue.put_file(row("a", state="skipped", reason="protected"))
    assert [(f.source, f.reason) for f in catalogue.skipped()] == [("a", "protected")]
    assert catalogue.files() == [] and ids(catalogue) == set()
    assert catalogue.counts().skipped == 1


def test_threads_write_and_read_at_once(catalogue: Catalogue) -> None:
    def work(name: str) -> None:
        for i in range(20):
            catalogue.put_file(row(name), [chunk(f"{name}{i}"), chunk("shared")])
            assert all(c.occurrences for page in catalogue.pages() for c in page)

    failures: list[threading.ExceptHookArgs] = []
    before = threading.excepthook
    threading.excepthook = failures.append
    try:
        threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        threading.excepthook = before
    assert not failures
    assert ids(catalogue) == {"a19", "b19", "c19", "shared"}
    assert catalogue.generation == 60 and catalogue.check() == []


def test_processes_create_and_write_one_catalogue_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from retrieval.catalogue.catalogue import Catalogue\n"
        "from retrieval.records import Chunk; from retrieval.catalogue.rows import FileRow\n"
        "c = Catalogue(Path(sys.argv[1]))\n"
        "for i in range(10): c.put_file(FileRow(f'{sys.argv[2]}{i}', 's', 1, 1, 'indexed'), [Chunk('x', 'x', 0, 1)])"
    )
    path = tmp_path / "new" / "kb.sqlite"
    children = [subprocess.Popen([sys.executable, "-c", code, path, name]) for name in "abc"]
    assert [child.wait() for child in children] == [0, 0, 0]
    catalogue = Catalogue(path)
    assert (catalogue.counts().files, catalogue.counts().chunks, catalogue.generation) == (30, 1, 30)
    catalogue.close()


def test_another_process_sees_at_once_what_was_written(tmp_path: Path) -> None:
    one, two = Catalogue(tmp_path / "kb.sqlite"), Catalogue(tmp_path / "kb.sqlite")
    assert two.generation == 0
    one.put_file(row("a"), [chunk("x")])
    assert two.generation == 1 and ids(two) == {"x"}
    assert one.identity == two.identity
    one.close()
    two.close()


def test_the_catalogue_is_for_its_owner_alone(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"))
    assert {stat.S_IMODE(f.stat().st_mode) for f in catalogue.path.parent.iterdir()} == {0o600}


def test_a_commit_survives_the_power_by_full_synchronisation(catalogue: Catalogue) -> None:
    db = catalogue._database.connection()
    assert db.execute("PRAGMA synchronous").fetchone() == (2,)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    Catalogue(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(CatalogueNewer, match=r"format 99.*lorgnette kb doctor"):
        Catalogue(path)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    path.write_text("not a database, " * 100)
    with pytest.raises(CatalogueDamaged, match=r"kb\.sqlite.*lorgnette kb doctor"):
        Catalogue(path)
    assert path.read_text().startswith("not a database")


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    db.close()
    with pytest.raises(CatalogueDamaged, match="another program"):
        Catalogue(path)
    with sqlite3.connect(path) as db:
        assert [name for (name,) in db.execute("SELECT name FROM sqlite_master")] == ["theirs"]
    db.close()


def test_damage_in_the_middle_is_told_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "kb.sqlite"
    catalogue = Catalogue(path)
    catalogue.put_file(row("a"), [chunk(f"c{i}", text="words " * 200) for i in range(100)])
    catalogue.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (path.stat().st_size - 8192))
    with pytest.raises(CatalogueDamaged, match="lorgnette kb doctor"):
        for _ in Catalogue(path).pages():
            pass


def test_a_value_that_cannot_be_one_of_its_column_is_told_as_damage(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    catalogue._database.connection().execute("UPDATE chunks SET headings = 'no JSON'")
    with pytest.raises(CatalogueDamaged, match=r"it holds an invalid value: .*lorgnette kb doctor"):
        ids(catalogue)


def test_a_check_names_what_is_wrong(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x"), chunk("y")], {"x": VECTOR}, "e")
    assert catalogue.check() == []
    db = catalogue._database.connection()
    db.execute("DELETE FROM spans WHERE ordinal = 0")
    assert catalogue.check() == ["1 chunks stand in no file", "1 files have gaps between their chunks"]


def test_a_full_disk_is_told_and_what_was_there_stays(catalogue: Catalogue) -> None:
    catalogue.put_file(row("a"), [chunk("x")])
    db = catalogue._database.connection()
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(CatalogueFull, match="free some space"):
        catalogue.put_file(row("b"), [chunk("y", text="long " * 20_000)])
    assert ids(catalogue) == {"x"} and [f.source for f in catalogue.files()] == ["a"]


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder that this process may read and not write, whoever runs the test."""
    before = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        catalogue = Catalogue(folder / "kb.sqlite")
        catalogue.put_file(row("a"), [chunk("x")])
        catalogue.close()
        (folder / "kb.sqlite").chmod(0o444)
        folder.chmod(0o555)
        try:
            if before == 0:
                os.seteuid(65534)
            yield folder
        finally:
            os.seteuid(before)
            folder.chmod(0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions work another way there")
def test_a_read_only_folder_can_be_searched_and_says_what_it_cannot(read_only_folder: Path) -> None:
    with pytest.raises(CatalogueReadOnly, match="LORGNETTE_HOME"):
        Catalogue(read_only_folder / "new.sqlite")
    catalogue = Catalogue(read_only_folder / "kb.sqlite")
    assert catalogue.read_only and ids(catalogue) == {"x"}
    with pytest.raises(CatalogueReadOnly, match="reading only"):
        catalogue.put_file(row("b"))
    catalogue.close()


def test_a_place_that_cannot_be_a_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CatalogueReadOnly, match="cannot be written"):
        Catalogue(tmp_path / "file" / "kb.sqlite")


def test_sql_stands_in_queries_and_updates_alone_and_every_insert_names_its_columns() -> None:
    folder = Path(catalogue_module.__file__).parent
    assert not re.search(r"\b(SELECT|INSERT|UPDATE|DELETE)\b", (folder / "catalogue.py").read_text())
    assert not re.search(r"\b(INSERT|UPDATE|DELETE FROM)\b", (folder / "queries.py").read_text())
    inserts = re.findall(r"INSERT INTO \w+ .", (folder / "updates.py").read_text())
    assert inserts and all(insert.endswith("(") for insert in inserts)
