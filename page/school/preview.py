"""Rows of a data set as training sees them: pictures, words, which of them are learned, and what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.errors import ImageError

if TYPE_CHECKING:
    from finetune.config.schema import FinetuneConfig
    from finetune.data.sample import Sample
    from finetune.training.encoding import Encoder, Row

SHOWN = 8
MOST_BROKEN = 200
LONGEST = 4_000
"""Characters of a row that are shown."""


@dataclass(frozen=True)
class Piece:
    """Words of a row."""

    text: str
    learned: bool


@dataclass(frozen=True)
class ShownRow:
    """A row of the data."""

    origin: str
    pictures: tuple[Path, ...]
    pieces: tuple[Piece, ...]
    tokens: int
    learned: int
    problem: str = ""
    """Why it will be left out."""


@dataclass(frozen=True)
class Preview:
    """What a data set amounts to."""

    rows: int
    usable: int
    held_back: int
    shown: tuple[ShownRow, ...]
    broken: tuple[tuple[str, str], ...]
    """Where a row stands, and why it is left out; the first ones."""
    broken_rows: int
    doubled: int
    decided: str
    """How the format was found."""


def preview(config: "FinetuneConfig", first: int = SHOWN) -> Preview:
    """Read the rows that a configuration names, and encode the first ones; blocks for as long as reading takes.

    Raises:
        FinetuneError: What the training would end with.
        ModelError: The model is not on this machine; only its tokenizer is loaded.
    """
    from finetune.data.configured import frame_budget, read_data
    from finetune.data.report import report_on
    from finetune.training.encoding import Encoder
    from model.hub import find_local
    from model.qwen3_vl.processor import load_processor

    data = read_data(config)
    report = report_on(data.dataset)
    encoder = Encoder(
        load_processor(find_local(config.model.model_name_or_path)), cutoff_len=config.data.cutoff_len,
        max_pixels=config.data.image_max_pixels, frames=frame_budget(config), mask_history=config.data.mask_history,
    )  # fmt: skip
    return Preview(
        rows=report.rows,
        usable=report.usable,
        held_back=len(data.held_back),
        shown=tuple(_shown(encoder, sample) for sample in data.train[:first]),
        broken=tuple((str(one.origin), one.reason) for one in data.broken[:MOST_BROKEN]),
        broken_rows=len(data.broken),
        doubled=len(report.duplicates),
        decided=data.dataset.decided,
    )


def pieces_of(row: "Row", encoder: "Encoder") -> tuple[Piece, ...]:
    """Return a row's words in the order of its tokens, learned ones apart; a picture's tokens are one sign."""
    from finetune.training.encoding import IGNORE_INDEX

    pieces: list[Piece] = []
    run: list[int] = []
    state: tuple[bool, int] | None = None

    def end() -> None:
        if state is not None and run:
            learned, kind = state
            text = {1: "🖼", 2: "🎞"}.get(kind) or str(encoder.processor.tokenizer.decode(run))
            pieces.append(Piece(text, learned))

    for token, label, kind in zip(row.input_ids, row.labels, row.mm_token_type_ids, strict=True):
        now = bool(label != IGNORE_INDEX), int(kind)
        if now != state:
            end()
            run, state = [], now
        run.append(int(token))
    end()
    return _cut(pieces)


def _shown(encoder: "Encoder", sample: "Sample") -> ShownRow:
    from finetune.training.encoding import RowRefused

    try:
        row = encoder(sample)
    except (RowRefused, ImageError) as error:
        text = "\n".join(message.text for message in sample.messages)[:LONGEST]
        return ShownRow(str(sample.origin), sample.pictures, (Piece(text, False),), 0, 0, str(error))
    return ShownRow(str(sample.origin), sample.pictures, pieces_of(row, encoder), len(row), row.learned)


def _cut(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    kept, room = [], LONGEST
    for piece in pieces:
        if len(piece.text) > room:
            kept.append(Piece(piece.text[:room] + "…", piece.learned))
            break
        kept.append(piece)
        room -= len(piece.text)
    return tuple(kept)
