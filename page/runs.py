"""Trainings in processes of their own: begun, stopped, resumed, and read from their files.

What is known of a run lies on the disk, so that another page finds it: one line in the list of runs, and the process
beside the run's folder.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from common.atomic_files import write_whole
from common.home import data_home
from finetune.training.reporting.log import LOG, read_log
from page.errors import PageError
from page.processes import Processes, said_of, told_of

State = Literal["running", "finished", "stopped", "failed"]
MOST_RUNS = 100


@dataclass(frozen=True)
class Progress:
    """How a run stands, from its files."""

    output: Path
    state: State
    step: int = 0
    total: int | None = None
    """Steps in all; none before the log says how far an epoch is."""
    seconds_left: float | None = None
    lines: tuple[dict[str, Any], ...] = ()
    """Of its log."""
    told: str = ""
    """The last of what it wrote to the terminal."""
    resumable: bool = False

    def series(self, name: str) -> list[tuple[int, float]]:
        """Return a value of the log with its steps, such as `loss`, `learning_rate`, `grad_norm`, `eval_loss`."""
        return [(line["step"], line[name]) for line in self.lines if isinstance(line.get(name), int | float)]

    @property
    def experts(self) -> dict[str, Any] | None:
        """How evenly experts were used last; none without experts."""
        return next((line["expert_usage"] for line in reversed(self.lines) if line.get("expert_usage")), None)


@dataclass
class Runs:
    """The runs that the page knows."""

    list_file: Path = field(default_factory=lambda: data_home() / "page" / "runs.json")
    processes: Processes = field(default_factory=Processes)

    def start(self, config: Path, output: Path, *, resume: bool = False) -> None:
        """Begin to train as a configuration says, or go on from its last checkpoint.

        Raises:
            PageError: It runs already, or cannot be started.
        """
        command = ["finetune", "train", str(config)]
        command += ["--resume_from_checkpoint=true", "--overwrite_output_dir=false"] if resume else []
        self.processes.begin(output, command, goes_on=resume, config=str(config))
        self._remember(output)

    def stop(self, output: Path) -> None:
        """Ask a run to end after the step at hand, with a checkpoint."""
        self.processes.stop(output)

    def resume(self, output: Path) -> None:
        """Go on with a run that was stopped.

        Raises:
            PageError: It runs already, or nobody knows how it was begun.
        """
        config = said_of(output).get("config")
        if not isinstance(config, str):
            raise PageError("page_run_unknown", folder=str(output))
        self.start(Path(config), output, resume=True)

    def known(self) -> list[Path]:
        """Return the folders of all runs that were begun here, the latest first."""
        try:
            found = json.loads(self.list_file.read_text("utf-8"))
        except (OSError, ValueError):
            return []
        paths = [Path(one) for one in found if isinstance(one, str)] if isinstance(found, list) else []
        return [path for path in paths if path.is_dir() or bool(said_of(path))]

    def progress(self, output: Path) -> Progress:
        """Read how a run stands; reads files, so call it on a thread."""
        from finetune.training.checkpoints import checkpoints

        runs = self.processes.pid(output) is not None
        lines = read_log(output / LOG)
        resumable = not runs and bool(checkpoints(output))
        finished = (output / "adapter_config.json").is_file()
        state: State = "running" if runs else "finished" if finished else "stopped" if resumable else "failed"
        step = max((line["step"] for line in lines), default=0)
        total = _total(output, lines)
        return Progress(
            output, state, step, total, _left(lines, total) if runs else None, tuple(lines),
            told_of(output), resumable and not finished,
        )  # fmt: skip

    def _remember(self, output: Path) -> None:
        known = [str(output), *(str(one) for one in self.known() if one != output)]
        self.list_file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.list_file, json.dumps(known[:MOST_RUNS]))


def _total(output: Path, lines: list[dict[str, Any]]) -> int | None:
    """Return how many steps a run will make: as its configuration says, or by how far an epoch is."""
    import yaml

    from finetune.config.schema import RESOLVED

    try:
        training = yaml.safe_load((output / RESOLVED).read_text("utf-8"))["training"]
        if training["max_steps"] > 0:
            return int(training["max_steps"])
        last = next(line for line in reversed(lines) if line.get("epoch"))
        return max(last["step"], round(last["step"] * training["num_train_epochs"] / last["epoch"]))
    except (OSError, ValueError, KeyError, TypeError, StopIteration, yaml.YAMLError):
        return None


def _left(lines: list[dict[str, Any]], total: int | None) -> float | None:
    """Return the seconds that the other steps will take as the last attempt's did."""
    timed = [line for line in lines if isinstance(line.get("seconds"), int | float)]
    if total is None or len(timed) < 2:
        return None
    first = len(timed) - 1
    while first and timed[first - 1]["seconds"] <= timed[first]["seconds"]:  # a resumption counts from 0 again
        first -= 1
    steps = timed[-1]["step"] - timed[first]["step"]
    if steps <= 0:
        return None
    seconds = timed[-1]["seconds"] - timed[first]["seconds"]
    return max(0.0, seconds / steps * (total - timed[-1]["step"]))
