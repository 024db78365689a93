"""The evaluation as one page of HTML that needs no other file: the table, the worst answers with their pictures.

What rows and models say is escaped, so that it is text and never markup. It measures nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path

from finetune.evaluation.bootstrap import LEVEL, Estimate
from finetune.evaluation.outcome import ALL, Cell, Measure, Outcome
from finetune.html_page import left_out, short, table, text, thumbnails, write_page


def write_report(file: Path, outcome: Outcome, *, worst: int) -> None:
    """Write the page; `worst` is how many rows with low scores it shows."""
    run = outcome.run
    who = run.get("adapter") or run.get("model") or run.get("predictions") or ""
    body = [
        f"<p>{len(outcome.cases):,} rows measured, {len(outcome.broken):,} left out. Intervals hold {LEVEL:.0%} of the "
        "means that other pictures of this kind would give (bootstrap over pictures).</p>",
        *(f'<p class="worse"><b>Warning:</b> {escape(warning)}.</p>' for warning in outcome.warnings),
        *(f"<p><b>Degraded:</b> {escape(note)}.</p>" for note in outcome.degraded),
        _judge(outcome),
        "<h2>All rows</h2>",
        _overall(outcome),
        *(["<h2>By category</h2>", _categories(outcome)] if len(outcome.table) > 1 else []),
        *_rows("Lowest scores", outcome, lowest(outcome, worst)),
        *_rows(f"Lost most against {' '.join(outcome.names[1:])}", outcome, lost_most(outcome, worst)),
        left_out(outcome.broken),
        "<h2>How</h2>",
        table((name, "" if value is None else str(value)) for name, value in run.items()),
    ]
    write_page(file, f"Evaluation of {who}", body)


def lowest(outcome: Outcome, most: int) -> list[int]:
    """Return the numbers of the cases that whoever answered first did worst, perfect ones not among them."""

    def loss(number: int) -> float:
        found = outcome.score(outcome.names[0], number)
        return 0.0 if found is None else 1 - found[1] / found[0].best

    return _most(range(len(outcome.cases)), loss, most)


def lost_most(outcome: Outcome, most: int) -> list[int]:
    """Return those that the second of two answered better than the first; none where one answered."""
    if outcome.compared is None:
        return []
    first, second = outcome.compared

    def loss(number: int) -> float:
        found = outcome.score(first, number)
        if found is None:
            return 0.0
        measure, value = found
        other = outcome.scores[second][measure.name][number]
        return 0.0 if other is None else (other - value) / measure.best

    return _most(range(len(outcome.cases)), loss, most)


def _most(numbers: Iterable[int], loss: Callable[[int], float], most: int) -> list[int]:
    losses = {number: loss(number) for number in numbers}
    return sorted((n for n in losses if losses[n] > 0), key=lambda n: (-losses[n], n))[:most]


def _overall(outcome: Outcome) -> str:
    cells = outcome.table[ALL]
    head = "".join(f"<th>{escape(name)}</th><th></th>" for name in outcome.names)
    head += f"<th>{_compared(outcome)}</th>" if outcome.compared else ""
    lines = []
    for measure in outcome.measures:
        cell = cells.get(measure.name)
        if cell is None:
            continue
        line = f"<th>{escape(measure.title)}<br><small>{escape(measure.about)}</small></th>"
        for name in outcome.names:
            found = cell.of.get(name)
            line += f'<td class="number">{shown(found)}</td><td>{_bar(found, measure)}</td>'
        lines.append(f"<tr>{line}{_difference(outcome, cell)}</tr>")
    return f"<table><tr><th></th>{head}</tr>{''.join(lines)}</table>"


def _categories(outcome: Outcome) -> str:
    measures = [measure for measure in outcome.measures if any(measure.name in c for c in outcome.table.values())]
    two = 2 if outcome.compared else 1
    head = "".join(f'<th colspan="{two}">{escape(measure.title)}</th>' for measure in measures)
    lines = []
    for category, cells in outcome.table.items():
        line = f"<th>{escape(category)}</th><td>{outcome.rows_of(category):,}</td>"
        for measure in measures:
            cell = cells.get(measure.name)
            if cell is None:
                line += "<td></td>" * two
                continue
            means = "<br>".join(f"{escape(name)} {shown(cell.of.get(name))}" for name in outcome.names)
            line += f'<td class="number">{means}</td>{_difference(outcome, cell)}'
        lines.append(f"<tr>{line}</tr>")
    return f"<table><tr><th></th><th>rows</th>{head}</tr>{''.join(lines)}</table>"


def shown(found: Estimate | None, *, sign: bool = False) -> str:
    """Return a mean with its interval in words."""
    if found is None:
        return "-"
    form = "+.1f" if sign else ".1f"
    return f"{found.mean:{form}}" + (
        "" if found.low is None or found.high is None else f" [{found.low:{form}}, {found.high:{form}}]"
    )


def _compared(outcome: Outcome) -> str:
    assert outcome.compared is not None, "only where two are compared"
    return f"{escape(outcome.compared[0])} - {escape(outcome.compared[1])}"


def _difference(outcome: Outcome, cell: Cell) -> str:
    if outcome.compared is None:
        return ""
    found = cell.difference
    kind = "" if found is None or not found.shifts() else " better" if found.mean > 0 else " worse"
    return f'<td class="number{kind}">{shown(found, sign=True)}</td>'


def _bar(found: Estimate | None, measure: Measure) -> str:
    if found is None:
        return ""
    share = 100 * min(max(found.mean / measure.best, 0.0), 1.0)
    whisker = ""
    if found.low is not None and found.high is not None:
        low, high = (100 * min(max(end / measure.best, 0.0), 1.0) for end in (found.low, found.high))
        whisker = f'<b style="left:{low:.1f}%;width:{high - low:.1f}%"></b>'
    return f'<div class="bar"><i style="width:{share:.1f}%"></i>{whisker}</div>'


def _judge(outcome: Outcome) -> str:
    judge = outcome.judge
    if judge is None:
        return ""
    told = f"{judge.marked:,} answers were marked by {escape(judge.name)}"
    if judge.unreadable:
        reason = escape(short(judge.first_reason))
        told += f"; it gave no mark for {judge.unreadable:,}, which are in no mean ({reason})"
    return f"<p>{told}.</p>"


def _rows(title: str, outcome: Outcome, numbers: Sequence[int]) -> list[str]:
    if not numbers:
        return []
    names = "".join(f"<th>{escape(name)}</th>" for name in outcome.names)
    lines = []
    for number in numbers:
        case = outcome.cases[number]
        pictures = thumbnails(case.pictures)
        right = "<br>".join(text(answer) for answer in dict.fromkeys((case.answer, *case.references)))
        where = f"<br><small>{escape(case.category)}, {escape(case.origin)}</small>"
        line = f'<td>{pictures}</td><td class="answer">{text(case.question)}{where}</td><td class="answer">{right}</td>'
        for name in outcome.names:
            found = outcome.score(name, number)
            score = "" if found is None else f"<br><small>{escape(found[0].title)} {found[1]:.1f}</small>"
            line += f'<td class="answer">{text(outcome.said[name][number] or "")}{score}</td>'
        lines.append(f"<tr>{line}</tr>")
    head = f"<tr><th></th><th>question</th><th>right</th>{names}</tr>"
    return [f"<h2>{escape(title)}</h2>", f"<table>{head}{''.join(lines)}</table>"]
