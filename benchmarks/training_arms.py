"""One trainer in a process of its own, which does a step each time its parent says so; its parent is `training_speed`.

All trainers are given the same base, first weights, batches and optimizer, and keep their own way of everything else:
ours is `finetune.training.train.train` as the command line calls it, TRL's is SFTTrainer from the folder of the base,
and the plain one is transformers' Trainer with the collator that its documentation shows. It measures and judges
nothing but its own time and memory.
"""

import os
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from finetune.data.sample import Sample

MIB = 2**20


@dataclass(frozen=True)
class Job:
    """What one trainer is to do."""

    trainer: str
    """One of `TRAINERS`."""
    flags: tuple[str, ...]
    """Of the adapter, as `lorgnette finetune` takes them."""
    base: Path
    data: Path
    order: tuple[int, ...]
    """Row numbers of all steps, one batch behind the other."""
    batch: int
    """Rows."""
    sharing: int
    """Rows that ours puts behind one copy of their picture; 1 = each has its own."""
    learning_rate: float
    seed: int
    dtype: str
    """float32 or bfloat16."""
    checkpointing: bool
    out: Path
    cache: Path
    """Of our kept features."""
    first_weights: Path
    """Adapter folder: the one of ours writes it, the others begin with it."""

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.order) // self.batch

    @property
    def mixture(self) -> bool:
        """Whether its adapter is one of ours with a load-balancing loss."""
        return "--finetuning_type=moe_lora" in self.flags


class Clock:
    """Processor seconds of this process; on a GPU, which works beside it, seconds."""

    def __init__(self) -> None:
        import torch

        self._torch = torch if torch.cuda.is_available() else None

    def __call__(self) -> float:
        """Return the time."""
        if self._torch is None:
            return time.process_time()
        self._torch.cuda.synchronize()
        return time.perf_counter()


def work(job: Job, parent: "Connection", errors: Path) -> None:
    """Do the job in this process; send `{"ready": ...}`, `{"step": ...}` for each step, and `{"done": ...}`."""
    with errors.open("w") as file:  # libraries write where they like
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    import torch
    import transformers.trainer

    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    turns = _turns(job, parent)
    transformers.trainer.DEFAULT_CALLBACKS.append(turns)  # the one place that every Trainer looks at
    TRAINERS[job.trainer](job, turns)
    parent.send({"done": turns.losses, "peak_mib": turns.peak_mib})


def _turns(job: Job, parent: "Connection") -> Any:
    import torch
    from transformers import TrainerCallback

    class Turns(TrainerCallback):  # type: ignore[misc, unused-ignore]
        """Waits for its turn before each step, and times the step: the making of its batch, too."""

        def __init__(self) -> None:
            self.losses: list[float] = []
            self.peak_mib = 0.0
            self.clock = Clock()
            self.began = self.clock()

        def loaded(self) -> None:
            """Begin to count what is done once, before the first step: the weights are there."""
            self.began = self.clock()

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            if job.trainer == "ours":
                model.save_pretrained(str(job.first_weights), save_embedding_layers=False)
            _forget_peak()
            self._wait({"ready": self.clock() - self.began})

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._wait({"step": self.clock() - self.began})

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if logs and "loss" in logs:
                self.losses.append(float(logs["loss"]))

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            gpu = torch.cuda.is_available()
            self.peak_mib = torch.cuda.max_memory_allocated() / MIB if gpu else _peak_mib()

        def _wait(self, news: dict[str, float]) -> None:
            parent.send(news)
            parent.recv()
            self.began = self.clock()

    return Turns()


def train_ours(job: Job, turns: Any) -> None:
    """Train as `lorgnette finetune train` does."""
    from finetune.config.loading import load_config
    from finetune.training.train import train

    config = load_config(None, [
        f"--model_name_or_path={job.base}", f"--dataset={job.data}", f"--output_dir={job.out}", *job.flags,
        f"--vision_cache_dir={job.cache}", f"--bf16={job.dtype == 'bfloat16'}", f"--max_steps={job.steps}",
        f"--per_device_train_batch_size={job.batch // job.sharing}",
        f"--share_pictures={job.sharing > 1}", "--gradient_accumulation_steps=1", f"--seed={job.seed}",
        f"--learning_rate={job.learning_rate}", "--lr_scheduler_type=cosine", "--logging_steps=1",
        f"--gradient_checkpointing={job.checkpointing}", "--save_strategy=no", "--plot_loss=false",
        "--report_samples=0",
    ])  # fmt: skip

    def say(text: str) -> None:
        if "parameters are trained" in text:
            turns.loaded()

    train(config, say)


