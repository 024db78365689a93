"""Draws a run's log: loss, learning rate, gradient, and the use of experts, each as one PNG beside the log."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.output_files import whole_file
from finetune.training.reporting.log import LOG, read_log
from model.hub import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE, DPI = (7.0, 3.2), 110  # inches


@dataclass(frozen=True)
class Curve:
    """One picture of the report."""

    title: str
    file: Path


def check_drawing() -> None:
    """Check before a training that its curves can be drawn at its end.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", "finetune")


def draw_curves(folder: Path) -> list[Curve]:
    """Draw what the log in the folder has, and return the pictures."""
    lines = read_log(folder / LOG)
    curves = [
        _draw(folder, "loss", "Loss", lines, ("loss", "eval_loss", "aux_loss")),
        _draw(folder, "eval_accuracy", "Share of right tokens on held-back rows", lines, ("eval_accuracy",)),
        _draw(folder, "learning_rate", "Learning rate", lines, ("learning_rate",)),
        _draw(folder, "grad_norm", "Length of the gradient before clipping", lines, ("grad_norm",)),
        _draw(folder, "expert_entropy", "Evenness of the experts' use (1 = even)", lines, ("expert_entropy",)),
        _draw_usage(folder, lines),
    ]
    return [curve for curve in curves if curve is not None]


def _draw(folder: Path, name: str, title: str, lines: Sequence[dict[str, Any]], keys: Sequence[str]) -> Curve | None:
    series = {key: [(line["step"], line[key]) for line in lines if key in line] for key in keys}
    series = {key: points for key, points in series.items() if points}
    if not series:
        return None

    def draw(axes: "Axes") -> None:
        for key, points in series.items():
            steps, values = zip(*points, strict=True)
            axes.plot(steps, values, label=key, marker="." if len(points) < 40 else None, linewidth=1.2)
        if len(series) > 1:
            axes.legend()
        axes.set_xlabel("step")
        axes.grid(visible=True, alpha=0.3)

    return _save(folder, name, title, draw)


def _draw_usage(folder: Path, lines: Sequence[dict[str, Any]]) -> Curve | None:
    """Draw the last line's shares, a row for each layer."""
    usage = next((line["expert_usage"] for line in reversed(lines) if line.get("expert_usage")), None)
    if not usage:
        return None

    def draw(axes: "Axes") -> None:
        shares = list(usage.values())
        drawn = axes.imshow(shares, aspect="auto", vmin=0, vmax=max(map(max, shares)), cmap="viridis")
        axes.set_xlabel("expert")
        axes.set_ylabel("layer")
        axes.set_xticks(range(len(shares[0])))
        axes.figure.colorbar(drawn, label="share of the choices")

    return _save(folder, "expert_usage", "Share of each expert by layer at the end", draw)


def _save(folder: Path, name: str, title: str, draw: Any) -> Curve:
    # no pyplot: its windows and its global state belong to whoever called
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.subplots())
    file = folder / f"{name}.png"
    with whole_file(file) as part:
        figure.savefig(part, dpi=DPI)
    return Curve(title, file)
