"""Say how much of the code the last run of `make test` reached, and fail where that is less than before.

The floor is a number in `tests/coverage-floor.txt`, of lines and branches together. It only rises: whoever reaches more
writes the new number there, which this says.
"""

import io
import math
import sys
from pathlib import Path

import coverage

FLOOR = Path(__file__).with_name("coverage-floor.txt")
WORST = 10
SLACK = 0.5
"""Points by which a run may differ from the last one, because threads and processes meet in another order."""


def main() -> int:
    """Print the least covered files, the total, and what to do."""
    measured = coverage.Coverage()
    measured.load()
    table = io.StringIO()
    try:
        total = measured.report(file=table, sort="cover", skip_covered=True, skip_empty=True)
    except coverage.exceptions.NoDataError:
        sys.stderr.write("No coverage was measured: the run of the tests did not come to its end.\n")
        return 1
    rows = [line for line in table.getvalue().splitlines() if line.endswith("%")]
    sys.stdout.write("Least covered, with branches:\n" + "\n".join(rows[:WORST]) + "\n")
    floor = float(FLOOR.read_text("utf-8"))
    if total < floor - SLACK:
        sys.stderr.write(
            f"Coverage fell from {floor:.1f} % to {total:.1f} %; test what is new, `coverage report` names it.\n"
        )
        return 1
    sys.stdout.write(f"Coverage {total:.1f} %, the floor is {floor:.1f} %.\n")
    if total >= floor + SLACK:
        sys.stdout.write(f"It has risen: write {math.floor(total * 10) / 10} into tests/{FLOOR.name}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
