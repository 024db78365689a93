"""Answers to a few rows before, during and after the training, kept as soon as they are there. It measures nothing."""

import json
from collections.abc import Sequence
from typing import Any

from transformers import TrainerCallback

from finetune.data.sample import Sample
from finetune.training.checkpoints import translating
from finetune.training.reporting.log import read_log
from finetune.training.reporting.sample_answers import ANSWERS, Answers, Shown, answer_samples, keep_answers, shown
from finetune.training.run import Run
from model.qwen3_vl.generation import OutOfMemory
from model.qwen3_vl.load import base_model


class Questions(TrainerCallback):
    """Asks the model on its way, every `report_sample_steps`, and before and after it for the report."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._samples: Sequence[Sample] = ()
        if run.config.report.report_samples:
            useless = {row.origin for row in run.unusable}
            usable = [sample for sample in run.data.held_back or run.data.train if sample.origin not in useless]
            if run.config.training.stage == "dpo":  # the worse answer stands behind the better one
                usable = usable[::2]
            self._samples = usable[: run.config.report.report_samples]
        self._before: Answers = {}
        self._meanwhile: dict[int, Answers] = {}
        self.degraded: list[str] = []
        """Why there are no answers, or no more of them."""

    def ask_before(self) -> None:
        """Ask a base whose weights themselves are going to change; under an adapter it can be asked afterwards."""
        if self._run.config.adapter.is_whole:
            self._before = self._ask(self._run.model, adapted=False) or {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take up the answers of a run that goes on, without those of steps that are done again."""
        file = self._run.output / ANSWERS
        if not state.is_world_process_zero or not file.is_file():
            return
        kept = [line for line in read_log(file) if line["step"] <= state.global_step]
        numbers = {str(sample.origin): number for number, sample in enumerate(self._samples)}
        for line in kept:
            if line["row"] in numbers:
                self._meanwhile.setdefault(line["step"], {})[numbers[line["row"]]] = line["answer"]
        file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in kept), "utf-8")

    def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Ask, where it is time."""
        every = self._run.config.report.report_sample_steps
        if every is None or state.global_step % every or not state.is_world_process_zero:
            return
        answers = self._ask(getattr(model, "module", model), adapted=True)
        if answers:
            self._meanwhile[state.global_step] = answers
            with translating(self._run.output):
                keep_answers(self._run.output, state.global_step, self._samples, answers)

    def ask_after(self, model: Any) -> list[Shown]:
        """Return what the report shows of the questions and of all their answers.

        Args:
            model: The trained one, out of its wrappers.
        """
        if not self._samples:
            return []
        self._run.say("Asking base and trained model the same questions for the report …")
        base_model(model).activation_checkpointing_disable()
        if not self._run.config.adapter.is_whole:
            self._before = self._ask(model, adapted=False) or {}
        after = self._ask(model, adapted=True) or {}
        return shown(self._samples, self._before, after, self._meanwhile)

    def _ask(self, model: Any, *, adapted: bool) -> Answers | None:
        if not self._samples or self.degraded:
            return None
        try:
            return answer_samples(self._run.loaded, model, self._samples, self._run.config, adapted=adapted)
        except OutOfMemory as error:
            self.degraded.append(f"the report has no answers: {str(error).rstrip('.')}")
            self._run.say(f"Degraded: {self.degraded[-1]}.")
            return None
