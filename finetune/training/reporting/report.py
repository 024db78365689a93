"""One HTML page of a run that needs no other file: figures, data, curves, answers before and after, configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from finetune.config.schema import FinetuneConfig
from finetune.data.dataset import Broken, Dataset
from finetune.data.report import Spread, report_on
from finetune.html_page import left_out, png, table, text, thumbnails, write_page
from finetune.output_files import whole_file
from finetune.training.encoding import Row
from finetune.training.reporting.curves import Curve
from finetune.training.reporting.sample_answers import Shown

if TYPE_CHECKING:
    from finetune.adapters.parameter_count import Parameters


@dataclass(frozen=True)
class RunReport:
    """What the page shows."""

    config: FinetuneConfig
    dataset: Dataset
    rows: Sequence[Row]
    broken: Sequence[Broken]
    """All rows that were left out."""
    metrics: Mapping[str, float]
    parameters: "Parameters"
    curves: Sequence[Curve]
    shown: Sequence[Shown]
    degraded: Sequence[str]


def write_report(file: Path, report: RunReport) -> None:
    """Write the page, whole or not at all."""
    config = report.config
    title = f"{config.adapter.finetuning_type} on {config.model.model_name_or_path}"
    body = [
        f"<p>{escape(str(report.parameters))}.</p>",
        *(f"<p><b>Degraded:</b> {escape(note)}.</p>" for note in report.degraded),
        "<h2>Figures</h2>",
        table((name, f"{value:,.4g}") for name, value in report.metrics.items()),
        "<h2>Data</h2>",
        table(data_figures(report.dataset, report.rows)),
        left_out(report.broken),
        "<h2>Curves</h2>",
        *(f"<h3>{escape(curve.title)}</h3><p>{png(curve.file)}</p>" for curve in report.curves),
        *(["<h2>Before and after</h2>", _answers(report.shown)] if report.shown else []),
        "<h2>Configuration</h2>",
        f"<pre>{escape(config.to_yaml())}</pre>",
    ]
    with whole_file(file) as part:
        write_page(part, title, body)


def data_figures(dataset: Dataset, rows: Sequence[Row] = ()) -> list[tuple[str, str]]:
    """Return name and value of what is known of the data, with token counts if there are rows."""
    report = report_on(dataset)
    figures = [
        ("format", report.decided),
        ("usable rows", f"{report.usable:,}"),
        ("broken rows", f"{len(report.broken):,}"),
        ("written by a model", f"{report.generated:,}"),
        ("repeated rows", f"{len(report.duplicates):,}"),
        ("pictures", f"{report.picture_files:,}"),
        ("videos", f"{report.videos:,}"),
        ("width in pixels", _spread(report.widths)),
        ("height in pixels", _spread(report.heights)),
    ]
    if rows:
        figures += [
            ("tokens of a row", _spread(Spread.of([len(row) for row in rows]))),
            ("of them of pictures", _spread(Spread.of([int((row.mm_token_type_ids > 0).sum()) for row in rows]))),
            ("of them learned", _spread(Spread.of([row.learned for row in rows]))),
        ]
    return [*figures, *((f"category {name}", f"{number:,}") for name, number in report.categories.items())]


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "-"
    return f"{spread.least:,} to {spread.most:,}, median {spread.median:,}, 95 % up to {spread.p95:,}"


def _answers(shown: Sequence[Shown]) -> str:
    steps = sorted({step for each in shown for step in each.meanwhile})
    names = ("", "question", "expected", "base", *(f"step {step:,}" for step in steps), "trained")
    head = "<tr>" + "".join(f"<th>{name}</th>" for name in names) + "</tr>"
    lines = []
    for each in shown:
        said = (
            each.question, each.expected, each.base, *(each.meanwhile.get(step, "") for step in steps), each.adapter,
        )  # fmt: skip
        cells = "".join(f'<td class="answer">{text(words)}</td>' for words in said)
        lines.append(f"<tr><td>{thumbnails(each.pictures)}</td>{cells}</tr>")
    return f"<table>{head}{''.join(lines)}</table>"
