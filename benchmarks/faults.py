"""Whether anything is lost, stale or corrupt when processes that share a knowledge base are killed.

`python -m benchmarks.faults [--rounds 20] [--seed 0]`: in each round four processes write, edit and delete files, sync
and search, all through `retrieval.knowledge_base`. Two of them are killed (SIGKILL) at random moments, one after the
other; the rest must go on, and then are killed too. After each round a fresh process looks at everything that was
acknowledged, by `sync` having returned: the owner of the indexes was among the dead. Vectors come from an endpoint in
this process.
"""

import argparse
import contextlib
import hashlib
import json
import os
import queue
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.report import publish
from retrieval.errors import RetrievalError
from retrieval.knowledge_base import KnowledgeBase
from retrieval.settings import RetrievalSettings

ROOT = Path(__file__).parents[1]
WORKERS = 4
FILES = 6
"""Of each worker; it goes on editing and deleting the same ones."""
BEFORE_A_KILL = 60
"""Lines that are heard from the workers before one is killed, at most; each step of theirs says one."""
AFTER_THE_KILLS = 40
WAIT_S = 120.0
"""A worker that says nothing for so long is stuck."""
DIMENSION = 64


@dataclass
class Tally:
    """What was seen."""

    kills: int = 0
    acknowledged: int = 0
    searches: int = 0
    lost: int = 0
    stale: int = 0
    corrupt: int = 0
    failed: int = 0
    """Syncs and searches that ended with an error, which the user is told of."""
    stuck: int = 0
    reasons: list[str] = field(default_factory=list)

    def note(self, what: str, reason: str) -> None:
        """Count, and keep the reason."""
        setattr(self, what, getattr(self, what) + 1)
        self.reasons.append(f"{what}: {reason}")


@dataclass
class Record:
    """What the parent knows of a file."""

    word: str = ""
    """The one that stands in it alone; empty where it was deleted."""
    acknowledged: bool = False
    """Whether a sync that began after it was written has returned."""


def main() -> None:
    """Measure, print, write; or be a worker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--check", action="store_true", help="publish nothing; print what went wrong, exit with 1")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        name, place, endpoint, seed = arguments.worker
        work(name, Path(place), endpoint, int(seed))
        return
    began = time.perf_counter()
    tally = run(arguments.rounds, arguments.seed)
    bad = tally.lost or tally.stale or tally.corrupt or tally.stuck
    if arguments.check:
        print(*tally.reasons, sep="\n")
        sys.exit(1 if bad or not tally.acknowledged else 0)
    row = {"rounds": arguments.rounds} | {key: value for key, value in vars(tally).items() if key != "reasons"}
    publish(
        "faults", f"{WORKERS} processes add and search, and are killed", [row],
        seed=arguments.seed, minutes=round((time.perf_counter() - began) / 60, 1), reasons=tally.reasons,
    )  # fmt: skip
    sys.exit(1 if bad else 0)


def run(rounds: int, seed: int) -> Tally:
    """Do the rounds on one knowledge base, so that damage would add up."""
    tally, chance = Tally(), random.Random(seed)
    records: dict[str, Record] = {}
    with tempfile.TemporaryDirectory() as folder, endpoint() as address:
        place = Path(folder)
        (place / "documents").mkdir()
        for number in range(rounds):
            kill_some(place, address, number, chance, records, tally)
            check(place, address, records, tally)
    return tally


def settings_of(place: Path, address: str) -> RetrievalSettings:
    """Return the same settings for all."""
    return RetrievalSettings(kb=place / "documents", embedder=address, reranker="none")


def kill_some(
    place: Path, address: str, number: int, chance: random.Random, records: dict[str, Record], tally: Tally
) -> None:
    """Start the workers, listen to them, kill two at random moments, and in the end all."""
    heard: queue.Queue[tuple[int, list[str]]] = queue.Queue()
    workers = [start(place, address, number, worker, chance.randrange(10**6), heard) for worker in range(WORKERS)]
    alive = set(range(WORKERS))

    def listen(lines: int) -> None:
        for _ in range(lines):
            try:
                worker, words = heard.get(timeout=WAIT_S)
            except queue.Empty:
                tally.note("stuck", f"round {number}: nothing was heard for {WAIT_S:.0f} s")
                return
            take(worker, words, records, tally)

    try:
        for _ in range(2):
            listen(chance.randrange(BEFORE_A_KILL))
            doomed = chance.choice(sorted(alive))
            workers[doomed].kill()
            alive.discard(doomed)
            tally.kills += 1
        listen(chance.randrange(AFTER_THE_KILLS // 2, AFTER_THE_KILLS))
    finally:
        for worker in workers:
            worker.kill()
            assert worker.stdout is not None, "it was opened with a pipe"
            worker.wait()
        tally.kills += len(alive)
        for thread in [thread for thread in threading.enumerate() if thread.name == "faults-listener"]:
            thread.join()
    while not heard.empty():
        take(*heard.get(), records, tally)
    for worker in workers:
        if worker.returncode != -signal.SIGKILL:
            tally.note("failed", f"round {number}: a worker ended by itself with {worker.returncode}")


def start(
    place: Path, address: str, number: int, worker: int, seed: int, heard: "queue.Queue[tuple[int, list[str]]]"
) -> "subprocess.Popen[str]":
    """Start a worker and a thread that listens to it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.faults", "--worker", f"r{number}w{worker}", str(place), address, str(seed)],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip

    def listen() -> None:
        assert process.stdout is not None, "it was opened with a pipe"
        with process.stdout:
            for line in process.stdout:
                if line.endswith("\n"):  # else it was killed while it spoke
                    heard.put((worker, line.split()))

    threading.Thread(target=listen, name="faults-listener", daemon=True).start()
    return process


