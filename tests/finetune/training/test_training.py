"""Whole runs on the bundled checkpoint: what they leave behind, how they end, and how they go on."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from finetune.config.loading import load_config
from finetune.config.schema import FinetuneConfig, KeyMissing, ValueRefused
from finetune.data.chat_messages import messages_of
from finetune.data.configured import NothingToLearn, read_data
from finetune.data.drawn.scene_rows import write_scenes
from finetune.training.callbacks import Stop
from finetune.training.checkpoints import (
    CheckpointBroken,
    CheckpointNotSaved,
    OutputNotEmpty,
    ResumeMismatch,
    checkpoints,
    commit,
    translating,
    what_is_broken,
)
from finetune.training.encoding import Encoder
from finetune.training.fsdp import AnswersSharded, OldSharding, PrincipalSharded, QuantizedSharding
from finetune.training.reporting.log import read_log
from finetune.training.train import train
from finetune.training.trainer import AdapterTrainer, GradientNotFinite, LossNotFinite, OutOfMemory, share_right
from model.adapters.attach import AdapterMismatch
from model.device import is_out_of_memory
from model.hub import MissingExtra
from model.qwen3_vl.load import load
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
WEIGHTS = "adapter_model.safetensors"


def losses(folder: Path) -> list[float]:
    return [line["loss"] for line in read_log(folder / "train_log.jsonl") if "loss" in line]


def test_a_run_learns_and_leaves_adapter_log_curves_and_report(quick: Quick) -> None:
    config = quick("--max_steps=12", "--plot_loss=true", "--report_samples=1", "--report_max_new_tokens=8",
                   "--val_size=2", "--per_device_eval_batch_size=2", "--report_to=tensorboard")  # fmt: skip
    result = train(config)
    folder = result.output_dir
    assert losses(folder)[-1] < 0.8 * losses(folder)[0]
    assert result.steps == 12 and not result.stopped and "eval_loss" in result.metrics
    assert (folder / "loss.png").stat().st_size > 1000 and list((folder / "tensorboard").iterdir())
    page = (folder / "report.html").read_text("utf-8")
    assert page.count("data:image/png;base64,") == 3 and "data:image/jpeg;base64," in page
    assert "lora_rank: 4" in page and "<b>" not in page and 'src="/' not in page
    assert json.loads((folder / "adapter_config.json").read_text("utf-8"))["base_model_name_or_path"] == "tiny"
    adapted = load(ModelSettings(model="tiny", adapter=folder))
    assert adapted.adapter == str(folder)
    assert not (folder / ".saving").exists()
    # who may read the configuration may read the weights: a server often is another user
    assert (folder / WEIGHTS).stat().st_mode == (folder / "adapter_config.json").stat().st_mode


def test_the_report_shows_answers_to_rows_that_can_be_asked(quick: Quick, discs: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    cut.write_bytes((discs.parent / "0.png").read_bytes()[:200])
    rows = discs.read_text("utf-8").splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([rows[0], f"{cut},never seen", *rows[1:4]]) + "\n", "utf-8")
    result = train(quick(
        f"--dataset={tmp_path / 'rows.csv'}", f"--media_dir={discs.parent}", "--max_steps=1", "--bf16=true",
        "--report_samples=2", "--report_max_new_tokens=2",
    ))  # fmt: skip
    assert [str(broken.origin) for broken in result.broken] == ["rows.csv:2"]
    page = (result.output_dir / "report.html").read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 2 and "this is one red disc" in page and "never seen" not in page


@pytest.mark.parametrize(
    "kind",
    [
        "moe_lora",
        "multiway",
        pytest.param("alora", marks=pytest.mark.slow),
        pytest.param("ia3", marks=pytest.mark.slow),
    ],
)
def test_every_tuner_trains_and_is_in_use(quick: Quick, kind: str) -> None:
    config = quick(f"--finetuning_type={kind}", "--num_experts=4", "--top_k=2", "--max_steps=6")
    result = train(config)
    first, *rest = losses(result.output_dir)
    assert min(rest) < first, "of other rows each, so that not every one is lower"
    load(ModelSettings(model="tiny", adapter=result.output_dir))
    if kind == "moe_lora":
        line = read_log(result.output_dir / "train_log.jsonl")[0]
        assert 0.009 < line["aux_loss"] < 0.02, "even use costs the coefficient a layer"
        assert 0.7 < line["expert_entropy"] <= 1
        assert all(sum(shares) == pytest.approx(1) for shares in line["expert_usage"].values())


SMALL = (
    "--finetuning_type=multiway", "--num_multiway_layers=1", "--num_fusion_layers=1", "--num_experts=3", "--top_k=2",
    "--expert_size=16", "--shared_expert_size=16", "--fusion_size=32", "--attention_heads=2", "--attention_head_dim=16",
    "--attention_rope_dim=16", "--q_rank=16", "--kv_rank=16",
)  # fmt: skip


def test_multiway_learns_through_the_frozen_decoder_after_a_warm_up_that_leaves_its_gate_shut(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    gates: list[float] = []
    began = AdapterTrainer.train

    def spied(self: AdapterTrainer, *args: Any, **options: Any) -> Any:
        gates.extend(p.abs().max().item() for name, p in self.model.named_parameters() if name.endswith(".gate"))
        return began(self, *args, **options)

    monkeypatch.setattr(AdapterTrainer, "train", spied)
    result = train(quick(*SMALL, "--denoising_steps=12", "--max_steps=8", "--packing=true"), say=said.append)
    assert gates == [0.0]
    told = next(line for line in said if line.startswith("Denoising"))
    first, last = (float(word) for word in re.findall(r"\d+\.\d+", told))
    assert last < first
    assert losses(result.output_dir)[-1] < losses(result.output_dir)[0]
    line = read_log(result.output_dir / "train_log.jsonl")[-2]
    assert set(line["expert_usage"]) == {"0.text", "0.vision"} and 0 < line["expert_entropy"] <= 1


@pytest.mark.parametrize(
    "options",
    [
        ("--packing=true", "--cutoff_len=128"),
        pytest.param(("--gradient_accumulation_steps=2",), marks=pytest.mark.slow),
        (*SMALL, "--balance_rate=0.1"),
    ],
)
def test_resuming_in_the_middle_comes_to_the_same_steps_losses_and_weights(
    quick: Quick, tmp_path: Path, options: tuple[str, ...]
) -> None:
    common = (*options, "--max_steps=8", "--save_strategy=steps", "--save_steps=4", "--lora_dropout=0.1",
              "--per_device_train_batch_size=2")  # fmt: skip
    whole = train(quick(*common)).output_dir
    again = tmp_path / "again"
    shutil.copytree(whole, again)
    shutil.rmtree(again / "checkpoint-8")
    (again / WEIGHTS).unlink()
    result = train(quick(*common, f"--output_dir={again}", "--resume_from_checkpoint=true"))
    assert result.steps == 8
    assert losses(again) == losses(whole) and len(losses(again)) == 8
    first, second = (load_file(folder / WEIGHTS) for folder in (whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def measure(trainer: AdapterTrainer, loss: float, name: str = "eval_loss") -> dict[str, float]:
    """What an evaluation does, with a loss that is given."""
    logs = {"eval_loss": 1.0, name: loss}
    trainer.log(logs)
    trainer.control = trainer.callback_handler.on_evaluate(trainer.args, trainer.state, trainer.control, logs)
    return logs


def test_the_best_checkpoint_is_kept_beside_the_newest_and_its_weights_are_shipped(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    measured = iter([3.0, 1.0, 2.0, 4.0])
    asked: list[int] = []

    def evaluate(self: AdapterTrainer, *args: Any, **options: Any) -> dict[str, float]:
        asked.append(self.state.global_step)
        return measure(self, next(measured))

    monkeypatch.setattr(AdapterTrainer, "evaluate", evaluate)
    flags = ("--val_size=2", "--eval_strategy=steps", "--eval_steps=1", "--save_strategy=steps", "--save_total_limit=1")
    result = train(quick(*flags, "--load_best_model_at_end=true", "--max_steps=4"), say=said.append)
    assert [path.name for path in checkpoints(result.output_dir)] == ["checkpoint-2", "checkpoint-4"]
    best, shipped = (load_file(folder / WEIGHTS) for folder in (result.output_dir / "checkpoint-2", result.output_dir))
    assert all(torch.equal(best[name], shipped[name]) for name in best)
    assert result.metrics["eval_loss"] == 1.0 and asked == [1, 2, 3, 4], "what was measured is not measured again"
    assert any("weights of step 2 are kept" in line for line in said)


def test_a_run_ends_early_where_nothing_is_better_and_says_so(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    measured = iter([3.0, 2.0, 2.5, 2.0, 9.0])

    def evaluate(self: AdapterTrainer, *args: Any, **options: Any) -> dict[str, float]:
        return measure(self, next(measured))

    monkeypatch.setattr(AdapterTrainer, "evaluate", evaluate)
    flags = ("--val_size=2", "--eval_strategy=steps", "--eval_steps=1", "--early_stopping_steps=2", "--max_steps=9")
    result = train(quick(*flags), say=said.append)
    assert result.steps == 4 and not result.stopped and result.metrics["eval_loss"] == 2.0
    assert any("Ended after step 4 of 9" in line for line in said)


def test_what_is_named_decides_which_weights_are_the_best_and_when_the_run_ends(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    measured = iter([0.2, 0.7, 0.5, 0.7, 0.9])

    def evaluate(self: AdapterTrainer, *args: Any, **options: Any) -> dict[str, float]:
        return measure(self, next(measured), "eval_accuracy")

    monkeypatch.setattr(AdapterTrainer, "evaluate", evaluate)
    flags = ("--val_size=2", "--eval_strategy=steps", "--eval_steps=1", "--save_strategy=steps", "--max_steps=9",
             "--compute_accuracy=true", "--metric_for_best_model=accuracy")  # fmt: skip
    result = train(quick(*flags, "--load_best_model_at_end=true", "--early_stopping_steps=2"), say=said.append)
    assert result.steps == 4 and result.metrics["eval_accuracy"] == 0.7
    assert "The weights of step 2 are kept: eval_accuracy on held-back rows was highest there." in said
    assert any(line.endswith("eval_accuracy on held-back rows was not higher for 2 measurements.") for line in said)


def test_accuracy_and_answers_of_held_back_rows_are_what_a_pass_over_each_row_gives(quick: Quick) -> None:
    config = quick("--val_size=6", "--eval_strategy=epoch", "--per_device_eval_batch_size=2", "--max_steps=16",
                   "--compute_accuracy=true", "--predict_with_generate=true", "--report_max_new_tokens=8")  # fmt: skip
    result = train(config)
    loaded = load(ModelSettings(model="tiny", adapter=result.output_dir), dtype=torch.float32)
    encoder = Encoder(loaded.processor, cutoff_len=2048, max_pixels=None, mask_history=False)
    held_back = read_data(config).held_back
    shares, exact = [], []
    for sample in held_back:
        row = encoder(sample)
        inputs = encode(loaded.processor, messages_of(sample), add_generation_prompt=False)
        with torch.no_grad():
            guessed = loaded.model(**inputs).logits[0, :-1].argmax(-1)
        labels = torch.from_numpy(row.labels).long()[1:]
        shares.append((guessed == labels)[labels != -100].float().mean().item())
        asked = encode(loaded.processor, messages_of(replace(sample, messages=sample.messages[:-1])))
        loaded.model.get_base_model().model.rope_deltas = None
        written = loaded.model.generate(**asked, max_new_tokens=8, do_sample=False)
        answer = loaded.processor.tokenizer.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
        exact.append(100.0 * (answer.strip() == sample.answer))
    assert result.metrics["eval_accuracy"] == pytest.approx(sum(shares) / len(shares), abs=1e-6)
    assert 0 < result.metrics["eval_accuracy"] <= 1
    assert result.metrics["eval_exact"] == pytest.approx(sum(exact) / len(exact))


def test_the_share_of_right_tokens_counts_every_row_alike() -> None:
    logits = torch.eye(4)[[0, 1, 2, 3, 3]][None]  # likeliest tokens 0 1 2 3 3
    kept = torch.tensor([[True, True, True, True], [False, True, False, False]])
    assert share_right(logits, torch.tensor([0, 1, 2, 0, 3]), kept).tolist() == [0.75, 1.0]


def test_a_measure_that_fits_no_held_back_row_is_refused_before_weights_are_read(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finetune.training.train.load_base", lambda *_: pytest.fail("weights were read"))
    flags = ("--val_size=2", "--eval_strategy=steps", "--predict_with_generate=true", "--save_strategy=steps")
    with pytest.raises(ValueRefused, match=r"fits no row that is held back .* write one of exact"):
        train(quick(*flags, "--load_best_model_at_end=true", "--metric_for_best_model=box-iou"))


@pytest.mark.slow
def test_a_best_checkpoint_that_was_deleted_leaves_the_last_weights_and_a_note(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune.training.best import take_best

    def deleted(trainer: AdapterTrainer, say: Any) -> str:
        best = trainer.best_checkpoint()
        assert best is not None
        shutil.rmtree(best)
        return take_best(trainer, say)

    monkeypatch.setattr("finetune.training.train.take_best", deleted)
    result = train(quick("--val_size=2", "--eval_strategy=steps", "--eval_steps=1", "--save_strategy=steps",
                         "--load_best_model_at_end=true", "--max_steps=2"))  # fmt: skip
    assert any("was deleted" in note for note in result.degraded)
    assert (result.output_dir / WEIGHTS).is_file() and "eval_loss" in result.metrics


@pytest.mark.slow
def test_lora_plus_lets_b_learn_faster_than_a(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    rates: dict[str, float] = {}
    made = AdapterTrainer.create_optimizer

    def spied(self: AdapterTrainer, *args: Any, **options: Any) -> Any:
        optimizer = made(self, *args, **options)
        names = {id(parameter): name for name, parameter in self.model.named_parameters()}
        rates.update({names[id(p)]: group["lr"] for group in optimizer.param_groups for p in group["params"]})
        return optimizer

    monkeypatch.setattr(AdapterTrainer, "create_optimizer", spied)
    train(quick("--loraplus_lr_ratio=16", "--max_steps=1", "--learning_rate=1e-3"))
    assert {rate for name, rate in rates.items() if "lora_A" in name} == {1e-3}
    assert {rate for name, rate in rates.items() if "lora_B" in name} == {0.016}


def test_without_a_terminal_progress_comes_in_lines(quick: Quick) -> None:
    said: list[str] = []
    result = train(quick("--max_steps=2"), say=said.append)
    assert [line.partition(":")[0] for line in said if line.startswith("step ")] == ["step 1 of 2", "step 2 of 2"]
    assert result.last_loss == losses(result.output_dir)[-1]


def test_a_stop_leaves_a_checkpoint_from_which_the_run_goes_on(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    began = Stop.on_step_end

    def asked(self: Stop, args: object, state: object, control: object, **more: object) -> object:
        if getattr(state, "global_step", 0) == 2:
            self.asked.set()
        return began(self, args, state, control, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Stop, "on_step_end", asked)
        stopped = train(quick())
    assert stopped.stopped and stopped.steps == 2 and stopped.checkpoint is not None
    assert what_is_broken(stopped.checkpoint) is None and not (stopped.output_dir / WEIGHTS).exists()
    said: list[str] = []
    more = ("--resume_from_checkpoint=true", "--per_device_train_batch_size=2")
    assert train(quick(*more), say=said.append).steps == 4
    assert any("counted by the new number, 4 rows and not 8: some rows of this epoch are seen again" in s for s in said)


def test_a_loss_that_is_no_number_ends_the_run_and_names_the_step(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = AdapterTrainer.compute_loss

    def broken(self: AdapterTrainer, *args: Any, **more: Any) -> Any:
        loss = computed(self, *args, **more)
        return loss * float("nan") if self.state.global_step == 2 else loss

    monkeypatch.setattr(AdapterTrainer, "compute_loss", broken)
    with pytest.raises(LossNotFinite, match=r"The loss of step 3 is nan.*lower learning_rate.*checkpoint-2") as caught:
        train(quick("--save_strategy=steps", "--save_steps=2"))
    assert caught.value.step == 3


def test_a_gradient_that_explodes_ends_the_run_before_it_is_learned(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = AdapterTrainer.compute_loss

    def steep(self: AdapterTrainer, *args: Any, **more: Any) -> Any:
        loss = computed(self, *args, **more)
        return loss + (loss - loss.detach()) * 1e38 * 1e4  # the value stays, the slope not

    monkeypatch.setattr(AdapterTrainer, "compute_loss", steep)
    with pytest.raises((GradientNotFinite, LossNotFinite), match="step 1"):
        train(quick())


def test_want_of_memory_says_what_to_lower(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: AdapterTrainer, *args: object, **more: object) -> object:
        return torch.empty(2**60)

    monkeypatch.setattr(AdapterTrainer, "compute_loss", full)
    with pytest.raises(OutOfMemory, match=r"Step 1 .*per_device_train_batch_size \(now 4\).*gradient_checkpointing"):
        train(quick())
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_what_cannot_work_is_refused_before_the_weights_are_read(quick: Quick, tmp_path: Path) -> None:
    with pytest.raises(KeyMissing, match="dataset"):
        train(quick("--dataset=none"))
    with pytest.raises(ValueRefused, match="only 16 rows"):
        train(quick("--val_size=16"))
    with pytest.raises(ValueRefused, match="set val_size"):
        train(quick("--eval_strategy=epoch"))
    empty = tmp_path / "empty.csv"
    empty.write_text("image_path,caption\nnothing.png,a disc\n", "utf-8")
    with pytest.raises(NothingToLearn, match=r"1 are broken, the first of them empty.csv:2"):
        train(quick(f"--dataset={empty}"))


def test_curves_that_cannot_be_drawn_are_said_before_the_training(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"lorgnette\[finetune\]"):
        train(quick("--plot_loss=true"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_a_run_is_not_written_over(quick: Quick) -> None:
    folder = train(quick("--max_steps=1", "--save_strategy=steps")).output_dir
    with pytest.raises(OutputNotEmpty, match="overwrite_output_dir: true"):
        train(quick("--max_steps=1"))
    train(quick("--max_steps=1", "--overwrite_output_dir=true"))
    assert not checkpoints(folder), "those of the old run are gone"


def test_only_whole_checkpoints_of_the_same_adapter_are_gone_on_from(quick: Quick) -> None:
    saving = ("--save_strategy=steps", "--save_steps=2")
    folder = train(quick(*saving)).output_dir
    (folder / "checkpoint-4" / WEIGHTS).write_bytes(b"cut off")
    with pytest.raises(CheckpointBroken, match=r"safetensors.*checkpoint-2"):
        train(quick(*saving, f"--resume_from_checkpoint={folder / 'checkpoint-4'}"))
    with pytest.raises(ResumeMismatch, match=r"lora_rank: 4, and the configuration says 8"):
        train(quick(*saving, "--resume_from_checkpoint=true", "--lora_rank=8"))
    assert train(quick(*saving, "--resume_from_checkpoint=true")).steps == 4, "from checkpoint-2"


def test_what_a_kill_left_half_written_is_no_checkpoint(quick: Quick) -> None:
    saving = ("--save_strategy=steps", "--save_steps=2")
    folder = train(quick(*saving)).output_dir
    half = folder / ".saving" / "checkpoint-6"
    half.mkdir(parents=True)
    (half / WEIGHTS).write_bytes(b"half")
    assert [path.name for path in checkpoints(folder)] == ["checkpoint-2", "checkpoint-4"]
    train(quick(*saving, "--resume_from_checkpoint=true", "--max_steps=6"))
    assert [path.name for path in checkpoints(folder)] == ["checkpoint-2", "checkpoint-4", "checkpoint-6"]
    assert what_is_broken(folder / "checkpoint-6") is None and not half.exists()


def test_a_checkpoint_takes_the_place_of_an_older_one_whole(tmp_path: Path) -> None:
    for text in ("old", "new"):
        place = tmp_path / ".saving" / "checkpoint-1"
        place.mkdir(parents=True)
        (place / "state").write_text(text, "utf-8")
        commit(place, tmp_path)
    assert (tmp_path / "checkpoint-1" / "state").read_text("utf-8") == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".saving", "checkpoint-1"]


def test_a_full_disk_is_called_so_and_nothing_half_written_stays(tmp_path: Path) -> None:
    (tmp_path / ".saving" / "checkpoint-1").mkdir(parents=True)
    with (
        pytest.raises(CheckpointNotSaved, match="the disk is full; no checkpoint was written yet"),
        translating(tmp_path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="limits of a file's size are POSIX's")
def test_a_disk_that_takes_no_more_is_told_and_the_checkpoint_before_is_whole(quick: Quick, tmp_path: Path) -> None:
    folder = train(quick("--save_strategy=steps", "--save_steps=2", "--max_steps=2")).output_dir
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from finetune.config.loading import load_config; from finetune.training.train import train\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "import finetune.training.trainer as t; saved = t.AdapterTrainer._save_checkpoint\n"
        "def full(self, *a, **k):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000)); return saved(self, *a, **k)\n"
        "t.AdapterTrainer._save_checkpoint = full\n"
        "train(load_config(Path(sys.argv[1])))\n"
    )
    file = tmp_path / "more.yaml"
    file.write_text(
        quick("--save_strategy=steps", "--save_steps=2", "--resume_from_checkpoint=true").to_yaml(), "utf-8"
    )
    run = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert run.returncode != 0
    said = run.stderr.strip().splitlines()[-1]
    assert CheckpointNotSaved.__name__ in said and "checkpoint-2" in said and "resume_from_checkpoint" in said
    assert [path.name for path in checkpoints(folder)] == ["checkpoint-2"]
    assert what_is_broken(folder / "checkpoint-2") is None and not (folder / ".saving").exists()


def test_an_adapter_is_trained_on_and_one_of_another_base_is_refused(quick: Quick, tmp_path: Path) -> None:
    folder = train(quick("--max_steps=8")).output_dir
    more = train(
        quick(f"--adapter_name_or_path={folder}", f"--output_dir={tmp_path / 'more'}", "--max_steps=2")
    ).output_dir
    assert losses(more)[0] < losses(folder)[0] - 1, "the first batch is the same"
    foreign = tmp_path / "foreign"
    shutil.copytree(folder, foreign)
    tensors = load_file(foreign / WEIGHTS)
    save_file({name: tensor[:, :-1].contiguous() for name, tensor in tensors.items()}, foreign / WEIGHTS)
    with pytest.raises(AdapterMismatch, match="does not fit"):
        train(quick(f"--adapter_name_or_path={foreign}", f"--output_dir={tmp_path / 'never'}"))


def test_an_opened_tower_is_trained_and_its_features_are_not_kept(quick: Quick, tmp_path: Path) -> None:
    result = train(quick("--freeze_vision_tower=false", "--max_steps=2"))
    assert not (tmp_path / "cache").exists()
    names = load_file(result.output_dir / WEIGHTS)
    trained = [name for name in names if ".visual.blocks." in name and "lora_B" in name]
    assert trained and any(names[name].abs().max() > 0 for name in trained)


@pytest.mark.parametrize("kind", [("--lora_rank=4",), pytest.param(SMALL, marks=pytest.mark.slow)])
def test_checkpointing_and_bfloat16_and_four_bits_train(quick: Quick, tmp_path: Path, kind: tuple[str, ...]) -> None:
    plain = losses(train(quick(*kind, "--max_steps=2")).output_dir)
    less = train(quick(*kind, "--max_steps=2", "--gradient_checkpointing=true", f"--output_dir={tmp_path / 'less'}"))
    assert losses(less.output_dir) == pytest.approx(plain, rel=1e-5)
    folder = tmp_path / "small"
    small = train(quick(*kind, "--max_steps=4", "--quantization_bit=4", "--bf16=true", f"--output_dir={folder}"))
    found = losses(small.output_dir)
    assert found[-1] < found[0] and found[0] == pytest.approx(plain[0], rel=0.2)


LAUNCHED = (
    "import sys; from pathlib import Path\n"
    "from finetune.config.loading import load_config; from finetune.training.train import train\n"
    "train(load_config(Path(sys.argv[1])))\n"
)


def launched(folder: Path, config: FinetuneConfig, *options: str) -> "subprocess.CompletedProcess[str]":
    """Train in two processes on this CPU."""
    script, file = folder / "launched.py", folder / "launched.yaml"
    script.write_text(LAUNCHED, "utf-8")
    file.write_text(config.to_yaml(), "utf-8")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_processes", "2", "--num_machines",
               "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0", *options,
               str(script), str(file)]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


def launch(folder: Path, config: FinetuneConfig, *options: str) -> Path:
    """Train in two processes to the end; return where the adapter is."""
    run = launched(folder, config, *options)
    assert run.returncode == 0, run.stderr[-3000:]
    return config.training.output_dir


FSDP = ("--use_fsdp", "--fsdp_version", "2")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lora", "moe_lora"])
@pytest.mark.parametrize("how", [("--multi_gpu",), FSDP], ids=["ddp", "fsdp"])
def test_two_processes_learn_what_one_does(quick: Quick, tmp_path: Path, kind: str, how: tuple[str, ...]) -> None:
    common = (f"--finetuning_type={kind}", "--router_aux_loss_coef=0")
    alone = train(quick(*common)).output_dir
    both = quick(*common, "--per_device_train_batch_size=2", f"--output_dir={tmp_path / 'both'}")
    together = launch(tmp_path, both, *how)
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    wanted, found = load_file(alone / WEIGHTS), load_file(together / WEIGHTS)
    assert wanted.keys() == found.keys()
    assert all(torch.allclose(wanted[name], found[name], atol=1e-3) for name in wanted)


@pytest.mark.slow
def test_two_processes_measure_held_back_rows_as_one_does(quick: Quick, tmp_path: Path) -> None:
    common = ("--val_size=3", "--max_steps=12", "--learning_rate=5e-3", "--eval_strategy=epoch",
              "--compute_accuracy=true", "--predict_with_generate=true", "--report_max_new_tokens=8")  # fmt: skip
    alone = train(quick(*common)).metrics
    both = quick(*common, "--per_device_train_batch_size=2", f"--output_dir={tmp_path / 'both'}")
    together = json.loads((launch(tmp_path, both, "--multi_gpu") / "metrics.json").read_text("utf-8"))
    assert alone["eval_accuracy"] > 0
    for name in ("eval_accuracy", "eval_exact", "eval_anls"):
        assert together[name] == pytest.approx(alone[name], abs=1e-6)


SAVED = ("--max_steps=2", "--save_strategy=steps", "--save_steps=1", "--per_device_train_batch_size=2")


@pytest.mark.slow
def test_two_processes_that_share_the_model_out_learn_what_one_does(quick: Quick, tmp_path: Path) -> None:
    alone = train(quick("--max_steps=2")).output_dir
    together = launch(tmp_path, quick(*SAVED, f"--output_dir={tmp_path / 'both'}"), *FSDP)
    assert losses(together) == pytest.approx(losses(alone), rel=1e-4)
    # only what was shared out is saved in parts
    assert (together / "checkpoint-2" / "pytorch_model_fsdp_0").is_dir()


@pytest.mark.slow
def test_a_model_that_was_shared_out_goes_on_from_its_checkpoint(quick: Quick, tmp_path: Path) -> None:
    together = launch(tmp_path, quick(*SAVED, f"--output_dir={tmp_path / 'both'}"), *FSDP)
    before = losses(together)
    shutil.rmtree(together / "checkpoint-2")
    (together / WEIGHTS).unlink()
    more = quick(*SAVED, "--resume_from_checkpoint=true", f"--output_dir={tmp_path / 'both'}")
    assert losses(launch(tmp_path, more, *FSDP)) == before
    assert (together / WEIGHTS).is_file()


def test_what_fsdp_cannot_share_out_is_refused_at_once(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(OldSharding, match="--fsdp_version 2"):
        train(quick())
    monkeypatch.setenv("FSDP_VERSION", "2")
    with pytest.raises(QuantizedSharding, match="leave quantization_bit out"):
        train(quick("--quantization_bit=4"))
    with pytest.raises(AnswersSharded, match="predict_with_generate: false"):
        train(quick("--predict_with_generate=true"))
    with pytest.raises(PrincipalSharded, match="pissa_init: false"):
        train(quick("--pissa_init=true"))


def test_no_picture_is_learned_and_held_back_too(tmp_path: Path) -> None:
    rows = write_scenes(12, tmp_path / "scenes", questions=3)
    data = read_data(load_config(None, [f"--dataset={rows}", "--val_size=0.3"]))
    learned, held_back = ({path for s in side for path in s.pictures} for side in (data.train, data.held_back))
    assert len(data.held_back) >= 6 and not learned & held_back
