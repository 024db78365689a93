"""A training run from the configuration to the adapter, its log, its curves and its report.

What can be found wrong before the weights are read is. The run itself is `finetune.trainer`'s.
"""

import json
import logging
import os
import warnings
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.checkpoints import checkpoints, clear_output, find_checkpoint, told
from finetune.config import RESOLVED, FinetuneConfig, KeyMissing, ValueRefused
from finetune.curves import check_drawing, draw_curves
from finetune.data.dataset import Broken, Dataset, joined, read_dataset
from finetune.data.registry import INFO
from finetune.data.sample import Sample
from finetune.data.split import split_samples
from finetune.errors import FinetuneError
from finetune.trackers import follow, trackers
from model.adapters import quiet_bitsandbytes

if TYPE_CHECKING:
    import torch

    from finetune.preparation import Prepared
    from finetune.tuners import Parameters
    from model.load import Loaded

Say = Callable[[str], None]
"""Told in words what is done; the command line writes it to stderr."""
STATE = "trainer_state.json"


class NothingToLearn(FinetuneError):
    """No usable row; `broken` says why of each."""

    def __init__(self, datasets: tuple[str, ...], broken: list[Broken]) -> None:
        self.datasets, self.broken = datasets, broken
        first = f", the first of them {broken[0]}" if broken else ""
        super().__init__(
            f"There is no usable row in {', '.join(datasets)} ({len(broken)} are broken{first}); look at them with "
            "`lorgnette data check`."
        )


class HalfPrecisionNeedsGpu(FinetuneError):
    """float16 is asked for where nothing computes in it."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"fp16 cannot be trained on {device!r}; write bf16: true, or leave both out.")


class QuantizedSharding(FinetuneError):
    """A base of 4 or 8 bits under FSDP."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(
            f"FSDP cannot share out a base of {bits} bits; leave quantization_bit out, or launch without FSDP."
        )


@dataclass(frozen=True)
class TrainResult:
    """What came of a run."""

    output_dir: Path
    """Holds the adapter, where the run came to its end."""
    steps: int
    stopped: bool
    """Ended early, by Ctrl-C or a signal, with `checkpoint` to go on from."""
    checkpoint: Path | None
    metrics: dict[str, float]
    """train_loss, train_runtime, train_samples_per_second, eval_loss, ..."""
    parameters: "Parameters"
    broken: list[Broken]
    degraded: tuple[str, ...]
    first_process: bool = True
    """Of several that trained together, the one that tells of it."""


@dataclass(frozen=True)
class Data:
    """The samples of a run."""

    train: list[Sample]
    held_back: list[Sample]
    dataset: Dataset
    """All that was read for the training, held-back rows too."""


def train(config: FinetuneConfig, say: Say | None = None) -> TrainResult:
    """Train as the configuration says; blocks for as long as it takes.

    Raises:
        FinetuneError: Anything about configuration, data, a step or the disk.
        ModelError: The base, the adapter that is trained on, memory for them.
    """
    say = say or (lambda text: None)
    quiet_bitsandbytes()
    trackers(config)
    if config.report.plot_loss:
        check_drawing()
    if not config.data.dataset:
        raise KeyMissing("dataset", "data/captions.csv")
    dtype = choose_training_dtype(config)
    args = arguments(config, dtype)
    first = args.process_index == 0
    with args.main_process_first(local=False, desc="output"):
        checkpoint = find_checkpoint(config)
        if checkpoint is None and first:
            clear_output(Path(args.output_dir), overwrite=_may_overwrite(config))
    data = read_data(config)
    say(f"{len(data.train):,} rows to learn, {len(data.held_back):,} held back, {len(data.dataset.broken):,} broken.")
    loaded = load_base(config, dtype)
    from transformers import set_seed

    from finetune.tuners import count_parameters, wear

    set_seed(config.training.seed)  # the adapter's first weights hang on it
    model = wear(loaded.model, config, loaded.processor.tokenizer)
    parameters = count_parameters(model)
    say(f"{parameters}.")
    prepared, evaluated = _prepare(config, data, loaded, model, args, say)
    if not prepared.rows:
        raise NothingToLearn(config.data.dataset, [*data.dataset.broken, *prepared.broken])
    if first:
        (Path(args.output_dir) / RESOLVED).write_text(config.to_yaml(), "utf-8")
    return _run(config, args, loaded, model, data, prepared, evaluated, checkpoint, parameters, say)


def choose_training_dtype(config: FinetuneConfig) -> "torch.dtype":
    """Return the dtype of base and arithmetic.

    Raises:
        HalfPrecisionNeedsGpu: fp16 without one.
    """
    import torch

    from model.device import choose_dtype, find_device
    from model.hub import TINY

    device = find_device()
    if config.model.fp16:
        if device.type != "cuda":
            raise HalfPrecisionNeedsGpu(device.type)
        return torch.float16
    if config.model.bf16 is not None:
        return torch.bfloat16 if config.model.bf16 else torch.float32
    chosen = choose_dtype(device, tiny=config.model.model_name_or_path == TINY)
    return torch.float32 if device.type == "mps" else chosen