def take(worker: int, words: list[str], records: dict[str, Record], tally: Tally) -> None:
    """Note what a worker said."""
    match words:
        case ["writes", file, *word]:
            records[file] = Record("".join(word))
        case ["synced", file]:
            records[file].acknowledged = True
            tally.acknowledged += 1
        case ["searched"]:
            tally.searches += 1
        case [("stale" | "failed") as what, *reason]:
            tally.note(what, f"worker {worker}: {' '.join(reason)}")


def work(name: str, place: Path, address: str, seed: int) -> None:
    """Edit, sync and search until killed, and say each step before or after it, as its meaning needs."""
    chance = random.Random(seed)
    base = KnowledgeBase(settings_of(place, address), place / "home")
    gone: list[str] = []
    number = 0
    while True:
        number += 1
        file = place / "documents" / f"{name[-2:]}-{chance.randrange(FILES)}.txt"
        word = "" if file.exists() and chance.random() < 0.2 else f"{name}n{number}"
        if file.exists():
            gone.append(file.read_text("utf-8").split()[0])
        say("writes", file.name, word)
        write(file, word, chance)
        try:
            base.sync()
            say("synced", file.name)
            for wanted in filter(None, (word, gone[-1] if gone else "")):
                is_there = wanted == word
                hits = base.search(wanted, wait_s=30).hits
                say("searched")
                if is_there != any(wanted in hit.text.split() for hit in hits):
                    say("stale", f"{wanted} in {file.name}", "is not found" if is_there else "is still found")
        except RetrievalError as error:
            say("failed", type(error).__name__, str(error))


def write(file: Path, word: str, chance: random.Random) -> None:
    """Write a file whole, or delete it."""
    if not word:
        file.unlink()
        return
    filler = " ".join(f"filler{chance.randrange(500)}" for _ in range(chance.randrange(20, 900)))
    part = file.with_suffix(".part")
    part.write_text(f"{word} {filler}\n", "utf-8")
    part.replace(file)


def say(*words: str) -> None:
    """Tell the parent, in one write."""
    os.write(1, (" ".join(words).replace("\n", " ") + "\n").encode())


def check(place: Path, address: str, records: dict[str, Record], tally: Tally) -> None:
    """Look at everything that was acknowledged, before and after another sync."""
    base = KnowledgeBase(settings_of(place, address), place / "home")
    for problem in base.catalogue.check():
        tally.note("corrupt", problem)
    look(base, {file: record for file, record in records.items() if record.acknowledged}, tally)
    base.sync()
    for file in (place / "documents").iterdir():
        if file.suffix == ".txt":
            records[file.name] = Record(file.read_text("utf-8").split()[0], True)
    for name, record in records.items():
        record.acknowledged = True
        if not (place / "documents" / name).exists():
            record.word = ""
    look(base, records, tally)
    for finding in base.compare():
        if not finding.sound:
            tally.note("corrupt", repr(finding))
    base.close()


def look(base: KnowledgeBase, records: dict[str, Record], tally: Tally) -> None:
    """Find each record's word, and nothing else where its file is."""
    for name, record in records.items():
        stored = base.catalogue.file(name)
        if (stored is not None) != bool(record.word):
            tally.note("lost", f"{name} should {'' if record.word else 'not '}be in the catalogue")
        if record.word:
            tally.searches += 1
            found = [hit for hit in base.search(record.word, wait_s=30).hits if hit.source == name]
            if not any(record.word in hit.text.split() for hit in found):
                there = any(record.word in chunk.text.split() for page in base.catalogue.pages() for chunk in page)
                tally.note("stale" if there else "lost", f"{record.word} of {name}")


@contextlib.contextmanager
def endpoint() -> Iterator[str]:
    """Serve vectors that count words, hashed, at a loopback address in the form of OpenAI's; gives its name."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            data = [{"index": i, "object": "embedding", "embedding": vector(text)} for i, text in enumerate(asked)]
            answer = json.dumps({"object": "list", "model": "words", "data": data, "usage": {}}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            with contextlib.suppress(OSError):  # who asked may be dead
                self.end_headers()
                self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#words"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def vector(text: str) -> list[float]:
    """Return how often words of each of `DIMENSION` kinds stand in the text."""
    counts = Counter(
        int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little") % DIMENSION
        for word in re.findall(r"\w+", text.lower())
    )
    return [float(counts[i]) + 1e-3 for i in range(DIMENSION)]


if __name__ == "__main__":
    main()
