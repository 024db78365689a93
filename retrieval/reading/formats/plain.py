"""Turns formats that are text underneath into the words that a person sees: rich text (RTF) and notebooks."""

import json
import re
from typing import Any

from retrieval.reading.decode import decode
from retrieval.reading.headings import fenced, find_title
from retrieval.reading.unreadable import Broken, Empty
from retrieval.records import Document


def read_rtf(data: bytes) -> Document:
    """Read rich text.

    Raises:
        Broken: It is not what it says.
        Empty: There are no words in it.
    """
    from striprtf.striprtf import rtf_to_text

    try:
        text = rtf_to_text(data.decode("latin-1"), errors="replace").strip()
    except (ValueError, IndexError, KeyError, LookupError) as error:
        raise Broken("rich text", str(error)) from None
    if not re.search(r"\w", text):
        raise Empty("it holds only blanks and signs")
    return Document(text, "rtf")


def read_notebook(data: bytes) -> Document:
    """Read a notebook: its texts as they are, its code and what that printed as preformatted parts.

    Raises:
        Broken: It is no notebook.
        Empty: No cell has a word.
    """
    try:
        cells = json.loads(decode(data).text)["cells"]
        text = "\n\n".join(part for cell in cells for part in _cell(cell) if part.strip())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Broken("notebook", str(error)) from None
    if not re.search(r"\w", text):
        raise Empty("no cell has a word")
    return Document(text, "notebook", title=find_title(text))


def _cell(cell: dict[str, Any]) -> list[str]:
    source = _joined(cell.get("source"))
    if cell.get("cell_type") != "code":
        return [source]
    parts = [fenced(source)] if source.strip() else []
    for output in cell.get("outputs") or ():
        shown = _joined(output.get("text")) or _joined((output.get("data") or {}).get("text/plain"))
        if shown.strip():
            parts.append(fenced(shown.rstrip()))
    return parts


def _joined(text: Any) -> str:
    return text if isinstance(text, str) else "".join(text or ())
