"""What a run leaves at its end: the adapter, its curves and the report. It trains nothing."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.atomic_files import OutputRefused
from finetune.config.schema import FinetuneConfig
from finetune.data.configured import Data
from finetune.data.dataset import Broken
from finetune.errors import FinetuneError
from finetune.training.checkpoints import STATE, told, why_unwritten
from finetune.training.curves import draw_curves

if TYPE_CHECKING:
    from finetune.adapters.parameter_count import Parameters
    from finetune.training.prepare import Prepared
    from model.qwen3_vl.load import Loaded

Say = Callable[[str], None]
"""Told in words what is done; the command line writes it to stderr."""


class ReportNotWritten(FinetuneError):
    """The adapter is whole, and its curves or its report are not."""

    def __init__(self, folder: Path, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(
            f"The adapter in {str(folder)!r} is whole, but its report could not be written: {reason}; make room and "
            "write it with resume_from_checkpoint: true."
        )


def save_end(trainer: Any, output: Path, metrics: dict[str, float]) -> None:
    """Write the trained adapter into the run's folder, each file whole or not at all.

    Raises:
        CheckpointNotSaved: The disk.
    """
    from finetune.training.checkpoints import aside, sync
    from finetune.training.trainer import save_adapter

    state = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if not trainer.args.should_save:
        return
    with told(output):
        place = aside(output) / "adapter"
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), place, state)
        trainer.state.save_to_json(str(place / STATE))
        (place / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
        for path in sorted(place.iterdir(), key=lambda path: path.name == "adapter_config.json"):  # it comes last
            sync(path)
            os.replace(path, output / path.name)
        aside(output)


def tell(
    config: FinetuneConfig,
    loaded: "Loaded",
    trainer: Any,
    data: Data,
    prepared: "Prepared",
    unusable: Sequence[Broken],
    metrics: dict[str, float],
    parameters: "Parameters",
    say: Say,
) -> None:
    """Draw the curves, let base and adapter answer some rows, and write the report.

    Raises:
        ReportNotWritten: The disk.
    """
    from finetune.training.report import Told, write_report
    from finetune.training.sample_answers import answer_samples
    from model.qwen3_vl.generation import OutOfMemory

    output = Path(trainer.args.output_dir)
    shown, degraded = [], list(prepared.degraded)
    if config.report.report_samples and not trainer.is_fsdp_enabled:
        say("Asking base and adapter the same questions for the report …")
        useless = {row.origin for row in unusable}
        samples = [sample for sample in data.held_back or data.train if sample.origin not in useless]
        model = trainer.accelerator.unwrap_model(trainer.model)
        try:
            shown = answer_samples(loaded, model, samples[: config.report.report_samples], config)
        except OutOfMemory as error:
            degraded.append(f"the report has no answers: {str(error).rstrip('.')}")
            say(f"Degraded: {degraded[-1]}.")
    try:
        curves = draw_curves(output) if config.report.plot_loss else []
        write_report(
            output / "report.html",
            Told(
                config, data.dataset, prepared.rows, [*data.broken, *unusable], metrics, parameters, curves, shown,
                degraded,
            ),
        )  # fmt: skip
    except (OSError, OutputRefused) as error:
        raise ReportNotWritten(output, why_unwritten(output, error)) from error
