"""A row as the model sees it, cut where learned tokens begin and end; as lines for a terminal and as a page.

It makes no rows: that is the encoder's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from finetune.data.dataset import Broken
from finetune.html_page import left_out, thumbnails, write_page
from finetune.output_files import whole_file
from finetune.training.encoding import IGNORE_INDEX, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Kind = Literal["given", "learned", "picture", "video"]
BEGIN, END = "⟦", "⟧"
"""Around what is learned, in a text."""


@dataclass(frozen=True)
class Piece:
    """Tokens that follow one another and are alike."""

    kind: Kind
    text: str
    """Empty of a picture and of a video's frame."""
    tokens: int


def pieces_of(row: Row, tokenizer: "PreTrainedTokenizerBase") -> list[Piece]:
    """Return the row's pieces in their order; they have all of its tokens."""

    def kind(place: int) -> Kind:
        if row.mm_token_type_ids[place]:
            return "picture" if row.mm_token_type_ids[place] == 1 else "video"
        return "learned" if row.labels[place] != IGNORE_INDEX else "given"

    found = []
    for one, group in groupby(range(len(row)), key=kind):
        ids = [int(row.input_ids[place]) for place in group]
        text = str(tokenizer.decode(ids, skip_special_tokens=False)) if one in ("given", "learned") else ""
        found.append(Piece(one, text, len(ids)))
    return found


def head_of(row: Row) -> str:
    """Return where the row stood, and how many tokens it has of which kind."""
    seen = int((row.mm_token_type_ids > 0).sum())
    return f"{row.sample.origin}: {len(row):,} tokens, {seen:,} of pictures, {row.learned:,} learned"


def lines_of_rows(rows: Sequence[Row], tokenizer: "PreTrainedTokenizerBase") -> Iterator[str]:
    """Yield the rows as text: what is learned between ⟦ and ⟧, pictures as their number of tokens."""
    for row in rows:
        yield head_of(row)
        yield "".join(_text(piece) for piece in pieces_of(row, tokenizer))
        yield ""


def write_rows(
    file: Path, title: str, rows: Sequence[Row], broken: Sequence[Broken], tokenizer: "PreTrainedTokenizerBase"
) -> None:
    """Write a page of the rows with their pictures, what is learned marked, and of what is left out.

    Raises:
        OutputRefused: The place, or the disk.
    """
    body = ["<p>What is <mark>marked</mark> is learned; the rest is given.</p>"]
    for row in rows:
        body += [
            f"<h2>{escape(head_of(row))}</h2>",
            f"<p>{thumbnails(row.sample.pictures)}</p>",
            "<pre style='white-space: pre-wrap'>" + "".join(_markup(p) for p in pieces_of(row, tokenizer)) + "</pre>",
        ]
    with whole_file(file) as part:
        write_page(part, title, [*body, left_out(broken)])


def _text(piece: Piece) -> str:
    if piece.kind in ("picture", "video"):
        return f"[{piece.kind}, {piece.tokens:,} tokens]"
    return f"{BEGIN}{piece.text}{END}" if piece.kind == "learned" else piece.text


def _markup(piece: Piece) -> str:
    if piece.kind in ("picture", "video"):
        return f"<small>[{piece.kind}, {piece.tokens:,} tokens]</small>"
    return f"<mark>{escape(piece.text)}</mark>" if piece.kind == "learned" else escape(piece.text)
