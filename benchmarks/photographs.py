"""Whether a photograph of any size is answered inside the time budget at the real shape, and frees the model at once.

`python -m benchmarks.photographs [--size 2B] [--budget 50] [--folder DIR]`: random weights of the real shape, one look
and one answer (`effort: quick`), JPEGs of 12, 48 and 64 megapixels. For each: with how many pixels it was looked at,
the time to the end of an answer of 24 tokens, and how long the model is kept after a client has cancelled amid the
looking. Beside them the first one with the budget's rule switched off, as it was before.
"""

import argparse
import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.report import publish

MEGAPIXELS = {12: (4032, 3024), 48: (8064, 6048), 64: (9248, 6944)}
CANCELLED_AFTER_S = 4.0
QUESTION = "What is in this photograph?"


def main() -> None:
    """Write the photographs, ask about each, publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("2B", "4B"), default="2B")
    parser.add_argument("--budget", type=float, default=50.0, help="seconds of a question")
    parser.add_argument("--folder", type=Path, help="where the checkpoint is kept for the next run")
    options = parser.parse_args()
    from model.qwen3_vl.shapes import SHAPES, write_random

    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "checkpoint").is_dir():
            write_random(SHAPES[options.size], folder / "checkpoint")
        rows = measure(folder, options.budget)
    title = f"Photographs at the shape of Qwen3-VL-{options.size}, random weights, a budget of {options.budget:g} s"
    publish("photographs", title, rows, budget_s=options.budget)


def measure(folder: Path, budget: float) -> list[dict[str, Any]]:
    """Return a row for each photograph."""
    from graph.agent import open_agent
    from graph.settings import AgentSettings

    agent = open_agent(
        AgentSettings(
            model=str(folder / "checkpoint"), roots=(folder,), effort="quick", time_budget_s=budget, max_new_tokens=24,
            prefix_cache_mib=0,
        )
    )  # fmt: skip
    speed = agent.chat.speed  # type: ignore[attr-defined]
    rows = []
    for megapixels, size in MEGAPIXELS.items():
        path = photograph(folder, megapixels, size)
        rows.append(asked(agent, f"{megapixels} megapixels", path))
    agent.chat.speed = None  # type: ignore[attr-defined]
    rows.append(asked(agent, "12 megapixels, looked at whole", folder / "12.jpg", cancel=False))
    agent.chat.speed = speed  # type: ignore[attr-defined]
    return rows


def photograph(folder: Path, megapixels: int, size: tuple[int, int]) -> Path:
    """Write a JPEG whose every part is busy; returns its path."""
    import numpy as np
    from PIL import Image

    path = folder / f"{megapixels}.jpg"
    if not path.is_file():
        rng = np.random.default_rng(megapixels)
        coarse = Image.fromarray(rng.integers(0, 255, (size[1] // 16, size[0] // 16, 3), np.uint8))
        coarse.resize(size).save(path, quality=85)
    return path


def asked(agent: Any, name: str, path: Path, *, cancel: bool = True) -> dict[str, Any]:
    """Ask about the photograph, and once more to cancel it."""
    from graph.question import Question

    seen: list[str] = []
    began = time.monotonic()
    answer = agent.answer(
        Question(QUESTION, (str(path),)),
        on_pictures=lambda pictures, _: seen.extend(f"{p.width} x {p.height}" for p in pictures),
    )  # fmt: skip
    whole = time.monotonic() - began
    notes = [note for note in answer.degraded if "looked at with" in note]
    looked = notes[0].partition("with ")[2].partition(" of")[0].replace(",", "") if notes else seen[0]
    return {
        "photograph": name, "looked at": looked, "tokens read": answer.usage.prefill_tokens,
        "whole answer s": round(whole, 1),
        "freed after cancel s": round(cancelled(agent, path), 2) if cancel else None,
    }  # fmt: skip


def cancelled(agent: Any, path: Path) -> float:
    """Return how long the model is kept after a question was cancelled that had begun to look."""
    from graph.question import Question
    from model.errors import Cancelled

    stop, ended = threading.Event(), threading.Event()

    def ask() -> None:
        with contextlib.suppress(Cancelled):
            agent.answer(Question(f"{QUESTION} Again.", (str(path),)), cancel=stop)
        ended.set()

    threading.Thread(target=ask).start()
    time.sleep(CANCELLED_AFTER_S)
    began = time.monotonic()
    stop.set()
    ended.wait()
    agent.answer(Question("Say one word.", use_knowledge=False, max_new_tokens=1, images=(str(small(path.parent)),)))
    waited = time.monotonic() - began
    began = time.monotonic()
    agent.answer(Question("Say one word.", use_knowledge=False, max_new_tokens=1, images=(str(small(path.parent)),)))
    return max(0.0, waited - (time.monotonic() - began))


def small(folder: Path) -> Path:
    """Return a picture that takes hardly any time."""
    from PIL import Image

    path = folder / "small.png"
    Image.new("RGB", (64, 64), "grey").save(path)
    return path


if __name__ == "__main__":
    main()
