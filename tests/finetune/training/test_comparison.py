"""Runs beside one another, from the files that they left."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.edge import Run
from cli.main import app
from finetune.config.loading import load_config
from finetune.training.reporting.comparison import NoRun, compare


def a_run(folder: Path, *flags: str, whole: bool = True, losses: tuple[float, ...] = (3.0, 2.0)) -> Path:
    folder.mkdir()
    config = load_config(None, [f"--output_dir={folder}", *flags])
    (folder / "finetune.yaml").write_text(config.to_yaml(), "utf-8")
    lines = [{"step": step, "loss": loss, "eval_loss": loss + 1} for step, loss in enumerate(losses, start=1)]
    (folder / "train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    if whole:
        (folder / "adapter_config.json").write_text("{}", "utf-8")
        (folder / "metrics.json").write_text(json.dumps({"train_loss": 2.5, "train_runtime": 7.0}), "utf-8")
    return folder


def test_keys_that_differ_and_what_came_of_them_stand_beside_one_another(tmp_path: Path) -> None:
    first = a_run(tmp_path / "a", "--lora_rank=4")
    second = a_run(tmp_path / "b", "--lora_rank=8", losses=(3.0, 1.0, 1.5), whole=False)
    found = compare([first, second])
    assert found.runs == ("a", "b") and found.told == {"lora_rank": [4, 8]}
    assert found.outcome == {
        "steps": [2, 3], "last loss": [2.0, 1.5], "mean loss": [2.5, None], "lowest held-back loss": [3.0, 2.0],
        "at step": [2, 2], "last held-back loss": [3.0, 2.5], "seconds": [7.0, None],
    }  # fmt: skip
    assert len(found.notes) == 1 and "b did not come to its end" in found.notes[0]


def test_what_was_measured_of_answers_stands_with_the_losses(tmp_path: Path) -> None:
    first, second = a_run(tmp_path / "a"), a_run(tmp_path / "b")
    lines = [{"step": 1, "eval_loss": 2.0, "eval_exact": 40.0}, {"step": 2, "eval_loss": 1.0, "eval_exact": 30.0}]
    (second / "train_log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    (second / "adapter_config.json").rename(second / "config.json")  # of a model that was trained whole
    found = compare([first, second])
    assert found.outcome["highest exact"] == [None, 40.0] and not found.notes


def test_the_command_prints_a_table_or_json_and_refuses_a_folder_without_a_run(tmp_path: Path) -> None:
    first, second = a_run(tmp_path / "a", "--lora_rank=4"), a_run(tmp_path / "b", "--lora_rank=8")
    words = ["finetune", "compare", str(first), str(second)]
    table = CliRunner().invoke(app, words, obj=Run())
    assert table.exit_code == 0 and "lora_rank" in table.output and "mean loss" in table.output
    told = CliRunner().invoke(app, [*words, "--json"], obj=Run())
    assert json.loads(told.output)["told"] == {"lora_rank": [4, 8]}
    assert CliRunner().invoke(app, words[:3], obj=Run()).exit_code == 2
    with pytest.raises(NoRun, match="output_dir of a training"):
        compare([first, tmp_path / "none"])
    (second / "finetune.yaml").write_text("- a", "utf-8")
    with pytest.raises(NoRun, match="cannot be read"):
        compare([first, second])
