"""A data report as lines for the terminal. It computes nothing."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finetune.data.report import DataReport, Spread, TokenReport


def lines_of(report: "DataReport") -> Iterator[str]:
    """Yield the lines: the numbers first, then every row left out."""
    yield f"{report.rows} rows: {report.usable} usable, {len(report.broken)} broken"
    if report.generated:
        yield f"{report.generated} of them written by a model"
    yield from _spread("exchanges a row", report.exchanges)
    yield from _spread("pictures a row", report.pictures)
    yield f"{report.picture_files} different pictures, {report.videos} videos"
    yield from _spread("width in pixels", report.widths, summed=False)
    yield from _spread("height in pixels", report.heights, summed=False)
    yield from _spread("characters of a question", report.question_chars)
    yield from _spread("characters of an answer", report.answer_chars)
    if report.tokens is not None:
        yield from _tokens(report.tokens)
    for category, count in report.categories.items():
        yield f"category {category}: {count}"
    if report.repeated_ids:
        yield f"{report.repeated_ids} ids occur before"
    for duplicate in report.duplicates:
        yield f"Duplicate: {duplicate}"
    for broken in report.broken:
        yield f"Broken: {broken}"


def _tokens(tokens: "TokenReport") -> Iterator[str]:
    yield from _spread(f"tokens a row ({tokens.model})", tokens.whole)
    yield from _spread("of them of pictures", tokens.pictures)
    yield from _spread("of them of the last answer", tokens.answers)
    yield (
        f"{len(tokens.cut) + len(tokens.refused)} rows above cutoff_len {tokens.cutoff_len}: "
        f"{len(tokens.cut)} lose their last words, {len(tokens.refused)} cannot be used"
    )
    for too_long in tokens.cut:
        yield f"Cut: {too_long}"
    for too_long in tokens.refused:
        yield f"Too long: {too_long}"


def _spread(what: str, spread: "Spread | None", *, summed: bool = True) -> Iterator[str]:
    if spread is not None:
        yield (
            f"{what}: {spread.least:,} to {spread.most:,}, median {spread.median:,}, 95% up to {spread.p95:,}"
            + (f", in all {spread.total:,}" if summed else "")
        )
