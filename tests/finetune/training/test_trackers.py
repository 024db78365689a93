import json
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finetune.config.schema import FinetuneConfig
from finetune.data.configured import NothingToLearn
from finetune.training.reporting.log import read_log
from finetune.training.trackers import TrackerRefused
from finetune.training.train import train
from model.hub import MissingExtra

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
EVALUATED = ("--max_steps=3", "--val_size=2", "--per_device_eval_batch_size=2")


def logged(folder: Path) -> tuple[dict[int, float], float]:
    """Return the losses of our own log by step, and the one of the held-back rows."""
    lines = read_log(folder / "train_log.jsonl")
    (held_back,) = (line["eval_loss"] for line in lines if "eval_loss" in line)
    return {line["step"]: line["loss"] for line in lines if "loss" in line}, held_back


def records(file: Path) -> Iterator[bytes]:
    """Return the records of a LevelDB log with a head of 7 bytes, in which W&B and SwanLab keep a run."""
    data, place, whole = file.read_bytes(), 7, b""
    while place < len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, place)
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield whole
            whole = b""


def test_tensorboard_holds_the_losses_of_the_log_and_of_the_held_back_rows_in_one_folder(quick: Quick) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = train(quick("--report_to=tensorboard", *EVALUATED)).output_dir
    events = [accumulator.EventAccumulator(str(file)).Reload() for file in (folder / "tensorboard").iterdir()]
    told = {
        tag: {
            event.step: event.value for part in events if tag in part.Tags()["scalars"] for event in part.Scalars(tag)
        }
        for tag in ("train/loss", "eval/loss")
    }  # fmt: skip
    losses, held_back = logged(folder)
    assert told["train/loss"] == pytest.approx(losses, abs=1e-6) and len(losses) == 3
    assert told["eval/loss"] == {3: pytest.approx(held_back, abs=1e-6)}
    assert not (folder / "runs").exists()  # where transformers would open a second one


@pytest.mark.slow
def test_wandb_offline_holds_the_losses_of_the_log_below_the_output_folder(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pb = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    folder = train(quick("--report_to=wandb", *EVALUATED)).output_dir
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    rows = []
    for data in records(file):
        items = pb.Record.FromString(data).history.item
        rows.append({".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items})
    told = {row["train/global_step"]: row["train/loss"] for row in rows if "train/loss" in row}
    losses, held_back = logged(folder)
    assert told == losses and len(losses) == 3
    assert [row["eval/loss"] for row in rows if "eval/loss" in row] == [held_back]
    assert not list(here.iterdir())


@pytest.mark.slow
def test_swanlab_in_its_local_mode_holds_the_losses_of_the_log_and_how_the_run_ended(quick: Quick) -> None:
    pb = pytest.importorskip("swanlab.proto.swanlab.record.v1.record_pb2")
    config = quick("--report_to=swanlab", *EVALUATED)
    folder = train(config).output_dir
    (file,) = folder.glob("swanlog/run-*/*.swanlab")
    told = [pb.Record.FromString(data) for data in records(file)]
    scalars = [record.scalar for record in told if record.WhichOneof("record_type") == "scalar"]
    losses, held_back = logged(folder)
    of_train = {s.step: s.value.number for s in scalars if s.key == "train/loss"}
    assert of_train == pytest.approx(losses) and len(losses) == 3
    assert [s.value.number for s in scalars if s.key == "eval/loss"] == [pytest.approx(held_back)]
    assert "FINISHED" in str(told[-1].finish)


def test_a_run_that_fails_is_marked_so(quick: Quick) -> None:
    pb = pytest.importorskip("swanlab.proto.swanlab.record.v1.record_pb2")
    config = quick("--report_to=swanlab", "--cutoff_len=16")
    with pytest.raises(NothingToLearn):
        train(config)
    (file,) = config.training.output_dir.glob("swanlog/run-*/*.swanlab")
    *_, last = records(file)
    assert "CRASHED" in str(pb.Record.FromString(last).finish)


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_loaded(
    quick: Quick, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtra, match=r"lorgnette\[wandb\]"):
        train(quick("--report_to=wandb"))
    # the folder that W&B leaves in the working folder is no package
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb")
    with pytest.raises(MissingExtra, match=r"lorgnette\[wandb\]"):
        train(quick("--report_to=wandb"))


def test_wandb_without_an_account_says_how_to_do_without_before_the_training(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(TrackerRefused, match="WANDB_MODE=offline"):
        train(quick("--report_to=wandb"))
    assert not (tmp_path / "out" / "train_log.jsonl").exists()
