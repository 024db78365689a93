"""What a run leaves at its end: the adapter, its curves and the report. It trains nothing."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.adapters.whole_model import save_trained
from finetune.errors import FinetuneError
from finetune.output_files import OutputRefused
from finetune.training.checkpoints import STATE, staging_folder, sync, translating, why_unwritten
from finetune.training.reporting.curves import draw_curves
from finetune.training.reporting.foreign_files import write_foreign_files
from finetune.training.run import Run

if TYPE_CHECKING:
    from finetune.training.reporting.meanwhile import Questions


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
    state = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if not trainer.args.should_save:
        return
    with translating(output):
        staging = staging_folder(output) / "adapter"
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_trained(model, staging, trainer.config, state)
        trainer.state.save_to_json(str(staging / STATE))
        (staging / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
        # what makes a folder one comes last
        for path in sorted(staging.iterdir(), key=lambda path: path.name in ("adapter_config.json", "config.json")):
            sync(path)
            os.replace(path, output / path.name)
        staging_folder(output)


def report_on_run(run: Run, trainer: Any, metrics: dict[str, float], questions: "Questions") -> None:
    """Draw the curves, let base and trained model answer some rows, and write the report.

    Raises:
        ReportNotWritten: The disk.
    """
    from finetune.training.reporting.report import RunReport, write_report

    config, data = run.config, run.data
    shown = [] if trainer.is_fsdp_enabled else questions.ask_after(trainer.accelerator.unwrap_model(trainer.model))
    degraded = [*run.prepared.degraded, *questions.degraded]
    try:
        curves = draw_curves(run.output) if config.report.plot_loss else []
        write_foreign_files(run.output, metrics, trainer.state.max_steps)
        write_report(
            run.output / "report.html",
            RunReport(
                config, data.dataset, run.prepared.rows, run.broken, metrics, run.parameters, curves, shown, degraded
            ),
        )
    except (OSError, OutputRefused) as error:
        raise ReportNotWritten(run.output, why_unwritten(run.output, error)) from error
