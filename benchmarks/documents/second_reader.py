"""Words and table rows that readers get from other people's PDFs, held against what markitdown's tests expect of them.

`python -m benchmarks.documents.second_reader FOLDER` takes a folder of PDFs with `expected/NAME.md` beside them, as in
microsoft/markitdown's test files. A table row is kept where one line of ours holds all of its cells.
"""

import argparse
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import publish
from retrieval.reading.documents import read_document

_WORD = re.compile(r"\w[\w.,:/'@#&-]*\w|\w")
_RULE = re.compile(r"^[\s|:-]+$")


def main() -> None:
    """Read, compare, print every difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    rows: list[dict[str, object]] = []
    for file in sorted(parser.parse_args().folder.glob("*.pdf")):
        expected = (file.parent / "expected" / f"{file.stem}.md").read_text("utf-8")
        wanted = table_rows(expected)
        for name, read in READERS.items():
            text = read(file)
            more, less = words(text) - words(expected), words(expected) - words(text)
            counts = {"words": words(expected).total(), "missed": less.total(), "more": more.total()}
            kept = sum(held(cells, text) for cells in wanted)
            rows.append({"file": file.name, "reader": name, **counts, "table rows": len(wanted), "kept": kept})
            for what, found in (("more", more), ("missed", less)):
                if found:
                    print(f"{file.name}, {name}, {what}: {' '.join(found.elements())}")
            for cells in wanted:
                if not held(cells, text):
                    print(f"{file.name}, {name}, not on one line: {' | '.join(cells)}")
    publish("documents_second_reader", "PDFs of other people, by reader", rows)


def ours(file: Path) -> str:
    """Read as the product does."""
    return read_document(file, file.read_bytes()).text


def with_pypdf(file: Path) -> str:
    """Read with pypdf."""
    from pypdf import PdfReader

    return "\n".join(page.extract_text() for page in PdfReader(file).pages)


def with_pdfplumber(file: Path) -> str:
    """Read with pdfplumber, which lays text out by position."""
    import pdfplumber

    with pdfplumber.open(file) as pdf:
        return "\n".join(page.extract_text() for page in pdf.pages)


READERS: dict[str, Callable[[Path], str]] = {"ours": ours, "pypdf": with_pypdf, "pdfplumber": with_pdfplumber}


def words(text: str) -> Counter[str]:
    """Count the words; rules of Markdown tables are none."""
    return Counter(_WORD.findall("\n".join(line for line in text.splitlines() if not _RULE.match(line))))


def table_rows(markdown: str) -> list[list[str]]:
    """Return the cells of each row of a Markdown table that has more than one filled cell."""
    rows = [
        [cell for part in line.strip().strip("|").split("|") if (cell := part.strip())]
        for line in markdown.splitlines()
        if line.lstrip().startswith("|") and not _RULE.match(line)
    ]
    return [cells for cells in rows if len(cells) > 1]


def held(cells: list[str], text: str) -> bool:
    """Return whether one line holds all the cells, in their order."""
    pattern = re.compile(".*".join(re.escape(cell) for cell in cells))
    return any(pattern.search(" ".join(line.split())) for line in text.splitlines())


if __name__ == "__main__":
    main()
