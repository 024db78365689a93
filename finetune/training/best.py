"""Which weights a run ends with: the last, or those that did best on held-back rows; and how well that was.

It measures nothing twice, and writes nothing.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from finetune.config.schema import EvaluationConfig
from finetune.training.checkpoints import what_is_missing

if TYPE_CHECKING:
    from finetune.training.trainer import AdapterTrainer


def take_best(trainer: "AdapterTrainer", say: Callable[[str], None]) -> str:
    """Put the weights of the best checkpoint on the model, where that is asked for.

    Returns:
        Why the last weights are kept instead, or nothing.
    """
    best = trainer.best_checkpoint()
    if best is None:
        return ""
    reason = "it cannot be had under FSDP" if trainer.is_fsdp_enabled else what_is_missing(best)
    if reason:
        note = f"{best.name}, the best on held-back rows, cannot be taken ({reason}); the last weights are kept"
        say(f"Degraded: {note}.")
        trainer.state.best_global_step = None
        return note
    how = in_words(trainer.config.evaluation, "lowest", "highest")
    say(f"The weights of step {trainer.state.best_global_step} are kept: {how} there.")
    if trainer.config.adapter.is_whole:
        trainer._load_from_checkpoint(str(best))
        return ""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    from finetune.adapters.attach import ADAPTER
    from model.adapters.attach import WEIGHTS

    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    set_peft_model_state_dict(model, load_file(best / WEIGHTS), adapter_name=ADAPTER)
    return ""


def in_words(evaluation: EvaluationConfig, lower: str, higher: str) -> str:
    """Return what is said of the measure that decides: its name, and one word or the other."""
    name = "the loss" if evaluation.metric_for_best_model == "eval_loss" else evaluation.metric_for_best_model
    return f"{name} on held-back rows was {lower if evaluation.decided_by_loss else higher}"


def last_evaluation(trainer: "AdapterTrainer") -> dict[str, float]:
    """Return what held-back rows say of the weights that the run ends with; measured, unless it was."""
    step = trainer.state.best_global_step if trainer.best_checkpoint() else trainer.state.global_step
    for line in reversed(trainer.state.log_history):
        if line.get("step") == step and "eval_loss" in line:
            return {name: float(value) for name, value in line.items() if name.startswith("eval_")}
    return {name: float(value) for name, value in trainer.evaluate().items() if isinstance(value, int | float)}
