"""What the model answers to the rows that are held back, measured as `lorgnette finetune evaluate` measures answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finetune.config.schema import FinetuneConfig, ValueRefused
from finetune.data.sample import Sample
from finetune.evaluation.cases import case_of
from finetune.evaluation.metrics.choice import METRICS, Choice, check_names, scores, suitable
from finetune.training.reporting.sample_answers import answer_samples
from finetune.training.run import Run


def measures_of_answers(config: FinetuneConfig, samples: Sequence[Sample]) -> Choice:
    """Return what answers to held-back rows are measured by: what suits the rows, and what decides.

    Raises:
        ValueRefused: What decides fits none of these rows.
        MissingExtra: A package of it is missing.
    """
    if not config.evaluation.predict_with_generate or not samples:
        return Choice(())
    rows = [case_of(sample).answered("") for sample in samples]
    found, deciding = suitable(rows), _deciding(config)
    if deciding not in METRICS:
        return found
    check_names([deciding])
    if not any(METRICS[deciding].fits(row) for row in rows):
        others = ", ".join(metric.name for metric in found.metrics)
        reason = f"it fits no row that is held back ({METRICS[deciding].about}); write one of {others}"
        raise ValueRefused("metric_for_best_model", f"eval_{deciding}", reason)
    return Choice(tuple(dict.fromkeys((METRICS[deciding], *found.metrics))), found.degraded)


@dataclass(frozen=True)
class HeldBackAnswers:
    """Asks the model about all of these rows, among several processes each about its share."""

    run: Run

    def __call__(self, model: Any) -> dict[str, float]:
        """Return the mean of each measure by its name, such as `exact`, in percent; one that fits no row is left out.

        Args:
            model: The one that is trained, out of its wrappers.

        Raises:
            OutOfMemory: Of `model.qwen3_vl.generation`: a single row does not fit.
        """
        run = self.run
        samples = [row.sample for row in run.evaluated.rows]
        mine = range(run.args.process_index, len(samples), run.args.world_size)
        said = answer_samples(run.loaded, model, [samples[number] for number in mine], run.config, adapted=True)
        answers = [(number, said[place]) for place, number in enumerate(mine) if place in said]
        if run.args.world_size > 1:
            from accelerate.utils import gather_object

            answers = gather_object(answers)
        by_number = dict(answers)
        rows = [
            case_of(sample).answered(by_number[number]) if number in by_number else None
            for number, sample in enumerate(samples)
        ]
        found = {}
        for metric in measures_of_answers(run.config, samples).metrics:
            known = [score for score in scores(metric, rows) if score is not None]
            if known:
                found[metric.name] = sum(known) / len(known)
            elif metric.name == _deciding(run.config):  # no row has an answer: the worst that can be, and no end
                found[metric.name] = 0.0
        return found


def _deciding(config: FinetuneConfig) -> str:
    return config.evaluation.metric_for_best_model.removeprefix("eval_")
