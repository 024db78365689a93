"""The commands of a LLaMA-Factory tutorial with the program's name as the only change, on the bundled model."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from cli.edge import Run
from cli.main import app

pytestmark = pytest.mark.heavy


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), obj=Run())
    assert result.exit_code == 0, result.output
    return result.output


def test_the_tutorial_runs_from_training_to_the_merged_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    for name, count in (("train", 6), ("test", 2)):
        rows = []
        for number in range(count):
            Image.new("RGB", (64, 64), (40 * number, 10, 10)).save(f"data/{name}{number}.png")
            rows.append(
                {"instruction": "<image>What color?", "input": "", "output": "red", "images": [f"{name}{number}.png"]}
            )
        Path(f"data/{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    info = {name: {"file_name": f"{name}.jsonl", "columns": {"prompt": "instruction", "query": "input",
            "response": "output", "images": "images"}} for name in ("train", "test")}  # fmt: skip
    Path("data/dataset_info.json").write_text(json.dumps(info), "utf-8")
    common = "model_name_or_path: tiny\ntemplate: qwen3_vl_nothink\nfinetuning_type: lora\nstage: sft\n"
    Path("train.yaml").write_text(
        common + "do_train: true\ndataset: train\noutput_dir: saves/train\nmax_steps: 2\nlogging_steps: 1\n"
        "per_device_train_batch_size: 2\ngradient_accumulation_steps: 1\nreport_samples: 0\n", "utf-8",
    )  # fmt: skip
    Path("predict.yaml").write_text(
        common + "do_predict: true\neval_dataset: test\nadapter_name_or_path: saves/train\noutput_dir: saves/eval\n"
        "max_new_tokens: 4\ntemperature: 0.2\n", "utf-8",
    )  # fmt: skip
    Path("merge.yaml").write_text(common + "adapter_name_or_path: saves/train\nexport_dir: saves/merged\n", "utf-8")

    assert "saves/train holds the adapter after 2 steps" in run("train", "train.yaml")
    lines = [json.loads(line) for line in Path("saves/train/trainer_log.jsonl").read_text("utf-8").splitlines()]
    assert [(line["current_steps"], line["total_steps"]) for line in lines] == [(1, 2), (2, 2)]
    assert "train_loss" in json.loads(Path("saves/train/all_results.json").read_text("utf-8"))
    assert Path("saves/train/training_loss.png").is_file()

    run("train", "predict.yaml")
    said = [json.loads(line) for line in Path("saves/eval/generated_predictions.jsonl").read_text("utf-8").splitlines()]
    assert [(row["prompt"], row["label"]) for row in said] == [("What color?", "red")] * 2
    assert json.loads(Path("saves/eval/predict_results.json").read_text("utf-8"))["predict_samples"] == 2
    assert not Path("saves/eval/adapter_config.json").exists()

    run("export", "merge.yaml")
    assert Path("saves/merged/config.json").is_file() and not Path("saves/merged/adapter_config.json").exists()
