"""Sessions under load: 1,000 questions in 50 sessions from 4 processes that are killed again and again.

`python -m benchmarks.sessions [--turns 1000] [--sessions 50] [--processes 4] [--kills 40]` counts what was
acknowledged and is not there, what is there twice or in another session, and turns that are half. The chat model is
scripted: what is measured is the store.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any

from benchmarks.report import publish

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Run, count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1000)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--work", nargs=4, metavar=("HOME", "WORKER", "TURNS", "SESSIONS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        home, worker, turns, sessions = options.work
        work(Path(home), int(worker), int(turns), int(sessions))
        return
    rows, more = run(options.turns, options.sessions, options.processes, options.kills)
    publish("sessions", "Sessions under kill -9", rows, **more)
    if any(row["count"] for row in rows if row["must be 0"] == "yes"):
        sys.exit("a promise of the sessions was broken")


def run(turns: int, sessions: int, processes: int, kills: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Let the workers ask and kill them; returns the table's rows and the setting."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        began = time.monotonic()
        share = turns // processes
        logs = [(home / f"{worker}.log").open("ab+") for worker in range(processes)]
        running = [start(home, worker, share, sessions, logs[worker]) for worker in range(processes)]
        killed = 0
        while any(process.poll() is None for process in running):
            time.sleep(rng.uniform(0.2, 1.5))
            alive = [worker for worker, process in enumerate(running) if process.poll() is None]
            if alive and killed < kills:
                worker = rng.choice(alive)
                running[worker].send_signal(signal.SIGKILL)
                running[worker].wait()
                killed += 1
                running[worker] = start(home, worker, share, sessions, logs[worker])
        failed = sum(process.returncode != 0 for process in running)
        seconds = time.monotonic() - began
        acknowledged = Counter[str]()
        times: list[float] = []
        for log in logs:
            log.seek(0)
            for line in log.read().decode().splitlines():
                question, took = line.split("\t")
                acknowledged[question] += 1
                times.append(float(took))
            log.close()
        kept, misplaced, half = look(home, sessions)
        size = sum(file.stat().st_size for file in home.glob("sessions.sqlite*"))
    rows = [
        {"what": "questions acknowledged", "count": sum(acknowledged.values()), "must be 0": ""},
        {"what": "processes killed", "count": killed, "must be 0": ""},
        {"what": "acknowledged turns lost", "count": sum((acknowledged - kept).values()), "must be 0": "yes"},
        {"what": "turns kept twice", "count": sum(n > 1 for n in kept.values()), "must be 0": "yes"},
        {"what": "turns in another session", "count": misplaced, "must be 0": "yes"},
        {"what": "turns that are half", "count": half, "must be 0": "yes"},
        {"what": "processes that failed by themselves", "count": failed, "must be 0": "yes"},
    ]
    more = {
        "turns": turns, "sessions": sessions, "processes": processes, "seconds": round(seconds),
        "median_question_s": round(statistics.median(times), 4), "store_mib": round(size / 2**20, 1),
    }  # fmt: skip
    return rows, more


def start(home: Path, worker: int, turns: int, sessions: int, log: IO[bytes]) -> "subprocess.Popen[bytes]":
    """Start a worker, or start it again: it goes on behind what its log acknowledges."""
    command = [sys.executable, "-m", "benchmarks.sessions", "--work", str(home), str(worker), str(turns), str(sessions)]
    return subprocess.Popen(command, stdout=log, cwd=ROOT)


def work(home: Path, worker: int, turns: int, sessions: int) -> None:
    """Ask this worker's questions, each of them until it is acknowledged by a line in the log."""
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
    from langchain_core.messages import AIMessage

    from graph.agent import Agent
    from graph.archive import Archive
    from graph.session_store import Sessions
    from graph.settings import AgentSettings
    from model.open import ModelIdentity

    done = sum(1 for _ in (home / f"{worker}.log").open("rb"))
    archive = Archive(Sessions(str(home / "sessions.sqlite"), home / "sessions"), home)
    settings = AgentSettings(effort="quick", time_budget_s=300, history_tokens=500)
    picture = "data:image/png;base64," + one_pixel()
    for number in range(done, turns):
        session = f"session-{(number * 7 + worker) % sessions}"
        question = f"{session} worker {worker} question {number}"
        if any(
            turn.question == question for turn in archive.sessions.turns(session)
        ):  # kept, but killed before the line
            answer = None
        else:
            chat = GenericFakeChatModel(messages=iter([AIMessage(f"answer to {question}")]))
            agent = Agent(chat, ModelIdentity("scripted", None, "none"), settings, None, archive)
            began = time.monotonic()
            answer = agent.ask(question, [picture], session_id=session)
            if any(note.startswith("session: not saved") for note in answer.degraded):
                sys.exit(f"not saved: {answer.degraded}")
        took = 0.0 if answer is None else time.monotonic() - began
        os.write(1, f"{question}\t{took:.4f}\n".encode())


def look(home: Path, sessions: int) -> tuple[Counter[str], int, int]:
    """Return the questions that are kept, how many stand in another session, and how many are half."""
    from graph.session_store import Sessions

    store = Sessions(str(home / "sessions.sqlite"), home / "sessions")
    kept = Counter[str]()
    misplaced = half = 0
    for number in range(sessions):
        session = f"session-{number}"
        for turn in store.turns(session):
            kept[turn.question] += 1
            misplaced += not turn.question.startswith(f"{session} ")
            half += turn.said != f"answer to {turn.question}"
    store.close()
    return kept, misplaced, half


def one_pixel() -> str:
    """Return a grey picture as base64."""
    import base64
    import io

    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (8, 8), "grey").save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


if __name__ == "__main__":
    main()
