"""A page of HTML that needs no other file: its frame, tables and pictures, everything else in it being text.

What rows and models say is escaped, so that it never is markup. It knows neither runs nor evaluations.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from finetune.data.dataset import Broken
from model.errors import ImageError

MOST_BROKEN = 50
MOST_PICTURES = 4  # of one row
SHOWN_CHARS = 1200  # of a text
THUMBNAIL = 200  # pixels of its longer side

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .3rem .8rem .3rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid #8884; }
td.number { font-variant-numeric: tabular-nums; white-space: nowrap; }
td.answer { max-width: 22rem; overflow-wrap: anywhere; white-space: pre-wrap; }
small { opacity: .7; }
img { max-width: 100%; } td img { display: block; margin: 0 0 .3rem; max-width: 200px; }
pre { background: #8882; padding: 1rem; overflow-x: auto; }
.bar { position: relative; width: 10rem; height: .5rem; background: #8883; border-radius: .25rem; }
.bar i { position: absolute; top: 0; bottom: 0; left: 0; background: #4a7ebb; border-radius: .25rem; }
.bar b { position: absolute; top: -.15rem; bottom: -.15rem; border: 1px solid currentColor; border-width: 0 1px; }
.better { color: #2a8a3e; } .worse { color: #c0392b; }
"""


def write_page(file: Path, title: str, body: Iterable[str]) -> None:
    """Write the page into a file; what cannot be written in UTF-8, such as a broken file name, as its code.

    Args:
        file: Whoever calls sees to it that it appears whole.
        title: Plain text.
        body: Pieces of HTML.

    Raises:
        OSError: The disk is full.
    """
    page = "\n".join(
        ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8">', f"<title>{escape(title)}</title>",
         f"<style>{STYLE}</style></head><body>", f"<h1>{escape(title)}</h1>", *body, "</body></html>\n"]
    )  # fmt: skip
    file.write_text(page, "utf-8", errors="backslashreplace")


def table(rows: Iterable[tuple[str, str]]) -> str:
    """Return names and values as a table."""
    return "<table>" + "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows) + "</table>"


def left_out(broken: Sequence[Broken]) -> str:
    """Return the first of the rows that were left out, and how many more there are; nothing where there are none."""
    if not broken:
        return ""
    more = f"<p>and {len(broken) - MOST_BROKEN:,} more</p>" if len(broken) > MOST_BROKEN else ""
    return "<h2>Left out</h2>" + table((str(b.origin), short(b.reason)) for b in broken[:MOST_BROKEN]) + more


def text(words: str) -> str:
    """Return the beginning of what was said, and that nothing was said where it is so."""
    return escape(short(words)) or "<small>(nothing)</small>"


def short(words: str) -> str:
    """Return the beginning of a text; not escaped."""
    return words if len(words) <= SHOWN_CHARS else words[:SHOWN_CHARS] + " ..."


def thumbnails(paths: Sequence[Path]) -> str:
    """Return the first pictures of a row, small; in words those that cannot be opened."""
    return "".join(_thumbnail(path) for path in paths[:MOST_PICTURES])


def png(file: Path) -> str:
    """Return a PNG as it is."""
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}">'


def _thumbnail(path: Path) -> str:
    from model.pictures.open import open_picture

    whole = path.expanduser().absolute()
    try:
        picture = open_picture(str(whole), (whole.parent,)).image.convert("RGB")
    except ImageError as error:
        return f"<small>{escape(short(str(error)))}</small>"
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}">'
