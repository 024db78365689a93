"""The configuration in the words of transformers: number format, arguments of its Trainer, the base model.

It trains nothing and reads no rows.
"""

import warnings
from typing import TYPE_CHECKING, Any

from finetune.config.schema import FinetuneConfig
from finetune.errors import FinetuneError

if TYPE_CHECKING:
    import torch

    from model.qwen3_vl.load import Loaded


class HalfPrecisionRefused(FinetuneError):
    """float16 is asked for where nobody has trained in it."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"fp16 cannot be trained on {device!r}; write bf16: true, or leave both out.")


def choose_training_dtype(config: FinetuneConfig) -> "torch.dtype":
    """Return the dtype of base and arithmetic.

    Raises:
        HalfPrecisionRefused: fp16 on Apple's GPU.
    """
    import torch

    from model.device import choose_dtype, find_device
    from model.hub import TINY

    device = find_device()
    if config.model.fp16:
        if device.type not in ("cuda", "cpu"):
            raise HalfPrecisionRefused(device.type)
        return torch.float16
    if config.model.bf16 is not None:
        return torch.bfloat16 if config.model.bf16 else torch.float32
    chosen = choose_dtype(device, tiny=config.model.model_name_or_path == TINY)
    return torch.float32 if device.type == "mps" else chosen


def arguments(config: FinetuneConfig, dtype: "torch.dtype") -> Any:
    """Return transformers' form of the configuration; it finds the other processes, if there are any."""
    import torch
    from transformers import TrainingArguments

    from model.device import find_device

    training, evaluation, report = config.training, config.evaluation, config.report
    kind: Any = TrainingArguments
    own: dict[str, Any] = {}
    if training.stage == "dpo":
        from trl import DPOConfig

        # rows are cut by the encoder, and checkpointing is activation_checkpointing's
        own = {"beta": training.pref_beta, "loss_type": [training.pref_loss], "max_length": None}
        kind, own = DPOConfig, {**own, "gradient_checkpointing": False}
    more_is_better = evaluation.greater_is_better
    if more_is_better is None:
        more_is_better = not evaluation.decided_by_loss
    device = find_device()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(
            **own,
            output_dir=str(training.output_dir.expanduser()),
            per_device_train_batch_size=training.per_device_train_batch_size,
            per_device_eval_batch_size=evaluation.per_device_eval_batch_size,
            gradient_accumulation_steps=training.gradient_accumulation_steps,
            learning_rate=training.learning_rate,
            num_train_epochs=training.num_train_epochs,
            max_steps=training.max_steps,
            lr_scheduler_type=training.lr_scheduler_type,
            warmup_steps=training.warmup_steps or training.warmup_ratio,
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_grad_norm,
            optim=training.optim,
            adam_beta1=training.adam_beta1,
            adam_beta2=training.adam_beta2,
            adam_epsilon=training.adam_epsilon,
            data_seed=training.data_seed,
            activation_checkpointing=training.gradient_checkpointing,
            # the reentrant form loses the gradient of a mixture's load-balancing loss
            activation_checkpointing_kwargs={"use_reentrant": False} if training.gradient_checkpointing else None,
            save_strategy=training.save_strategy,
            save_steps=training.save_steps,
            save_only_model=training.save_only_model,
            seed=training.seed,
            ddp_timeout=training.ddp_timeout,
            ddp_find_unused_parameters=not config.model.freeze_vision_tower,
            eval_strategy=evaluation.eval_strategy,
            eval_steps=evaluation.eval_steps,
            metric_for_best_model=evaluation.metric_for_best_model if follows_best(config) else None,
            greater_is_better=more_is_better if follows_best(config) else None,
            logging_steps=report.logging_steps,
            logging_first_step=report.logging_first_step,
            logging_nan_inf_filter=False,  # our own check ends the run
            prediction_loss_only=True,
            remove_unused_columns=False,
            label_names=["labels"],
            dataloader_num_workers=config.data.dataloader_num_workers,
            dataloader_persistent_workers=config.data.dataloader_num_workers > 0,
            dataloader_pin_memory=device.type == "cuda",
            bf16=dtype == torch.bfloat16,
            fp16=dtype == torch.float16,
            use_cpu=device.type == "cpu",
            report_to="none",
            run_name=report.run_name or training.output_dir.name,
            disable_tqdm=True,
        )


def follows_best(config: FinetuneConfig) -> bool:
    """Return whether the best measurement of held-back rows decides anything."""
    evaluation = config.evaluation
    return evaluation.load_best_model_at_end or evaluation.early_stopping_steps is not None


def load_base(config: FinetuneConfig, dtype: "torch.dtype") -> "Loaded":
    """Load the base model and its processor.

    Raises:
        ModelError: As `model.qwen3_vl.load.load`.
    """
    from model.qwen3_vl.load import load
    from model.settings import ModelSettings

    quantization = {None: "none", 4: "nf4", 8: "int8"}[config.model.quantization_bit]
    settings = ModelSettings.model_validate({"model": config.model.model_name_or_path, "quantization": quantization})
    return load(settings, dtype=dtype)
