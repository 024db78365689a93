"""One HTML page of a run that needs no other file: figures, data, curves, answers before and after, configuration."""

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config import FinetuneConfig
from finetune.curves import Curve
from finetune.data.dataset import Broken, Dataset
from finetune.data.report import Spread, report_on
from finetune.rows import Row
from finetune.show import Shown

if TYPE_CHECKING:
    from finetune.tuners import Parameters

MOST_BROKEN = 50
THUMBNAIL = 240  # pixels
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a; }
table { border-collapse: collapse; margin: .5rem 0 1.5rem; }
th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid #ddd; vertical-align: top; }
img { max-width: 100%; } pre { background: #f5f5f5; padding: 1rem; overflow-x: auto; }
"""


@dataclass(frozen=True)
class Told:
    """What the page tells."""

    config: FinetuneConfig
    dataset: Dataset
    rows: Sequence[Row]
    broken: Sequence[Broken]
    metrics: Mapping[str, float]
    parameters: "Parameters"
    curves: Sequence[Curve]
    shown: Sequence[Shown]
    degraded: Sequence[str]


def write_report(file: Path, told: Told) -> None:
    """Write the page, whole or not at all."""
    config = told.config
    title = f"{config.adapter.finetuning_type} on {config.model.model_name_or_path}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(str(told.parameters))}.</p>",
        *(f"<p><b>Degraded:</b> {escape(note)}.</p>" for note in told.degraded),
        "<h2>Figures</h2>",
        _table((name, f"{value:,.4g}") for name, value in told.metrics.items()),
        "<h2>Data</h2>",
        _table(data_figures(told.dataset, told.rows)),
        _broken([*told.dataset.broken, *told.broken]),
        "<h2>Curves</h2>",
        *(f"<h3>{escape(curve.title)}</h3><p>{_png(curve.file)}</p>" for curve in told.curves),
        *(["<h2>Before and after</h2>", _answers(told.shown)] if told.shown else []),
        "<h2>Configuration</h2>",
        f"<pre>{escape(config.to_yaml())}</pre>",
    ]
    page = "\n".join(
        ["<!doctype html>", '<html lang="en"><head><meta charset="utf-8">', f"<title>{escape(title)}</title>",
         f"<style>{STYLE}</style></head><body>", *body, "</body></html>\n"]
    )  # fmt: skip
    part = file.with_suffix(".part")
    part.write_text(page, "utf-8")
    part.replace(file)


def data_figures(dataset: Dataset, rows: Sequence[Row] = ()) -> list[tuple[str, str]]:
    """Return name and value of what is known of the data; token counts where there are rows."""
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


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "<table>" + "".join(f"<tr><th>{escape(a)}</th><td>{escape(b)}</td></tr>" for a, b in rows) + "</table>"


def _broken(broken: Sequence[Broken]) -> str:
    if not broken:
        return ""
    more = f"<p>and {len(broken) - MOST_BROKEN} more</p>" if len(broken) > MOST_BROKEN else ""
    return "<h3>Left out</h3>" + _table((str(b.origin), b.reason) for b in broken[:MOST_BROKEN]) + more


def _answers(shown: Sequence[Shown]) -> str:
    head = "<tr><th></th><th>question</th><th>expected</th><th>base</th><th>adapter</th></tr>"
    lines = []
    for each in shown:
        texts = (each.question, each.expected, each.base, each.adapter)
        cells = "".join(f"<td>{escape(text)}</td>" for text in texts)
        lines.append(f"<tr><td>{''.join(map(_thumbnail, each.pictures[:4]))}</td>{cells}</tr>")
    return f"<table>{head}{''.join(lines)}</table>"


def _thumbnail(path: Path) -> str:
    from model.images import open_picture

    whole = path.expanduser().absolute()
    picture: Any = open_picture(str(whole), (Path(whole.anchor),)).image.copy()
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=80)
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(written.getvalue()).decode()}">'


def _png(file: Path) -> str:
    return f'<img alt="" src="data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}">'
