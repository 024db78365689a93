"""The knowledge base as a whole: real index engines, a real owner, other processes; only the embedder is absent."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Filter
from retrieval.settings import RetrievalSettings

NO_MODEL = "no-such-model"  # words alone are searched, and the result says so


def settings_of(folder: Path) -> RetrievalSettings:
    return RetrievalSettings(kb=folder, embedder=NO_MODEL, reranker="none")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "lamp.md").write_text("# Lamp\nThe lamp raises ERR_42 when the fan stands still.\n", "utf-8")
    (folder / "leave.txt").write_bytes("未休完的年假最多可以结转五天到下一年度。".encode("gb18030"))
    return folder


@pytest.fixture
def base(folder: Path, tmp_path: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(settings_of(folder), tmp_path / "home")
    base.sync()
    yield base
    base.close()


def sources(base: KnowledgeBase, query: str, wanted: Filter | None = None) -> list[str]:
    return [hit.source for hit in base.search(query, wanted=wanted).hits]


def test_what_was_synced_is_found_with_its_place(base: KnowledgeBase, folder: Path) -> None:
    (hit,) = base.search("What is ERR_42?").hits
    text = (folder / "lamp.md").read_text("utf-8")
    assert hit.text == text[hit.start : hit.end] and "ERR_42" in hit.text
    assert (hit.source, hit.stale, hit.lexical_rank, hit.dense_rank) == ("lamp.md", False, 1, None)
    assert base.verify(hit).status == "exact"


def test_the_passages_around_a_hit_can_be_asked_for(base: KnowledgeBase, folder: Path) -> None:
    parts = [f"# Part {name}\n{name} is about {name}.\n" for name in ("amber", "beryl", "coral", "diamond")]
    (folder / "stones.md").write_text("\n".join(parts), "utf-8")
    base.sync()
    (hit,) = base.search("What is coral about?", top_k=1).hits
    before, after = base.neighbours(hit, 2)
    assert ["amber" in before[0].text, "beryl" in before[1].text] == [True, True]
    assert ["diamond" in chunk.text for chunk in after] == [True]
    assert base.neighbours(hit, 0) == ((), ())
    (folder / "stones.md").unlink()
    base.sync()
    assert base.neighbours(hit, 1) == ((), ())


def test_chinese_in_an_old_encoding_is_found(base: KnowledgeBase) -> None:
    assert sources(base, "年假可以结转几天") == ["leave.txt"]


def test_nothing_relevant_is_no_hit(base: KnowledgeBase) -> None:
    assert sources(base, "Which wine goes with cheese?") == []


def test_a_search_without_an_embedder_says_that_only_words_were_searched(base: KnowledgeBase) -> None:
    found = base.search("ERR_42", wait_s=300)
    assert found.mode == "lexical"
    assert any("only words were searched" in note and NO_MODEL in note for note in found.degraded)


def test_an_edit_is_found_after_the_next_sync_and_stale_before(base: KnowledgeBase, folder: Path) -> None:
    (folder / "lamp.md").write_text("# Lamp\nThe lamp raises ERR_43 when it is cold.\n", "utf-8")
    (hit,) = base.search("ERR_42").hits
    assert hit.stale
    assert base.verify(hit).status in ("changed", "gone")
    base.sync()
    assert sources(base, "ERR_43") == ["lamp.md"]
    (folder / "lamp.md").unlink()
    base.sync()
    assert sources(base, "ERR_43") == []


def test_a_filter_leaves_out_what_it_does_not_allow(base: KnowledgeBase) -> None:
    assert sources(base, "ERR_42", Filter(source="*.txt")) == []
    assert sources(base, "ERR_42", Filter(media_type="markdown")) == ["lamp.md"]


def test_a_second_opener_asks_the_first_and_sees_its_last_sync(base: KnowledgeBase, folder: Path) -> None:
    assert sources(base, "ERR_42") == ["lamp.md"]  # now `base` owns the indexes
    other = KnowledgeBase(settings_of(folder), base.place.parent.parent)
    (folder / "new.txt").write_text("The grey wheel is blocked, says ERR_77.", "utf-8")
    base.sync()
    assert sources(other, "ERR_77")[0] == "new.txt"
    (folder / "newer.txt").write_text("ERR_78 means that the door is open.", "utf-8")
    other.sync()
    assert sources(base, "ERR_78")[0] == "newer.txt"
    base.close()
    assert sources(other, "ERR_78")[0] == "newer.txt"  # and now `other` owns them
    other.close()


GUEST = """
import sys
from pathlib import Path
from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings
folder, home = map(Path, sys.argv[1:])
base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none"), home)
for line in sys.stdin:
    print(*[hit.source for hit in base.search(line.strip()).hits] or ["nothing"], flush=True)
"""


def guest(folder: Path, home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", GUEST, str(folder), str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip


def asked(process: "subprocess.Popen[str]", query: str) -> str:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(query + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.mark.skipif(sys.platform == "win32", reason="kill works another way there")
def test_a_killed_owner_is_replaced_without_loss(folder: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    base = KnowledgeBase(settings_of(folder), home)
    base.sync()
    first, second = guest(folder, home), guest(folder, home)
    try:
        assert asked(first, "ERR_42") == "lamp.md"  # the owner
        assert asked(second, "ERR_42") == "lamp.md"
        (folder / "new.txt").write_text("The grey wheel is blocked, says ERR_77.", "utf-8")
        base.sync()
        first.kill()
        first.wait()
        assert asked(second, "ERR_77").split()[0] == "new.txt"
        assert sources(base, "ERR_42")[0] == "lamp.md"
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()
        base.close()


def test_a_damaged_index_is_made_anew_from_the_catalogue(base: KnowledgeBase, folder: Path) -> None:
    assert sources(base, "ERR_42") == ["lamp.md"]
    place, home = base.place, base.place.parent.parent
    base.close()
    for file in (place / "projections").rglob("*.store"):
        file.write_bytes(b"rubbish")
    again = KnowledgeBase(settings_of(folder), home)
    assert sources(again, "ERR_42") == ["lamp.md"]
    assert all(finding.sound for finding in again.compare())
    again.close()


def test_the_socket_is_for_this_user_alone_and_goes_with_its_owner(base: KnowledgeBase) -> None:
    import json

    base.search("ERR_42")
    file = base.place / "owner.json"
    socket = Path(json.loads(file.read_text("utf-8"))["address"])
    assert [path.stat().st_mode & 0o777 for path in (file, socket, socket.parent)] == [0o600, 0o600, 0o700]
    base.close()
    assert not file.exists() and not socket.parent.exists()
