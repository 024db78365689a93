"""A training run from the configuration to the adapter, its log, its curves and its report.

What can be found wrong before the weights are read is. The run itself is `finetune.training.trainer`'s.
"""

import logging
import warnings
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finetune.config.schema import RESOLVED, FinetuneConfig, KeyMissing, ValueRefused
from finetune.data.configured import Data, NothingToLearn, frame_budget, list_left_out, read_data
from finetune.data.dataset import Broken
from finetune.output_files import whole_file
from finetune.training.arguments import arguments, choose_training_dtype, load_base
from finetune.training.best import in_words, last_evaluation, take_best
from finetune.training.checkpoints import checkpoints, clear_output, find_checkpoint, other_batches
from finetune.training.finish import report_on_run, save_end
from finetune.training.reporting.curves import check_drawing
from finetune.training.run import Run, Say
from finetune.training.trackers import following, trackers
from model.adapters import quiet_bitsandbytes

if TYPE_CHECKING:
    import torch

    from finetune.adapters.parameter_count import Parameters
    from finetune.training.trainer import AdapterTrainer


@dataclass(frozen=True)
class TrainResult:
    """The outcome of a run."""

    output_dir: Path
    """Holds the adapter if the run came to its end."""
    steps: int
    stopped: bool
    """Ended early, by Ctrl-C or a signal, with `checkpoint` to go on from."""
    checkpoint: Path | None
    metrics: dict[str, float]
    """train_loss, train_runtime, train_samples_per_second, eval_loss, ..."""
    parameters: "Parameters"
    broken: list[Broken]
    degraded: tuple[str, ...]
    last_loss: float | None = None
    """Of the last line of the log; `metrics` have the mean of all steps."""
    first_process: bool = True
    """Whether this one reports, of several that trained together."""


def train(config: FinetuneConfig, say: Say | None = None) -> TrainResult:
    """Train as the configuration says; blocks for as long as it takes.

    Raises:
        FinetuneError: Anything about configuration, data, a step or the disk.
        ModelError: The base, the adapter that is trained on, memory for them.
    """
    say = say or (lambda text: None)
    quiet_bitsandbytes()
    trackers(config)
    if config.training.stage == "dpo":
        from finetune.training.preferences.trainer import check_trl

        check_trl()
    if config.report.plot_loss:
        check_drawing()
    if not config.data.dataset:
        raise KeyMissing("dataset", "data/captions.csv")
    from finetune.training.fsdp import check_fsdp
    from finetune.training.preferences.pairs import spread
    from finetune.training.reporting.held_back_answers import measures_of_answers

    check_fsdp(
        config.model.quantization_bit, whole=config.adapter.is_whole, principal=config.adapter.pissa_init,
        answers=config.evaluation.predict_with_generate,
    )  # fmt: skip
    _check_own_folder(config)
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
    if checkpoint is not None and (note := other_batches(checkpoint, config)):
        say(note)
    data = spread(config, read_data(config))
    measures_of_answers(config, data.held_back)
    rows = "rows of pairs" if config.training.stage == "dpo" else "rows"
    say(f"{len(data.train):,} {rows} to learn, {len(data.held_back):,} held back, {len(data.broken):,} broken.")
    list_left_out(data.broken, say)
    with following(config, first=first) as callbacks:
        return _learn(_set_up(config, args, data, dtype, say), checkpoint, callbacks)


def _check_own_folder(config: FinetuneConfig) -> None:
    from model.hub import find_local

    output = config.training.output_dir.expanduser().resolve()
    if config.adapter.is_whole and find_local(config.model.model_name_or_path).resolve() == output:
        raise ValueRefused("output_dir", str(output), "it is the folder of the base model; choose another one")


def _may_overwrite(config: FinetuneConfig) -> bool:
    """Return whether a run in the folder may be dropped: resuming, what is there has no whole checkpoint."""
    return config.training.overwrite_output_dir or config.training.resume_from_checkpoint is True


def _set_up(config: FinetuneConfig, args: Any, data: Data, dtype: "torch.dtype", say: Say) -> Run:
    """Load the base, attach the adapter and prepare the rows; the resolved configuration is written."""
    loaded = load_base(config, dtype)
    from transformers import set_seed

    from finetune.adapters.attach import make_trainable
    from finetune.adapters.parameter_count import count_parameters
    from finetune.training.encoding import Encoder
    from finetune.training.invocation import check_invoked
    from finetune.training.prepare import prepare_all

    set_seed(config.training.seed)  # the adapter's first weights hang on it
    model = make_trainable(loaded.model, config, loaded.processor.tokenizer)
    parameters = count_parameters(model)
    say(f"{parameters}.")
    encoder = Encoder(
        loaded.processor,
        cutoff_len=config.data.cutoff_len,
        max_pixels=config.data.image_max_pixels,
        frames=frame_budget(config),
        mask_history=config.data.mask_history or config.training.stage == "dpo",
    )
    prepared, evaluated = prepare_all(config, data, encoder, model, args, say)
    if not prepared.rows:
        raise NothingToLearn(config.data.dataset, [*data.broken, *prepared.broken])
    if without := check_invoked(model, prepared.rows, loaded.processor.tokenizer):
        say(f"Degraded: {without:,} rows do not hold alora_invocation, and the activated LoRA learns nothing of them.")
    run = Run(config, args, loaded, model, encoder, data, prepared, evaluated, parameters, say)
    if run.is_first_process:
        with whole_file(run.output / RESOLVED) as part:
            part.write_text(config.to_yaml(), "utf-8")
    return run