def train_trl(job: Job, turns: Any) -> None:
    """Train with SFTTrainer, its settings those of the others where they have them, else its defaults.

    Of the assistant's words alone, as the others do: with prompt and completion, its usual way, the line break behind
    the answer is learned, too.
    """
    from datasets import Dataset, Image
    from peft import load_peft_weights, set_peft_model_state_dict
    from trl import SFTConfig, SFTTrainer

    from model.qwen3_vl.processor import ImageTextProcessor

    rows = [
        {
            "messages": [{"role": m.role, "content": m.text} for m in sample.messages],
            "images": [str(path) for path in sample.pictures],
        }
        for sample in _samples(job)
    ]
    config = SFTConfig(
        **_arguments(job),
        train_sampling_strategy="sequential",
        assistant_only_loss=True,
        model_init_kwargs={"dtype": job.dtype},
    )
    trainer = _with_balance(SFTTrainer, job)(
        model=str(job.base),
        args=config,
        train_dataset=Dataset.from_list(rows).cast_column("images", [Image()]),
        processing_class=ImageTextProcessor.from_pretrained(job.base),
        peft_config=_peft_config(job),
    )
    set_peft_model_state_dict(trainer.model, load_peft_weights(str(job.first_weights), device="cpu"))
    turns.loaded()
    trainer.train()


def train_plainly(job: Job, turns: Any) -> None:
    """Train with transformers' Trainer and nothing else."""
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, Trainer, TrainingArguments

    from finetune.data.chat_messages import messages_of
    from model.adapters import register_tuners
    from model.qwen3_vl.processor import ImageTextProcessor

    register_tuners()
    processor = ImageTextProcessor.from_pretrained(job.base)
    base = AutoModelForImageTextToText.from_pretrained(job.base, dtype=job.dtype)
    model = PeftModel.from_pretrained(base, str(job.first_weights), is_trainable=True)

    def collate(samples: "Sequence[Sample]") -> Any:
        batch = processor.apply_chat_template(
            [messages_of(sample) for sample in samples],
            tokenize=True, return_dict=True, return_tensors="pt", return_assistant_tokens_mask=True,
            processor_kwargs={"padding": True, "padding_side": "right"},
        )  # fmt: skip
        answers = batch.pop("assistant_masks")
        batch["labels"] = batch["input_ids"].masked_fill(answers == 0, -100)
        return batch

    arguments = TrainingArguments(
        **_arguments(job), train_sampling_strategy="sequential", remove_unused_columns=False, label_names=["labels"]
    )
    trainer = _with_balance(Trainer, job)(
        model=model, args=arguments, train_dataset=_samples(job), data_collator=collate
    )
    turns.loaded()
    trainer.train()


TRAINERS = {"ours": train_ours, "TRL": train_trl, "transformers": train_plainly}


def _arguments(job: Job) -> dict[str, Any]:
    """Return what the others are told; the rest is as they have it by default."""
    import torch

    return {
        "output_dir": str(job.out), "max_steps": job.steps, "per_device_train_batch_size": job.batch,
        "learning_rate": job.learning_rate, "lr_scheduler_type": "cosine", "optim": "adamw_torch",
        "logging_steps": 1, "gradient_checkpointing": job.checkpointing, "bf16": job.dtype == "bfloat16",
        "use_cpu": not torch.cuda.is_available(), "dataloader_pin_memory": torch.cuda.is_available(),
        "save_strategy": "no", "report_to": "none", "disable_tqdm": True, "seed": job.seed,
    }  # fmt: skip


def _samples(job: Job) -> "list[Sample]":
    from finetune.data.dataset import read_dataset

    samples = read_dataset(job.data).samples
    return [samples[number] for number in job.order]


def _peft_config(job: Job) -> Any:
    from finetune.adapters.peft_config import build_peft_config
    from finetune.config.loading import load_config

    config = load_config(None, list(job.flags))
    return build_peft_config(config.adapter, config.model)


def _with_balance(trainer: Any, job: Job) -> Any:
    """Return the trainer class, with a mixture's load-balancing loss added to its own as ours does."""
    if not job.mixture:
        return trainer
    from model.adapters.moe_lora import aux_loss

    class Balanced(trainer):  # type: ignore[misc, unused-ignore]
        def compute_loss(self, model: Any, inputs: Any, *args: Any, **options: Any) -> Any:
            return super().compute_loss(model, inputs, *args, **options) + aux_loss(model)

    return Balanced


def _forget_peak() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    elif sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def _peak_mib() -> float:
    """Return the most memory that the process held, on Linux since `_forget_peak`."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)