def arguments(config: FinetuneConfig, dtype: "torch.dtype") -> Any:
    """Return transformers' form of the configuration; it finds the other processes, where there are any."""
    import torch
    from transformers import TrainingArguments

    from model.device import find_device

    training, evaluation, report = config.training, config.evaluation, config.report
    device = find_device()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TrainingArguments(
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


def read_data(config: FinetuneConfig) -> Data:
    """Read the rows and hold some back, all rows about a picture or none.

    Raises:
        FinetuneError: As `read_dataset`, or nothing is left.
    """
    read = joined([_read(config, name) for name in config.data.dataset])
    if not read.samples:
        raise NothingToLearn(config.data.dataset, read.broken)
    evaluation = config.evaluation
    if evaluation.eval_dataset:
        held_back = joined([_read(config, name) for name in evaluation.eval_dataset]).samples
        return Data(read.samples, held_back, read)
    size = evaluation.val_size
    number = round(size * len(read.samples)) if size < 1 else int(size)
    if size and number < 1:
        number = 1
    if number >= len(read.samples):
        raise ValueRefused("val_size", size, f"there are only {len(read.samples)} rows, and some must be learned")
    if evaluation.eval_strategy != "no" and not number:
        raise ValueRefused("eval_strategy", evaluation.eval_strategy, "nothing is held back: set val_size as well")
    if not number:
        return Data(read.samples, [], read)
    split = split_samples(read.samples, val=number / len(read.samples), test=0, seed=config.training.seed)
    return Data(split.train, split.val, read)


def load_base(config: FinetuneConfig, dtype: "torch.dtype") -> "Loaded":
    """Load the base model and its processor.

    Raises:
        ModelError: As `model.load.load`.
        QuantizedSharding: 4 or 8 bits under FSDP.
    """
    from accelerate.utils import parse_flag_from_env

    from model.load import load
    from model.settings import ModelSettings

    bits = config.model.quantization_bit
    if bits is not None and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        raise QuantizedSharding(bits)
    quantization = {None: "none", 4: "nf4", 8: "int8"}[bits]
    settings = ModelSettings.model_validate({"model": config.model.model_name_or_path, "quantization": quantization})
    return load(settings, dtype=dtype)


def cache_folder(config: FinetuneConfig) -> Path:
    """Return where features are kept: as configured, or in the user's cache."""
    from platformdirs import user_cache_path

    chosen = config.data.vision_cache_dir
    return user_cache_path("lorgnette") / "vision" if chosen is None else chosen.expanduser()


def _may_overwrite(config: FinetuneConfig) -> bool:
    """Say whether a run in the folder may be dropped: resuming, what is there has no whole checkpoint."""
    return config.training.overwrite_output_dir or config.training.resume_from_checkpoint is True


def find_dataset(config: FinetuneConfig, name: str) -> Path:
    """Return the file that a name in `dataset` or `eval_dataset` means: as it stands, or in dataset_dir."""
    data = config.data
    path = Path(name).expanduser()
    if not path.exists() and ((data.dataset_dir / name).exists() or (data.dataset_dir / INFO).is_file()):
        path = data.dataset_dir / name
    return path


def _read(config: FinetuneConfig, name: str) -> Dataset:
    data = config.data
    return read_dataset(
        find_dataset(config, name),
        image_folder=data.media_dir,
        format=data.dataset_format,
        max_samples=data.max_samples,
    )


def _prepare(
    config: FinetuneConfig, data: Data, loaded: "Loaded", model: Any, args: Any, say: Say
) -> "tuple[Prepared, Prepared]":
    from tqdm import tqdm

    from finetune.features import GIB, FeatureCache, tower_key
    from finetune.preparation import prepare
    from finetune.rows import Encoder
    from finetune.tuners import sees_pictures_itself

    encoder = Encoder(
        loaded.processor,
        cutoff_len=config.data.cutoff_len,
        max_pixels=config.data.image_max_pixels,
        mask_history=config.data.mask_history,
    )
    base = model.get_base_model()
    trained_tower = sees_pictures_itself(model)
    # one process looks at the pictures, the others find what it kept
    with args.main_process_first(local=False, desc="preparation"):
        cache = None
        if config.data.vision_cache and not trained_tower:
            cache = FeatureCache(cache_folder(config), tower_key(base), int(config.data.vision_cache_gib * GIB))
        total = len(data.train) + len(data.held_back)
        with tqdm(total=total, desc="preparing", unit="row", disable=None if args.process_index == 0 else True) as bar:
            found = [
                prepare(
                    samples, encoder, base, cache=cache, workers=config.data.preprocessing_num_workers,
                    progress=lambda _: bar.update(),
                )
                for samples in (data.train, data.held_back)
            ]  # fmt: skip
    for note in dict.fromkeys(note for part in found for note in part.degraded):
        say(f"Degraded: {note}.")
    for row in [row for part in found for row in part.broken]:
        say(f"Left out: {row}.")
    return found[0], found[1]


def _run(
    config: FinetuneConfig,
    args: Any,
    loaded: "Loaded",
    model: Any,
    data: Data,
    prepared: "Prepared",
    evaluated: "Prepared",
    checkpoint: Path | None,
    parameters: "Parameters",
    say: Say,
) -> TrainResult:
    from transformers import PrinterCallback

    from finetune.batching import Items, Order
    from finetune.callbacks import Bar, Lines, Stop, stopped_by_signals
    from finetune.collate import Collator
    from finetune.preparation import Reopen
    from finetune.rows import Encoder
    from finetune.trainer import AdapterTrainer
    from finetune.tuners import uncast
    from model.adapters.moe_lora import has_moe_lora

    options = config.data
    items = Items(
        prepared.rows,
        options.cutoff_len if options.packing else None,
        share_to=options.cutoff_len if options.share_pictures else None,
    )
    order = Order(
        items.lengths,
        batch_size=args.per_device_train_batch_size * args.world_size,
        seed=config.training.seed,
        group_by_length=options.group_by_length,
    )
    encoder = Encoder(
        loaded.processor, cutoff_len=options.cutoff_len, max_pixels=options.image_max_pixels,
        mask_history=options.mask_history,
    )  # fmt: skip
    features = prepared.features if evaluated.features is not None or not evaluated.rows else None
    collator = Collator(
        loaded.processor.tokenizer.pad_token_id,
        packing=options.packing,
        features=features,
        attention_mask=has_moe_lora(model),  # padding is not to count as the experts' work
        reopen=Reopen(encoder),
    )
    bar, stop = Bar(), Stop()
    output = Path(args.output_dir)
    first = args.process_index == 0
    trainer = AdapterTrainer(
        config,
        order,
        model=model,
        args=args,
        data_collator=collator,
        train_dataset=items,
        eval_dataset=Items(evaluated.rows) if evaluated.rows else None,
        callbacks=[stop, Lines(output), bar, *follow(config, first=first)],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    try:
        autocast = (args.bf16 or args.fp16) and not trainer.is_fsdp_enabled
        with stopped_by_signals(stop, say), _Quiet(), uncast(model) if autocast else nullcontext():
            trained = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:
        bar.close()
    metrics = {name: float(value) for name, value in trained.metrics.items()}
    written = checkpoints(output)
    if not stop.stopped:
        if evaluated.rows:
            metrics |= {k: float(v) for k, v in trainer.evaluate().items() if isinstance(v, int | float)}
        _save_end(trainer, output, metrics)
        if first:
            _tell(config, loaded, trainer, data, prepared, metrics, parameters, say)
    return TrainResult(
        output, trainer.state.global_step, stop.stopped, written[-1] if written else None, metrics, parameters,
        [*data.dataset.broken, *prepared.broken, *evaluated.broken], prepared.degraded, first,
    )  # fmt: skip


def _save_end(trainer: Any, output: Path, metrics: dict[str, float]) -> None:
    """Write the trained adapter into the run's folder, each file whole or not at all."""
    from finetune.checkpoints import aside
    from finetune.trainer import save_adapter

    state = trainer.accelerator.get_state_dict(trainer.model) if trainer.is_fsdp_enabled else None
    if not trainer.args.should_save:
        return
    with told(output):
        place = aside(output) / "adapter"
        save_adapter(trainer.accelerator.unwrap_model(trainer.model), place, state)
        trainer.state.save_to_json(str(place / STATE))
        (place / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
        for path in sorted(place.iterdir(), key=lambda path: path.name == "adapter_config.json"):  # it comes last
            os.replace(path, output / path.name)
        aside(output)


def _tell(
    config: FinetuneConfig,
    loaded: "Loaded",
    trainer: Any,
    data: Data,
    prepared: "Prepared",
    metrics: dict[str, float],
    parameters: "Parameters",
    say: Say,
) -> None:
    from finetune.report import Told, write_report
    from finetune.show import answer_samples

    output = Path(trainer.args.output_dir)
    curves = draw_curves(output) if config.report.plot_loss else []
    shown = []
    if config.report.report_samples and not trainer.is_fsdp_enabled:
        say("Asking base and adapter the same questions for the report …")
        samples = (data.held_back or data.train)[: config.report.report_samples]
        model = trainer.accelerator.unwrap_model(trainer.model)
        shown = answer_samples(model, loaded.processor, samples, config)
    write_report(
        output / "report.html",
        Told(
            config, data.dataset, prepared.rows, prepared.broken, metrics, parameters, curves, shown, prepared.degraded
        ),
    )


class _Quiet(warnings.catch_warnings):
    """Keep the libraries' warnings out of the bar."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
        return entered
