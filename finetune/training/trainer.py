"""transformers' Trainer with our loss, our order, whole checkpoints, and errors that say what to do.

The loss is the mean over all labelled tokens of a step, whatever the number of processes and accumulated batches. It
draws nothing and reads no configuration file.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer

from finetune.adapters.whole_model import save_trained
from finetune.adapters.workarounds import drop_stale_hooks
from finetune.config.schema import RESOLVED, FinetuneConfig
from finetune.errors import FinetuneError
from finetune.training.batching import Order
from finetune.training.checkpoints import STAGING, checkpoints, commit, drop_old, staging_folder, translating
from finetune.training.collate import model_inputs
from finetune.training.fsdp import shard_on_cpus
from model.adapters.moe_lora import aux_loss, expert_usage, has_moe_lora
from model.adapters.multiway import expert_shares, has_multiway, mean_entropy, settle
from model.device import is_out_of_memory
from model.qwen3_vl.generation import OutOfMemory as NoRoomToAnswer


class LossNotFinite(FinetuneError):
    """The loss of a step is no number; nothing was learned of it."""

    def __init__(self, step: int, loss: float, learning_rate: float, last: Path | None, *, fp16: bool = False) -> None:
        self.step, self.loss, self.learning_rate, self.last = step, loss, learning_rate, last
        super().__init__(_diverged(f"The loss of step {step} is {loss}", learning_rate, last, fp16))


class GradientNotFinite(FinetuneError):
    """The gradient of a step is no number; nothing was learned of it."""

    def __init__(self, step: int, norm: float, learning_rate: float, last: Path | None, *, fp16: bool = False) -> None:
        self.step, self.norm, self.learning_rate, self.last = step, norm, learning_rate, last
        super().__init__(_diverged(f"The gradient of step {step} has the length {norm}", learning_rate, last, fp16))


class OutOfMemory(FinetuneError):
    """A step, or the evaluation after it, did not fit into the device's memory."""

    def __init__(self, step: int, advice: str, what: str = "Step") -> None:
        self.step, self.advice = step, advice
        super().__init__(f"{what} {step} does not fit into memory; {advice}.")


