"""What an evaluation found: scores of every row, and the table of means with their intervals.

It runs no model and writes no file.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from finetune.data.dataset import Broken
from finetune.evaluation.bootstrap import Estimate, estimate
from finetune.evaluation.cases import Case

ALL = "all"
ADAPTER, BASE = "adapter", "base"

Scores = Mapping[str, Mapping[str, Sequence[float | None]]]
"""By who answered and by name of the measure, the score of each case; none where it was not measured."""


@dataclass(frozen=True)
class Measure:
    """A column of the table."""

    name: str
    title: str
    about: str
    best: float


@dataclass(frozen=True)
class Cell:
    """One measure of some rows."""

    of: Mapping[str, Estimate]
    """By who answered; who answered none of the rows is left out."""
    difference: Estimate | None
    """First minus second over the rows that both answered, where two answered."""


@dataclass(frozen=True)
class JudgeReport:
    """How the judge did."""

    name: str
    marked: int
    unreadable: int
    """Answers for which it gave no mark; they are not in its mean."""
    first_reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """All of it."""

    run: Mapping[str, Any]
    """What was evaluated and how."""
    names: tuple[str, ...]
    """Who answered."""
    measures: tuple[Measure, ...]
    cases: Sequence[Case]
    said: Mapping[str, Sequence[str | None]]
    scores: Scores
    table: Mapping[str, Mapping[str, Cell]]
    """By category, `all` first, and by name of the measure."""
    broken: Sequence[Broken]
    cut_off: Mapping[str, int] = field(default_factory=dict)
    """By who answered, answers that ended at max_new_tokens."""
    judge: JudgeReport | None = None
    degraded: Sequence[str] = ()
    warnings: Sequence[str] = ()
    """Why the numbers may not say what they seem to say."""

    @property
    def compared(self) -> tuple[str, str] | None:
        """Who is compared with whom."""
        return (self.names[0], self.names[1]) if len(self.names) == 2 else None

    def rows_of(self, line: str) -> int:
        """Return how many cases a line of the table is of, measured or not."""
        return sum(line in (ALL, _line(case.category)) for case in self.cases)

    def score(self, name: str, number: int) -> tuple[Measure, float] | None:
        """Return the most telling score of a case, and of which measure it is."""
        for measure in self.measures:
            value = self.scores[name][measure.name][number]
            if value is not None:
                return measure, value
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return what results.json holds."""
        return {
            "run": dict(self.run),
            "rows": len(self.cases),
            "broken": [{"origin": str(b.origin), "reason": b.reason} for b in self.broken],
            "names": list(self.names),
            "measures": [asdict(measure) for measure in self.measures],
            "table": {
                category: {name: _cell(cell) for name, cell in cells.items()} for category, cells in self.table.items()
            },
            "rows_of": {category: self.rows_of(category) for category in self.table},
            "cut_off": dict(self.cut_off),
            "judge": None if self.judge is None else asdict(self.judge),
            "degraded": list(self.degraded),
            "warnings": list(self.warnings),
        }


def build_table(
    cases: Sequence[Case], names: Sequence[str], measures: Sequence[Measure], scores: Scores, *, seed: int = 0
) -> dict[str, dict[str, Cell]]:
    """Return the table; its first line is of all cases, the others of each category where there are several."""
    categories = sorted({case.category for case in cases})
    lines = {ALL: list(range(len(cases)))}
    if len(categories) > 1:
        for category in categories:
            lines[_line(category)] = [number for number, case in enumerate(cases) if case.category == category]
    groups = [_group(case, number) for number, case in enumerate(cases)]
    return {
        line: {
            measure.name: cell
            for measure in measures
            if (cell := _measured(names, measure.name, scores, rows, groups, seed)) is not None
        }
        for line, rows in lines.items()
    }


def _line(category: str) -> str:
    """Return a category's line; one that is called so does not take the place of the line of all."""
    return category if category != ALL else "(none)"


def _measured(
    names: Sequence[str], measure: str, scores: Scores, rows: Sequence[int], groups: Sequence[Hashable], seed: int
) -> Cell | None:
    of: dict[str, Estimate] = {}
    for name in names:
        column = scores[name][measure]
        there = [(value, groups[row]) for row in rows if (value := column[row]) is not None]
        found = estimate([value for value, _ in there], [group for _, group in there], seed=seed)
        if found is not None:
            of[name] = found
    if not of:
        return None
    difference = None
    if len(names) == 2:
        first, second = (scores[name][measure] for name in names)
        pairs = [
            (a - b, groups[row]) for row in rows if (a := first[row]) is not None and (b := second[row]) is not None
        ]
        difference = estimate([value for value, _ in pairs], [group for _, group in pairs], seed=seed)
    return Cell(of, difference)


def _group(case: Case, number: int) -> Hashable:
    """Return what holds rows together: they are asked about the same pictures."""
    return case.pictures or number


def _cell(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = {name: asdict(value) for name, value in cell.of.items()}
    return {"of": found, "difference": None if cell.difference is None else asdict(cell.difference)}
