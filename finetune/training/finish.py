"""What a run leaves at its end: the adapter, its curves and the report. It trains nothing."""

import json
import os
from pathlib import Path
from typing import Any

from finetune.errors import FinetuneError
from finetune.output_files import OutputRefused
from finetune.training.checkpoints import STATE, staging_folder, sync, translating, why_unwritten
from finetune.training.reporting.curves import draw_curves
from finetune.training.reporting.foreign_files import write_foreign_files
from finetune.training.run import Run


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
    from finetune.training.trainer import save_adapter

    state = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if not trainer.args.should_save:
        return
    with translating(output):
        staging = staging_folder(output) / "adapter"
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), staging, state)
        trainer.state.save_to_json(str(staging / STATE))
        (staging / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
        for path in sorted(staging.iterdir(), key=lambda path: path.name == "adapter_config.json"):  # it comes last
            sync(path)
            os.replace(path, output / path.name)
        staging_folder(output)


def report_on_run(run: Run, trainer: Any, metrics: dict[str, float]) -> None:
    """Draw the curves, let base and adapter answer some rows, and write the report.

    Raises:
        ReportNotWritten: The disk.
    """
    from finetune.training.reporting.report import RunReport, write_report
    from finetune.training.reporting.sample_answers import answer_samples
    from model.qwen3_vl.generation import OutOfMemory

    config, data = run.config, run.data
    shown, degraded = [], list(run.prepared.degraded)
    if config.report.report_samples and not trainer.is_fsdp_enabled:
        run.say("Asking base and adapter the same questions for the report …")
        useless = {row.origin for row in run.unusable}
        samples = [sample for sample in data.held_back or data.train if sample.origin not in useless]
        model = trainer.accelerator.unwrap_model(trainer.model)
        try:
            shown = answer_samples(run.loaded, model, samples[: config.report.report_samples], config)
        except OutOfMemory as error:
            degraded.append(f"the report has no answers: {str(error).rstrip('.')}")
            run.say(f"Degraded: {degraded[-1]}.")
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
