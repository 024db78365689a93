"""A training run from the configuration to the adapter, its log, its curves and its report.

What can be found wrong before the weights are read is. The run itself is `finetune.training.trainer`'s.
"""

import logging
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.atomic_files import whole_file
from finetune.config.schema import RESOLVED, FinetuneConfig, KeyMissing
from finetune.data.configured import Data, NothingToLearn, list_left_out, read_data
from finetune.data.dataset import Broken
from finetune.training.arguments import arguments, choose_training_dtype, load_base
from finetune.training.checkpoints import checkpoints, clear_output, find_checkpoint
from finetune.training.curves import check_drawing
from finetune.training.finish import Say, save_end, tell
from finetune.training.trackers import following, trackers
from model.adapters import quiet_bitsandbytes

if TYPE_CHECKING:
    import torch

    from finetune.adapters.parameter_count import Parameters
    from finetune.training.encoding import Encoder
    from finetune.training.prepare import Prepared
    from model.qwen3_vl.load import Loaded


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
    from finetune.training.fsdp import check_fsdp

    check_fsdp(config.model.quantization_bit)
    dtype = choose_training_dtype(config)
    args = arguments(config, dtype)
    first = args.process_index == 0
    if not first:
        say = lambda text: None  # noqa: E731
    if config.model.fp16 and args.device.type == "cpu":
        say("Note: most processors take several times as long in float16; bf16: true is faster.")
    with args.main_process_first(local=False, desc="output"):
        checkpoint = find_checkpoint(config)
        if checkpoint is None and first:
            clear_output(Path(args.output_dir), overwrite=_may_overwrite(config))
    data = read_data(config)
    say(f"{len(data.train):,} rows to learn, {len(data.held_back):,} held back, {len(data.broken):,} broken.")
    list_left_out(data.broken, say)
    with following(config, first=first) as callbacks:
        return _learn(config, args, data, dtype, checkpoint, callbacks, say)


def _may_overwrite(config: FinetuneConfig) -> bool:
    """Say whether a run in the folder may be dropped: resuming, what is there has no whole checkpoint."""
    return config.training.overwrite_output_dir or config.training.resume_from_checkpoint is True


def _learn(
    config: FinetuneConfig,
    args: Any,
    data: Data,
    dtype: "torch.dtype",
    checkpoint: Path | None,
    callbacks: list[Any],
    say: Say,
) -> TrainResult:
    loaded = load_base(config, dtype)
    from transformers import set_seed

    from finetune.adapters.attach import attach_trainable_adapter
    from finetune.adapters.parameter_count import count_parameters
    from finetune.training.encoding import Encoder
    from finetune.training.invocation import check_invoked
    from finetune.training.prepare import prepare_all

    set_seed(config.training.seed)  # the adapter's first weights hang on it
    model = attach_trainable_adapter(loaded.model, config, loaded.processor.tokenizer)
    parameters = count_parameters(model)
    say(f"{parameters}.")
    encoder = Encoder(
        loaded.processor,
        cutoff_len=config.data.cutoff_len,
        max_pixels=config.data.image_max_pixels,
        mask_history=config.data.mask_history,
    )
    prepared, evaluated = prepare_all(config, data, encoder, model, args, say)
    if not prepared.rows:
        raise NothingToLearn(config.data.dataset, [*data.broken, *prepared.broken])
    if without := check_invoked(model, prepared.rows, loaded.processor.tokenizer):
        say(f"Degraded: {without:,} rows do not hold alora_invocation, and the activated LoRA learns nothing of them.")
    if args.process_index == 0:
        with whole_file(Path(args.output_dir) / RESOLVED) as part:
            part.write_text(config.to_yaml(), "utf-8")
    return _run(config, args, loaded, encoder, model, data, prepared, evaluated, checkpoint, callbacks, parameters, say)


def _run(
    config: FinetuneConfig,
    args: Any,
    loaded: "Loaded",
    encoder: "Encoder",
    model: Any,
    data: Data,
    prepared: "Prepared",
    evaluated: "Prepared",
    checkpoint: Path | None,
    callbacks: list[Any],
    parameters: "Parameters",
    say: Say,
) -> TrainResult:
    from transformers import PrinterCallback

    from finetune.adapters.workarounds import uncast
    from finetune.training.batching import Items, Order
    from finetune.training.callbacks import Bar, Lines, Stop, stopped_by_signals
    from finetune.training.collate import Collator
    from finetune.training.prepare import Reopen
    from finetune.training.trainer import AdapterTrainer
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
        group_by_length=config.data.group_by_length,
    )
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
        callbacks=[stop, Lines(output), bar, *callbacks],
    )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    try:
        autocast = (args.bf16 or args.fp16) and not trainer.is_fsdp_enabled
        with stopped_by_signals(stop, say), _Quiet(), uncast(model) if autocast else nullcontext():
            trained = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:
        bar.close()
    unusable = [*prepared.broken, *evaluated.broken]
    metrics = {name: float(value) for name, value in trained.metrics.items()}
    written = checkpoints(output)
    if not stop.stopped:
        if evaluated.rows:
            metrics |= {k: float(v) for k, v in trainer.evaluate().items() if isinstance(v, int | float)}
        save_end(trainer, output, metrics)
        if first:
            tell(config, loaded, trainer, data, prepared, unusable, metrics, parameters, say)
    return TrainResult(
        output, trainer.state.global_step, stop.stopped, written[-1] if written else None, metrics, parameters,
        [*data.broken, *unusable], prepared.degraded, first,
    )  # fmt: skip


class _Quiet(warnings.catch_warnings):
    """Keep the libraries' warnings out of the bar."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
        return entered
