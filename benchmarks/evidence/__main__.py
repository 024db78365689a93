"""Boxes of citations and cuts of pages against drawn pages whose true boxes are known.

Run: `python -m benchmarks.evidence`; it writes `evidence_boxes` and `evidence_pages` of `benchmarks/results/`.
A line's true box is that of its ink on a page on which it stands alone. F1 is that of pixels, mean over the lines; a
line that is not found counts as 0. Seconds are those of locating the first passage of a page that is not in memory.
`--no-scans` leaves out what OCR must read, which takes minutes.
"""

import re
import statistics
import sys
import tempfile
import time
import unicodedata
from pathlib import Path
from typing import Any

from benchmarks.evidence.pages import Box, Case, cases, chart_page, f1, inside, table_page
from benchmarks.report import publish
from retrieval.knowledge_base import KnowledgeBase
from retrieval.records import Chunk, Region
from retrieval.regions.figures import figures_in
from retrieval.regions.locate import Placement
from retrieval.settings import RetrievalSettings

CHARTS = 12
TABLES = 12
TOKEN_PIXELS = 32 * 32  # of Qwen3-VL: a patch of 16, merged by twos


def main() -> None:
    """Measure and publish both tables; scans last, since to read them takes long."""
    with tempfile.TemporaryDirectory() as place:
        publish("evidence_pages", "What a model is sent of a page with a chart among its words", [_charts(Path(place))])
    rows: list[dict[str, Any]] = []
    for scans in (False,) if "--no-scans" in sys.argv[1:] else (False, True):
        with tempfile.TemporaryDirectory() as place:
            rows += _boxes(Path(place), [case for case in cases() if case.scan == scans])
        publish("evidence_boxes", "Regions of citations against the ink of drawn pages", rows)


def _base(place: Path, files: dict[str, bytes]) -> KnowledgeBase:
    folder = place / "kb"
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    base = KnowledgeBase(RetrievalSettings(kb=folder, embedder="none-of-ours", reranker="none"), place / "home")
    base.sync()
    return base


def _boxes(place: Path, drawn: list[Case]) -> list[dict[str, Any]]:
    all_cases = {f"{n:02}.pdf": case for n, case in enumerate(drawn)}
    base = _base(place, {name: case.data for name, case in all_cases.items()})
    rows = []
    for name, case in all_cases.items():
        chunks = base.catalogue.chunks_in(name)
        began = time.perf_counter()
        if chunks:
            base.locate(_placement(name, chunks[0]))
        seconds = time.perf_counter() - began
        scores = [_score(base, name, case, chunks, n) for n in range(len(case.lines))]
        rows.append(
            {
                "page": case.kind,
                "lines": len(scores),
                "F1": round(statistics.mean(scores), 3),
                "worst line": round(min(scores), 3),
                "aim": 0.85 if case.scan else 0.95,
                "seconds": round(seconds, 4),
            }
        )
    base.close()
    return rows


def _score(base: KnowledgeBase, name: str, case: Case, chunks: tuple[Chunk, ...], number: int) -> float:
    text, true = case.lines[number]
    for chunk in chunks:
        if (found := _find(chunk.text, text)) is not None:
            start, end = found
            cited = Placement(name, chunk.page, chunk.start + start, chunk.start + end, chunk.text[start:end])
            regions = base.locate(cited).regions
            return f1([(r.x1, r.y1, r.x2, r.y2) for r in regions], true)
    return 0.0


def _find(text: str, line: str) -> tuple[int, int] | None:
    """Find a line as it was read: ligatures may be letters, and blanks others."""
    words = [re.escape(word) for word in unicodedata.normalize("NFKC", line).split()]
    found = re.search(r"\s*".join(words), text) or re.search(re.escape(line), text)
    if found is None:  # OCR may take a letter for another: the part of the text of just as many words
        lines = [*re.finditer(r"[^\n]+", text)]
        best = max(lines, key=lambda one: len(set(one[0].split()) & set(line.split())), default=None)
        found = best if best is not None and len(set(best[0].split()) & set(line.split())) >= 3 else None
    return found and found.span()


def _placement(name: str, chunk: Chunk) -> Placement:
    return Placement(name, chunk.page, chunk.start, chunk.end, chunk.text)


def _box(region: Region | None) -> Box:
    return (0, 0, 0, 0) if region is None else (region.x1, region.y1, region.x2, region.y2)


def _charts(place: Path) -> dict[str, Any]:
    pages = {f"{n:02}.pdf": chart_page(n) for n in range(CHARTS)}
    base = _base(place, {name: data for name, (data, _) in pages.items()})
    shares: list[float] = []
    sent: list[float] = []
    whole: list[float] = []
    for name, (_, true) in pages.items():
        chunk = next(one for one in base.catalogue.chunks_in(name) if "Turnover" in one.text)
        at = chunk.text.index("Turnover")
        end = chunk.text.find("\n", at) if "\n" in chunk.text[at:] else len(chunk.text)
        view = base.page_view(Placement(name, chunk.page, chunk.start + at, chunk.start + end, chunk.text[at:end]))
        if view is None:
            shares.append(0.0)
            continue
        part: Box = (0, 0, 1_000, 1_000) if view.part is None else (
            view.part.x1, view.part.y1, view.part.x2, view.part.y2)  # fmt: skip
        shares.append(inside(part, true))
        sent.append(view.image.width * view.image.height / TOKEN_PIXELS)
        # The whole page with letters of the same size.
        wide, high = (part[2] - part[0]) / 1_000, (part[3] - part[1]) / 1_000
        whole.append(sent[-1] / (wide * high))
    base.close()
    figures = [(list(figures_in(data, "pdf")), true) for data, true in pages.values()]
    found = [inside(_box(ones[0].region), true) for ones, true in figures if len(ones) == 1]
    tables = [figure for n in range(TABLES) for figure in figures_in(table_page(n), "pdf")]
    return {
        "pages": CHARTS,
        "whole chart sent": sum(share > 0.99 for share in shares),
        "chart is the page's figure": sum(share > 0.99 for share in found),
        f"tables taken for one, of {TABLES}": len(tables),
        "tokens": round(statistics.median(sent)),
        "tokens of the whole page at that size": round(statistics.median(whole)),
    }


if __name__ == "__main__":
    main()