def share_right(logits: torch.Tensor, labels: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Return of each row which share of its labelled tokens is the likeliest one, (B,).

    Rows count alike, however long they are, as in LLaMA-Factory (`train/sft/metric.py::ComputeAccuracy`).

    Args:
        logits: (1, L, vocabulary) or (L, vocabulary), of the labelled positions alone.
        labels: (L,), row behind row.
        kept: (B, T), true where the next token is labelled.
    """
    right = (logits.reshape(len(labels), -1).argmax(-1) == labels).float()
    return torch.stack([row.mean() for row in right.split(kept.sum(-1).tolist())])


def _mean_accuracy(measured: Any) -> dict[str, float]:
    return {"accuracy": float(measured.predictions.mean())}


def _diverged(what: str, learning_rate: float, last: Path | None, fp16: bool) -> str:
    instead = ", or use bf16 in place of fp16" if fp16 else ""
    back = f", and go on from {str(last)!r} with resume_from_checkpoint" if last else ""
    return (
        f"{what}, and nothing of it was learned; lower learning_rate (now {learning_rate:g}) or raise warmup_steps"
        f"{instead}{back}."
    )


class AdapterTrainer(Trainer):
    """Trains an adapter on `finetune.training.batching.Items`."""

    def __init__(
        self,
        config: FinetuneConfig,
        order: Order,
        answers: Callable[[Any], dict[str, float]] | None = None,
        **options: Any,
    ) -> None:
        """Keep how.

        Args:
            config: Of the run.
            order: Of the rows.
            answers: Lets a model answer the rows that are held back, and returns the measures of that.
            options: Of transformers' Trainer.
        """
        if config.evaluation.compute_accuracy:
            options["compute_metrics"] = _mean_accuracy
        super().__init__(**options)
        self.config, self.order, self.answers = config, order, answers
        # Qwen3-VL declares that it cannot average over accumulated batches; with shift_labels its loss does
        self.model_accepts_loss_kwargs = True
        self.mixture = has_moe_lora(self.model)
        self.multiway = has_multiway(self.model)
        self._aux = torch.zeros((), device=self.args.device)
        self._aux_steps = 0
        self._aux_now: torch.Tensor | None = None
        self._staging: Path | None = None
        self._right: torch.Tensor | None = None
        self.ended_early = False
        """Whether held-back rows ended the run before its last step."""

    @property
    def output(self) -> Path:
        """The run's folder."""
        return Path(self.args.output_dir)

    def best_checkpoint(self) -> Path | None:
        """Return where the weights that did best on held-back rows were saved; None where none was asked for."""
        step = self.state.best_global_step if self.config.evaluation.load_best_model_at_end else None
        if not step:
            return None
        own, named = self.output / f"checkpoint-{step}", self.config.training.resume_from_checkpoint
        # a run that goes on in another folder may have had its best before
        before = Path(named).expanduser().with_name(own.name) if isinstance(named, str) else own
        return before if before.is_dir() and not own.is_dir() else own

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        """Save what is the best so far, and end where nothing was better for long enough."""
        is_best: bool = super()._determine_best_metric(metrics, trial)
        if is_best:
            self.control.should_save = self.control.should_save or self.config.evaluation.load_best_model_at_end
        patience = self.config.evaluation.early_stopping_steps
        if patience is not None and self._measured_since_best() >= patience:
            self.ended_early = self.control.should_training_stop = True
        return is_best

    def _measured_since_best(self) -> int:
        """Return how many measurements came after the best one, of this run and of the one it goes on with."""
        evaluation = self.config.evaluation
        name, best = evaluation.metric_for_best_model, min if evaluation.decided_by_loss else max
        found = [line[name] for line in self.state.log_history if name in line]
        return len(found) - 1 - found.index(best(found)) if found else 0

    def create_optimizer(self, *args: Any, **options: Any) -> Any:
        """Let B of a LoRA learn faster than A where LoRA+ is asked for."""
        ratio = self.config.training.loraplus_lr_ratio
        if ratio is None or getattr(self, "optimizer", None) is not None:
            return super().create_optimizer(*args, **options)
        from peft.optimizers import create_loraplus_optimizer

        kind, values = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = create_loraplus_optimizer(
            self.model, kind, loraplus_lr_ratio=ratio, loraplus_weight_decay=self.args.weight_decay, **values
        )
        return self.optimizer

    def create_accelerator_and_postprocess(self) -> None:
        """Find the other processes, and whether they share the model out."""
        shard_on_cpus()
        super().create_accelerator_and_postprocess()
        if self.args.fp16 and self.args.device.type == "cpu":
            # accelerate 1.15 leaves autocast and loss scaling out there, without a word
            self.accelerator.native_amp, self.accelerator.scaler = True, torch.amp.GradScaler("cpu")

    def _get_train_sampler(self, train_dataset: Any = None) -> Order:
        return self.order

    def _run_epoch(self, **kwargs: Any) -> Any:
        self.order.set_epoch(kwargs["epoch"])  # accelerate's loaders do not all pass it on
        return super()._run_epoch(**kwargs)

    def floating_point_ops(self, inputs: Any) -> int:
        """Count none: the count walks over all parameters at every step."""
        return 0

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean loss of the labelled tokens, and the load-balancing loss of a mixture with it."""
        outputs: Any = None
        if self.args.activation_checkpointing:
            drop_stale_hooks(self.model)
        loss = super().compute_loss(
            model, model_inputs(inputs), return_outputs=return_outputs, num_items_in_batch=num_items_in_batch
        )
        if return_outputs:
            loss, outputs = loss
            if self.config.evaluation.compute_accuracy and not model.training:
                self._right = share_right(outputs.logits, inputs["labels"], inputs["logits_to_keep"])
        if self.mixture and model.training:
            aux = aux_loss(model)
            self._aux += aux.detach()
            self._aux_steps += 1
            self._aux_now = aux.detach() / self.current_gradient_accumulation_steps
            loss = loss + aux / self.current_gradient_accumulation_steps
        return (loss, outputs) if return_outputs else loss

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """Do one forward and backward pass.

        Raises:
            OutOfMemory: It does not fit.
            LossNotFinite: Before anything is learned of it.
        """
        try:
            loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                raise OutOfMemory(self.state.global_step + 1, self._what_to_lower()) from error
            raise
        if not math.isfinite(value := loss.item()):
            raise LossNotFinite(*self._where(value), fp16=self.args.fp16)
        # the log's loss is that of the words, comparable with other adapters'; the other one stands apart
        return loss if self._aux_now is None else loss - self._aux_now

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **options: Any) -> Any:
        """Measure the loss of held-back rows, and their answers where that is asked for.

        Raises:
            OutOfMemory: An answer does not fit.
        """
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **options)
        if self.answers is not None:
            try:
                found = self.answers(self.accelerator.unwrap_model(self.model))
            except NoRoomToAnswer as error:
                advice = "lower report_max_new_tokens or image_max_pixels, or write predict_with_generate: false"
                raise OutOfMemory(self.state.global_step, advice, "The answering after step") from error
            output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in found.items()})
        return output

    def prediction_step(self, *args: Any, **options: Any) -> Any:
        """Measure the loss of held-back rows, and where asked for (B,) the share of right tokens.

        Raises:
            OutOfMemory: They do not fit.
        """
        try:
            loss, *others = super().prediction_step(*args, **options)
            return (loss, *others) if self._right is None else (loss, self._right, torch.ones_like(self._right))
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                number = self.config.evaluation.per_device_eval_batch_size
                advice = f"lower per_device_eval_batch_size (now {number}), " if number > 1 else ""
                advice += "leave val_size out, or lower cutoff_len or image_max_pixels"
                raise OutOfMemory(self.state.global_step, advice, "The evaluation after step") from error
            raise

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if not math.isfinite(value := float(norm)) and not self._scales_down():
            raise GradientNotFinite(*self._where(value), fp16=self.args.fp16)
        return norm

    def _scales_down(self) -> bool:
        """Return whether loss scaling in fp16 leaves this step out and makes the next one's gradient shorter."""
        scaler = self.accelerator.scaler
        return scaler is not None and scaler.get_scale() > 1

    def log(self, logs: dict[str, Any], start_time: float | None = None) -> None:
        """Add what a mixture did since the last line."""
        if self.mixture and "loss" in logs:
            usage = expert_usage(self.model, reset=True)
            if usage:
                logs["expert_entropy"] = sum(layer.entropy for layer in usage.values()) / len(usage)
            logs["aux_loss"] = (self._aux / max(1, self._aux_steps) / max(1, len(usage))).item()
            self._aux.zero_()
            self._aux_steps = 0
            self.state.expert_usage = {name: layer.shares for name, layer in usage.items()}
        if self.multiway and "loss" in logs:
            shares = expert_shares(self.model, reset=True)
            logs["expert_entropy"] = mean_entropy(shares)
            self.state.expert_usage = shares
        super().log(logs, start_time)
        if self.mixture or self.multiway:
            self.state.expert_usage = {}

    def _get_output_dir(self, trial: Any) -> str:
        return super()._get_output_dir(trial) if self._staging is None else str(self._staging)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Write the checkpoint aside, and give it its name once it is whole.

        Raises:
            CheckpointNotSaved: The disk, mostly.
        """
        first = self.args.should_save
        if self.multiway:
            settle(self.model)
        with translating(self.output):
            if first:
                staging_folder(self.output)
            self._staging = self.output / STAGING
            self.accelerator.wait_for_everyone()
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._staging = None
            self.accelerator.wait_for_everyone()
            if first:
                written = self.output / STAGING / f"checkpoint-{self.state.global_step}"
                (written / RESOLVED).write_text(self.config.to_yaml(), "utf-8")
                commit(written, self.output)
                staging_folder(self.output)
                drop_old(self.output, self.config.training.save_total_limit, self.best_checkpoint())
            self.accelerator.wait_for_everyone()

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        if self.args.should_save:
            if self.multiway:
                settle(self.model)
            model = self.accelerator.unwrap_model(self.model)
            save_trained(model, Path(output_dir or self.output), self.config, state_dict)

    def _where(self, value: float) -> tuple[int, float, float, Path | None]:
        """Return step, value, learning rate, and the checkpoint to go back to."""
        found = checkpoints(self.output)
        return self.state.global_step + 1, value, self._get_learning_rate(), found[-1] if found else None

    def _what_to_lower(self) -> str:
        config = self.config
        advice = []
        if config.training.per_device_train_batch_size > 1:
            accumulation = config.training.gradient_accumulation_steps * 2
            advice.append(
                f"lower per_device_train_batch_size (now {config.training.per_device_train_batch_size}) and raise "
                f"gradient_accumulation_steps (to {accumulation} for half of it)"
            )
        if not config.training.gradient_checkpointing:
            advice.append("write gradient_checkpointing: true")
        if config.model.quantization_bit is None:
            advice.append("write quantization_bit: 4")
        advice.append(f"lower cutoff_len (now {config.data.cutoff_len}) or image_max_pixels")
        return ", or ".join(advice)
