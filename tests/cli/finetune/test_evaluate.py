"""`lorgnette finetune evaluate`: what is measured, which rows, and what is refused in one line."""

import json
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from finetune.config.loading import load_config
from finetune.data.configured import read_data
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training

COLORS = ("red", "green", "blue", "yellow", "purple", "orange")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    lines = ["image_path,caption,question,category"]
    for color in COLORS:
        Image.new("RGB", (96, 64), color).save(tmp_path / f"{color}.png")
        lines.append(f"{color}.png,{color},What color is it?,color")
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return tmp_path / "rows.csv"


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(load(ModelSettings(model="tiny")).model, config)
        model.peft_config["default"].base_model_name_or_path = "tiny"
        model.save_pretrained(str(tmp_path / "adapter"), save_embedding_layers=False)
    return tmp_path / "adapter"


@pytest.fixture(autouse=True)
def quiet_peft() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def run(lorgnette: Any, *arguments: object) -> Any:
    return lorgnette("finetune", "evaluate", *map(str, arguments))


def test_adapter_and_base_stand_beside_each_other(lorgnette: Any, rows: Path, adapter: Path) -> None:
    result = run(lorgnette, "--adapter", adapter, "--data", rows, "--base", "--max-new-tokens", 8)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "6 rows measured, 0 left out"
    assert lines[1].startswith("  Exact        adapter ")
    assert "base " in lines[1]
    assert "difference " in lines[1]
    assert lines[-1] == f"Report: {adapter / 'evaluation' / 'report.html'}"
    out = adapter / "evaluation"
    assert {path.name for path in out.iterdir()} == {
        "answers.jsonl", "results.json", "predictions.jsonl", "report.html",
    }  # fmt: skip


def test_json_is_one_document_and_the_same_as_the_file(lorgnette: Any, rows: Path, tmp_path: Path) -> None:
    result = run(
        lorgnette, "--data", rows, "--out", tmp_path / "out", "--max-samples", 2, "--max-new-tokens", 4, "--json"
    )
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert json.loads(result.stdout)["rows"] == 2
    assert json.loads(result.stdout)["run"]["model"] == "tiny"


def test_a_configuration_evaluates_what_it_held_back(lorgnette: Any, rows: Path, adapter: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"dataset: {rows}\nval_size: 0.5\noutput_dir: {adapter}\nseed: 7\n", "utf-8")
    result = run(lorgnette, config, "--max-new-tokens", 4)
    assert result.exit_code == 0, result.output
    written = (adapter / "evaluation" / "predictions.jsonl").read_text("utf-8").splitlines()
    held_back = read_data(load_config(config)).held_back
    assert [json.loads(line)["id"] for line in written] == [sample.id for sample in held_back]
    assert len(held_back) == 3
    # training leaves its configuration beside the adapter
    config.rename(adapter / "finetune.yaml")
    again = run(lorgnette, adapter, "--max-new-tokens", 4)
    assert again.stdout == result.stdout


def test_a_configuration_that_holds_nothing_back_says_what_to_write(lorgnette: Any, rows: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(f"dataset: {rows}\n", "utf-8")
    result = run(lorgnette, config)
    assert result.exit_code == 1
    assert "write eval_dataset or val_size" in result.stderr


def test_a_split_is_the_part_beside_the_file(lorgnette: Any, rows: Path, tmp_path: Path) -> None:
    refused = run(lorgnette, "--data", rows, "--split", "test")
    assert refused.exit_code == 1
    assert "`lorgnette data split` makes it" in refused.stderr
    (tmp_path / "rows.test.csv").write_text(
        "image_path,caption,question\nred.png,red,What color is it?\nnone.png,red,What color is it?\n", "utf-8"
    )
    result = run(lorgnette, "--data", rows, "--split", "test", "--out", tmp_path / "out", "--max-new-tokens", 4)
    assert result.stdout.startswith("1 rows measured, 1 left out")
    assert "Left out: rows.test.csv:3: there is no picture" in result.stderr


def test_predictions_are_measured_without_a_model(lorgnette: Any, rows: Path, tmp_path: Path) -> None:
    said = [{"id": f"rows-{number}", "prediction": color} for number, color in enumerate(COLORS, start=2)]
    said[0]["prediction"] = "green"
    (tmp_path / "said.json").write_text(json.dumps(said), "utf-8")
    result = run(lorgnette, "--predictions", tmp_path / "said.json", "--data", rows, "--metrics", "exact")
    assert result.exit_code == 0, result.output
    assert "  Exact        answers 83.3 [" in result.stdout  # five of six
    assert (tmp_path / "evaluation" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Give CONFIG.yaml, or --data FILE, or --predictions FILE."),
        (("--data", "rows.csv", "--model", "http://localhost/v1#m"), "--predictions"),
        (("--data", "rows.csv", "--base"), "--base compares with an adapter"),
        (("--predictions", "said.jsonl", "--model", "tiny"), "leave out --model"),
        (("--data", "rows.csv", "--max-samples", "0"), "--max-samples"),
    ],
)
def test_what_makes_no_sense_together_is_a_usage_error(lorgnette: Any, arguments: tuple[str, ...], said: str) -> None:
    result = run(lorgnette, *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_failures_are_one_line(lorgnette: Any, rows: Path, adapter: Path, tmp_path: Path) -> None:
    (adapter / "adapter_model.safetensors").write_bytes(b"cut off")
    (tmp_path / "empty.csv").write_text("image_path,caption\n", "utf-8")
    for arguments, said in (
        (("--adapter", adapter, "--data", rows), "The adapter"),
        (("--data", tmp_path / "empty.csv"), "empty.csv"),
        (("--data", rows, "--metrics", "exactly"), "did you mean 'exact'"),
        (("--data", tmp_path / "gone.csv"), "There is no data file"),
        ((tmp_path,), "has no adapter_config.json"),
        (("--predictions", tmp_path / "gone.jsonl"), "There is no data file"),
    ):
        result = run(lorgnette, *arguments)
        assert result.exit_code == 1
        assert result.stderr.count("\n") == 1
        assert said in result.stderr


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_answered_and_the_same_command_goes_on(rows: Path, tmp_path: Path) -> None:
    command = [
        sys.executable, "-m", "cli.main", "finetune", "evaluate", "--data", str(rows), "--out", str(tmp_path / "out"),
        "--batch-tokens", "1", "--max-new-tokens", "512",
    ]  # fmt: skip
    journal = tmp_path / "out" / "answers.jsonl"
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n")):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate()
    if process.returncode == 0:
        pytest.skip("it was faster than the signal")
    assert process.returncode == 130
    assert "the same command goes on from there" in told
    assert "Traceback" not in told
    kept = journal.read_text("utf-8")
    subprocess.run(command, check=True, capture_output=True)
    assert journal.read_text("utf-8").startswith(kept)
    assert journal.read_text("utf-8").count("\n") == len(COLORS)
