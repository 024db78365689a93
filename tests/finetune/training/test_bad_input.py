"""What somebody sees of a run that cannot go on, or only without a part: one clear line, and nothing half written."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from transformers import Trainer

from cli.main import app
from finetune.config.schema import FinetuneConfig
from finetune.training import prepare as preparation
from finetune.training.callbacks import Lines
from finetune.training.checkpoints import CheckpointNotSaved
from finetune.training.reporting import meanwhile as show
from finetune.training.reporting import report
from model.qwen3_vl.generation import OutOfMemory

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
Typed = Callable[..., Result]
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


@pytest.fixture
def typed(quick: Quick, tmp_path: Path) -> Typed:
    """Give `lorgnette finetune train` of the quick configuration with some more flags, as it is typed."""

    def run(*flags: str) -> Result:
        file = tmp_path / "run.yaml"
        file.write_text(quick("--max_steps=1").to_yaml(), "utf-8")
        return CliRunner().invoke(app, ["finetune", "train", str(file), *flags])

    return run


def conversation(marks: int, *pictures: str) -> dict[str, Any]:
    question = {"role": "user", "content": "<image>" * marks + "What is it?"}
    return {"messages": [question, {"role": "assistant", "content": "a disc"}], "images": list(pictures)}


def test_every_row_that_is_left_out_is_named_with_its_reason(typed: Typed, discs: Path, tmp_path: Path) -> None:
    file, held_back = tmp_path / "rows.json", tmp_path / "held.csv"
    rows = [conversation(1, "0.png"), conversation(2, "1.png"), conversation(1, "2.png", "3.png")]
    file.write_text(json.dumps([*rows, conversation(1, "none.png")]), "utf-8")
    held_back.write_text("image_path,caption\n4.png,a disc\nnone.png,\x1b[2Ja disc\n", "utf-8")
    run = typed(f"--dataset={file}", f"--eval_dataset={held_back}", f"--media_dir={discs.parent}")
    assert run.exit_code == 0, run.stderr
    assert "1 rows to learn, 1 held back, 4 broken." in run.stderr
    told = [line for line in run.stderr.splitlines() if line.startswith("Left out: ")]
    assert [line.split()[2] for line in told] == ["rows.json:2:", "rows.json:3:", "rows.json:4:", "held.csv:3:"]
    assert "more <image> markers than pictures" in told[0] and "no picture 'none.png'" in told[3]
    assert "held.csv:3" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_of_very_many_rows_that_are_left_out_the_number_is_told(typed: Typed, discs: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("image_path,caption\n0.png,a disc\n" + "none.png,a disc\n" * 60, "utf-8")
    run = typed(f"--dataset={file}", f"--media_dir={discs.parent}")
    assert run.stderr.count("Left out: rows.csv:") == 50
    assert "Left out: 10 more; `lorgnette data check` lists them." in run.stderr


def test_held_back_rows_of_which_none_can_be_used_are_an_error(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "held.csv"
    file.write_text("image_path,caption\nnone.png,a disc\n", "utf-8")
    run = typed(f"--eval_dataset={file}")
    assert run.exit_code == 1 and "held.csv (1 are broken, the first of them held.csv:2" in run.stderr


def test_a_report_that_finds_the_disk_full_leaves_the_adapter_and_is_written_later(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(report, "write_page", full)
        run = typed("--save_strategy=steps")
    assert run.exit_code == 1
    assert run.stderr.splitlines()[-1].startswith(
        f"Error: The adapter in '{tmp_path / 'out'}' is whole, but its report"
    )
    assert "the disk is full" in run.stderr and not list((tmp_path / "out").glob("*report*"))
    assert all((tmp_path / "out" / name).is_file() for name in ADAPTER)
    assert typed("--save_strategy=steps", "--resume_from_checkpoint=true").exit_code == 0
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the device that is always full is Linux's")
def test_a_log_that_finds_the_disk_full_says_from_where_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "train_log.jsonl").symlink_to("/dev/full")
    state = SimpleNamespace(is_world_process_zero=True, global_step=1)
    with pytest.raises(CheckpointNotSaved, match="the disk is full; no checkpoint was written yet"):
        Lines(tmp_path).on_log(None, state, None, logs={"loss": 1.0})


def test_want_of_memory_for_a_picture_names_its_row(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparation, "look", lambda *args: torch.empty(2**60))
    run = typed()
    assert run.exit_code == 1
    assert "looked at the pictures of rows.csv:2; lower image_max_pixels (now not set)" in run.stderr


def test_want_of_memory_in_the_evaluation_says_what_to_lower(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Trainer, "prediction_step", lambda *args, **options: torch.empty(2**60))
    run = typed("--val_size=4", "--per_device_eval_batch_size=4")
    assert run.exit_code == 1
    said = run.stderr.splitlines()[-1]
    assert "The evaluation after step 1 does not fit into memory; lower per_device_eval_batch_size (now 4)" in said


def test_want_of_memory_for_the_report_costs_its_answers_alone(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def short(*args: object, **options: object) -> None:
        raise OutOfMemory("cpu", None)

    monkeypatch.setattr(show, "answer_samples", short)
    run = typed("--report_samples=2")
    assert run.exit_code == 0 and "Degraded: the report has no answers: " in run.stderr
    assert load_file(tmp_path / "out" / ADAPTER[1])
    assert "the report has no answers" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_an_adapter_that_names_another_base_is_refused_even_where_its_shapes_fit(typed: Typed, tmp_path: Path) -> None:
    assert typed().exit_code == 0
    foreign = tmp_path / "foreign"
    shutil.copytree(tmp_path / "out", foreign)
    said = json.loads((foreign / ADAPTER[0]).read_text("utf-8"))
    said["base_model_name_or_path"] = "Qwen/Qwen3-VL-2B-Instruct"
    (foreign / ADAPTER[0]).write_text(json.dumps(said), "utf-8")
    run = typed(f"--adapter_name_or_path={foreign}", f"--output_dir={tmp_path / 'more'}")
    assert run.exit_code == 1
    assert "does not belong on 'tiny'; it was made for 'Qwen/Qwen3-VL-2B-Instruct'" in run.stderr
