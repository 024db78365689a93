"""The socket between the owner of the indexes and the others, and what may come over it or lie where it was."""

import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from retrieval.knowledge_base import KnowledgeBase
from retrieval.owner.protocol import OwnerFailed, findings_from_bytes
from retrieval.owner.socket import NoOwner, OwnerSilent, Serving, ask
from retrieval.settings import RetrievalSettings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a named pipe there")


def echo(asked: bytes) -> bytes:
    return b"heard " + asked


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    serving = Serving(tmp_path, echo)
    yield serving
    serving.close()


def address_of(folder: Path) -> dict[str, str]:
    read: dict[str, str] = json.loads((folder / "owner.json").read_text("utf-8"))
    return read


def connect(folder: Path) -> socket.socket:
    guest = socket.socket(socket.AF_UNIX)
    guest.settimeout(30)
    guest.connect(address_of(folder)["address"])
    return guest


def heard_by(guest: socket.socket) -> bytes:
    try:
        return guest.recv(100)
    except ConnectionResetError:  # it hung up while some of the bytes were unread
        return b""


def framed(body: bytes) -> bytes:
    return struct.pack("!i", len(body)) + body


def test_a_question_is_answered_and_the_door_is_this_users_alone(serving: Serving, tmp_path: Path) -> None:
    assert ask(tmp_path, b"you?", 300) == b"heard you?"
    place = Path(address_of(tmp_path)["address"])
    modes = [path.stat().st_mode & 0o777 for path in (place, place.parent, tmp_path / "owner.json")]
    assert modes == [0o600, 0o700, 0o600]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!i", 2**31 - 1) + b"short",
        struct.pack("!i", -1) + struct.pack("!Q", 2**63 - 1),
        struct.pack("!i", -5),
        framed(b"not the key"),
        framed(b"x" * 65),
        framed(b""),
        os.urandom(4096),
    ],
)
def test_hostile_bytes_get_no_answer_and_leave_the_owner_alive(serving: Serving, tmp_path: Path, sent: bytes) -> None:
    with connect(tmp_path) as guest:
        guest.sendall(sent)
        guest.shutdown(socket.SHUT_WR)
        assert heard_by(guest) == b""
    assert ask(tmp_path, b"still there?", 300) == b"heard still there?"


def test_a_question_larger_than_allowed_is_not_read(serving: Serving, tmp_path: Path) -> None:
    with connect(tmp_path) as guest:
        guest.sendall(framed(bytes.fromhex(address_of(tmp_path)["key"])) + struct.pack("!i", 8_000_001) + b"x")
        assert heard_by(guest) == b""
    assert ask(tmp_path, b"still there?", 300) == b"heard still there?"


def test_guests_who_say_nothing_do_not_keep_others_waiting(serving: Serving, tmp_path: Path) -> None:
    guests = [connect(tmp_path) for _ in range(20)]
    assert ask(tmp_path, b"me?", 5) == b"heard me?"
    for guest in guests:
        guest.close()


def test_an_owner_that_does_not_answer_in_time_is_not_taken_for_a_dead_one(tmp_path: Path) -> None:
    done = threading.Event()

    def wait(asked: bytes) -> bytes:
        done.wait(300)
        return asked

    serving = Serving(tmp_path, wait)
    try:
        with pytest.raises(OwnerSilent, match="did not answer"):
            ask(tmp_path, b"well?", 0.1)
    finally:
        done.set()
        serving.close()


def test_who_asks_where_nobody_is_learns_it_at_once(tmp_path: Path) -> None:
    with pytest.raises(NoOwner):
        ask(tmp_path, b"anybody?", 300)
    Serving(tmp_path, echo).close()
    with pytest.raises(NoOwner):
        ask(tmp_path, b"anybody?", 300)
    for rubbish in (b"", b"{", b"[]", b'{"address": 7}', b'{"address": "nowhere", "key": "no hex"}', b"\xff"):
        (tmp_path / "owner.json").write_bytes(rubbish)
        with pytest.raises(NoOwner):
            ask(tmp_path, b"anybody?", 300)


def test_an_owner_whose_socket_was_tidied_away_is_closed_all_the_same(tmp_path: Path) -> None:
    serving = Serving(tmp_path, echo)
    Path(json.loads((tmp_path / "owner.json").read_text("utf-8"))["address"]).unlink()
    serving.close()
    assert not (tmp_path / "owner.json").exists()


def test_an_owner_that_dies_over_the_question_is_a_dead_one(tmp_path: Path) -> None:
    def die(asked: bytes) -> bytes:
        raise ConnectionResetError

    serving = Serving(tmp_path, die)
    with pytest.raises(NoOwner):
        ask(tmp_path, b"well?", 300)
    serving.close()


def test_the_socket_of_a_dead_owner_is_replaced_and_removed(tmp_path: Path) -> None:
    left = Path(tempfile.mkdtemp(prefix="lorgnette-"))
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(left / "socket"))
    (tmp_path / "owner.json").write_text(json.dumps({"address": str(left / "socket"), "key": "00"}), "utf-8")
    with pytest.raises(NoOwner):
        ask(tmp_path, b"anybody?", 300)
    serving = Serving(tmp_path, echo)
    assert ask(tmp_path, b"now?", 300) == b"heard now?" and not left.exists()
    serving.close()


def test_an_address_that_names_another_folder_does_not_get_it_removed(tmp_path: Path) -> None:
    precious = tmp_path / "lorgnette-precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work", "utf-8")
    (tmp_path / "owner.json").write_text(json.dumps({"address": str(precious / "socket"), "key": "00"}), "utf-8")
    Serving(tmp_path, echo).close()
    assert (precious / "thesis.txt").exists()


@pytest.mark.parametrize("asked", [b"", b"\xff", b"[]", b"{}", b'{"operation": "search"}', b'{"operation": "dance"}'])
def test_a_question_that_is_none_is_refused_and_the_next_one_answered(tmp_path: Path, asked: bytes) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "lamp.txt").write_text("The lamp raises ERR_42 when the fan stands still.", "utf-8")
    settings = RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none")
    owner, other = (KnowledgeBase(settings, tmp_path / "home") for _ in range(2))
    owner.sync()
    assert owner.search("ERR_42").hits
    with pytest.raises(OwnerFailed, match="version"):
        findings_from_bytes(ask(owner.place, asked, 300))
    assert [hit.source for hit in other.search("ERR_42").hits] == ["lamp.txt"]
    owner.close()
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


def test_each_search_of_another_process_sees_the_last_sync(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "code.txt").write_text("The word of the day is amber.", "utf-8")
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="no-such-model", reranker="none"), tmp_path / "home")
    base.sync()
    assert base.search("amber").hits  # it owns the indexes
    with subprocess.Popen(
        [sys.executable, "-c", GUEST, folder, tmp_path / "home"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as guest:  # fmt: skip
        questions, answers = guest.stdin, guest.stdout
        assert questions and answers

        def asked(query: str) -> str:
            print(query, file=questions, flush=True)
            return answers.readline().strip()

        assert asked("amber") == "code.txt"
        for before, today in pairwise(["amber", "beryl", "coral", "diamond"]):
            (folder / "code.txt").write_text(f"The word of the day is {today}.", "utf-8")
            base.sync()
            assert (asked(today), asked(before)) == ("code.txt", "nothing")
        (folder / "code.txt").unlink()
        base.sync()
        assert asked("diamond") == "nothing"
        questions.close()
    base.close()
