"""Pairs of a better and a worse answer: read in LLaMA-Factory's forms, learned by DPO, refused where there is none."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune.config.loading import load_config
from finetune.config.schema import FinetuneConfig, ValueRefused
from finetune.data.dataset import read_dataset
from finetune.training.preferences import trainer as preference
from finetune.training.preferences.pairs import NoPairs, PairsNotWanted
from finetune.training.train import train

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "pairs.json"
    file.write_text(json.dumps(rows), "utf-8")
    return file


def pairs(folder: Path, number: int = 8) -> Path:
    for color in ("red", "blue"):
        Image.new("RGB", (96, 64), color).save(folder / f"{color}.png")
    sides = [("red", "blue") if place % 2 else ("blue", "red") for place in range(number)]
    return write(
        folder,
        [{"conversations": [{"from": "human", "value": "<image>Which color?"}],
          "chosen": {"from": "gpt", "value": f"{right} it is"}, "rejected": {"from": "gpt", "value": f"{wrong} it is"},
          "images": [f"{right}.png"]} for right, wrong in sides],
    )  # fmt: skip


def test_ranking_data_is_read_in_each_of_the_three_forms(tmp_path: Path) -> None:
    asked = {"from": "human", "value": "Which?"}
    good, bad = {"from": "gpt", "value": "this"}, {"from": "gpt", "value": "that"}
    forms: dict[str, dict[str, Any]] = {
        "alpaca": {"instruction": "Which?", "input": "", "chosen": "this", "rejected": "that"},
        "sharegpt": {"conversations": [asked], "chosen": good, "rejected": bad},
        "openai": {"messages": [{"role": "user", "content": "Which?"}],
                   "chosen": {"role": "assistant", "content": "this"},
                   "rejected": {"role": "assistant", "content": "that"}},
    }  # fmt: skip
    info: dict[str, Any] = {}
    for name, row in forms.items():
        (tmp_path / f"{name}.json").write_text(json.dumps([row]), "utf-8")
        info[name] = {"file_name": f"{name}.json", "formatting": name, "ranking": True,
                      "columns": {"chosen": "chosen", "rejected": "rejected"}}  # fmt: skip
    info["openai"]["columns"]["messages"] = "messages"
    info["openai"]["tags"] = {"role_tag": "role", "content_tag": "content", "user_tag": "user",
                              "assistant_tag": "assistant", "system_tag": "system"}  # fmt: skip
    for registered in (False, True):
        if registered:
            (tmp_path / "dataset_info.json").write_text(json.dumps(info), "utf-8")
        for name in forms:
            found = read_dataset(tmp_path / f"{name}.json")
            assert [(s.messages[0].text, s.answer, s.rejected) for s in found.samples] == [("Which?", "this", "that")]


@pytest.mark.parametrize("form", ["sharegpt", "messages", "alpaca", "qwen"])
def test_a_pair_is_written_and_read_back_and_a_table_refuses_it(tmp_path: Path, form: str) -> None:
    from finetune.data.writing import NothingToWrite, write_samples

    samples = read_dataset(pairs(tmp_path, 2)).samples
    assert write_samples(samples, tmp_path / "again.jsonl", form) == []
    again = read_dataset(tmp_path / "again.jsonl").samples
    assert [(s.messages, s.rejected) for s in again] == [(s.messages, s.rejected) for s in samples]
    with pytest.raises(NothingToWrite):
        write_samples(samples, tmp_path / "table.csv", "csv")


def test_a_row_without_a_pair_is_named(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"instruction": "Which?", "chosen": "this"},
        {"instruction": "Which?", "chosen": "this", "rejected": "this"},
        {"instruction": "Which?", "chosen": "this", "rejected": 3},
    ]
    reasons = [broken.reason for broken in read_dataset(write(tmp_path, rows)).broken]
    assert reasons[:2] == [
        "a chosen answer without a rejected one", "its chosen and its rejected answer are the same",
    ]  # fmt: skip
    assert "rejected" in reasons[2]


def test_dpo_learns_to_prefer_the_better_answers_about_pictures(quick: Quick, tmp_path: Path) -> None:
    flags = (f"--dataset={pairs(tmp_path)}", "--stage=dpo", "--max_steps=8", "--report_samples=1", "--val_size=2",
             "--report_max_new_tokens=2", "--save_strategy=steps", "--save_steps=4",
             "--eval_strategy=steps", "--eval_steps=4", "--load_best_model_at_end=true",
             "--metric_for_best_model=rewards/margins")  # fmt: skip
    done = train(quick(*flags))
    lines = [json.loads(line) for line in (tmp_path / "out" / "train_log.jsonl").read_text("utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    assert steps[0]["loss"] == pytest.approx(math.log(2), abs=1e-4), "the adapter begins as the model it is held to"
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert steps[-1]["rewards/margins"] > 0 and "eval_loss" in done.metrics
    margins = [line["eval_rewards/margins"] for line in lines if "eval_rewards/margins" in line]
    assert len(margins) == 2 and done.metrics["eval_rewards/margins"] == max(margins)
    out = tmp_path / "out"
    assert (out / "adapter_model.safetensors").is_file() and not (out / "ref").exists()
    assert str(tmp_path) not in (out / "README.md").read_text("utf-8") and (out / "report.html").is_file()

    whole = (out / "adapter_model.safetensors").read_bytes()
    other = f"--output_dir={tmp_path / 'again'}"
    train(quick(*flags, other, f"--resume_from_checkpoint={out / 'checkpoint-4'}"))
    assert (tmp_path / "again" / "adapter_model.safetensors").read_bytes() == whole


def test_pairs_and_the_stage_have_to_fit(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NoPairs, match="write stage: sft"):
        train(quick("--stage=dpo"))
    with pytest.raises(PairsNotWanted, match=r"8 rows have a rejected answer, .*pairs.json:1.*write stage: dpo"):
        train(quick(f"--dataset={pairs(tmp_path)}", "--overwrite_output_dir=true"))
    monkeypatch.setattr(preference, "find_spec", lambda name: None)
    with pytest.raises(preference.MissingTrl, match=r"pip install 'lorgnette\[preference\]'"):
        train(quick("--stage=dpo"))


@pytest.mark.parametrize("flag", ["--finetuning_type=full", "--finetuning_type=moe_lora", "--packing=true"])
def test_what_pairs_cannot_teach_is_refused(flag: str) -> None:
    with pytest.raises(ValueRefused, match="stage is 'dpo'"):
        load_config(None, ["--stage=dpo", flag])