def _learn(run: Run, checkpoint: Path | None, callbacks: list[Any]) -> TrainResult:
    """Train, evaluate, and write the adapter and its report, unless the training was stopped before its end."""
    from finetune.adapters.whole_model import hold_as_base
    from finetune.adapters.workarounds import uncast
    from finetune.training.callbacks import Bar, Lines, Stop, stopped_by_signals
    from finetune.training.denoising import denoise
    from finetune.training.reporting.meanwhile import Questions

    bar, stop, note, questions = Bar(run.say), Stop(), "", Questions(run)
    questions.ask_before()
    trainer = _trainer(run, [stop, Lines(run.output), bar, questions, *callbacks])
    try:
        autocast = (run.args.bf16 or run.args.fp16) and not trainer.is_fsdp_enabled
        with stopped_by_signals(stop, run.say), _Quiet(), uncast(run.model) if autocast else nullcontext():
            if checkpoint is None and run.config.training.denoising_steps:
                denoise(trainer, run.config.training.denoising_steps, run.say)
            trained = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    finally:
        bar.close()
    metrics = {name: float(value) for name, value in trained.metrics.items()}
    written = checkpoints(run.output)
    if not stop.stopped:
        if trainer.ended_early:
            run.say(
                f"Ended after step {trainer.state.global_step} of {trainer.state.max_steps}: "
                f"{in_words(run.config.evaluation, 'not lower', 'not higher')} for "
                f"{run.config.evaluation.early_stopping_steps} measurements."
            )
        note = take_best(trainer, run.say)
        if run.evaluated.rows:
            metrics |= last_evaluation(trainer)
        if run.config.adapter.is_whole:
            hold_as_base(run.model, run.loaded.dtype)
        save_end(trainer, run.output, metrics)
        if run.is_first_process:
            report_on_run(run, trainer, metrics, questions)
    degraded = (*run.prepared.degraded, *([note] if note else []))
    return TrainResult(
        run.output, trainer.state.global_step, stop.stopped, written[-1] if written else None, metrics, run.parameters,
        run.broken, degraded, _last_loss(trainer), run.is_first_process,
    )  # fmt: skip


def _last_loss(trainer: "AdapterTrainer") -> float | None:
    return next((float(line["loss"]) for line in reversed(trainer.state.log_history) if "loss" in line), None)


def _trainer(run: Run, callbacks: list[Any]) -> "AdapterTrainer":
    from transformers import PrinterCallback

    from finetune.training.batching import Items, Order
    from finetune.training.collate import Collator
    from finetune.training.preferences.pairs import pairs_of
    from finetune.training.prepare import Reopen
    from finetune.training.reporting.held_back_answers import HeldBackAnswers
    from finetune.training.trainer import AdapterTrainer
    from model.adapters.moe_lora import has_moe_lora
    from model.adapters.multiway import has_multiway

    options, prepared, evaluated = run.config.data, run.prepared, run.evaluated
    pairs = pairs_of(prepared.rows) if run.config.training.stage == "dpo" else []
    if run.config.training.stage == "dpo" and not pairs:
        raise NothingToLearn(run.config.data.dataset, run.broken)
    items = Items(
        prepared.rows,
        options.cutoff_len if options.packing else None,
        share_to=options.cutoff_len if options.share_pictures else None,
    )
    order = Order(
        [len(pair) for pair in pairs] or items.lengths,
        batch_size=run.args.per_device_train_batch_size * run.args.world_size,
        seed=run.config.training.seed,
        group_by_length=run.config.data.group_by_length,
    )
    collator = Collator(
        run.loaded.processor.tokenizer.pad_token_id,
        packing=options.packing,
        features=prepared.features if evaluated.features is not None or not evaluated.rows else None,
        # padding is not to count as the experts' work, and TRL counts the tokens by it
        attention_mask=bool(pairs) or has_moe_lora(run.model) or has_multiway(run.model),
        reopen=Reopen(run.encoder),
    )
    given = {"model": run.model, "args": run.args, "callbacks": callbacks}
    if pairs:
        from finetune.training.preferences.trainer import preference_trainer

        held_back = pairs_of(evaluated.rows)
        processor = run.loaded.processor
        trainer = preference_trainer(run.config, order, pairs, held_back, collator, processing_class=processor, **given)
    else:
        trainer = AdapterTrainer(
            run.config,
            order,
            data_collator=collator,
            train_dataset=items,
            eval_dataset=Items(evaluated.rows) if evaluated.rows else None,
            answers=HeldBackAnswers(run) if evaluated.rows and run.config.evaluation.predict_with_generate else None,
            **given,
        )
    trainer.remove_callback(PrinterCallback)  # it prints to stdout
    return trainer


class _Quiet(warnings.catch_warnings):
    """Keep the libraries' warnings out of the bar."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.simplefilter("ignore")
        logging.getLogger("transformers.trainer").setLevel(logging.ERROR)
        return entered
