"""Weights of the model itself: what learns, what stays, and a folder that is a model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from cli.edge import Run
from cli.main import app
from finetune.adapters.targets import TargetsUnmatched
from finetune.config.loading import load_config
from finetune.config.schema import FinetuneConfig, ValueRefused
from finetune.training.checkpoints import OutputNotEmpty
from finetune.training.train import train
from model.hub import tiny_folder
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
WEIGHTS = "model.safetensors"


def changed(folder: Path) -> set[str]:
    before, after = load_file(tiny_folder() / WEIGHTS), load_file(folder / WEIGHTS)
    assert set(before) == set(after)
    return {name for name in before if not torch.equal(before[name].float(), after[name].float())}


def test_full_trains_the_decoder_and_leaves_a_model_that_loads(quick: Quick, tmp_path: Path) -> None:
    done = train(quick("--finetuning_type=full", "--learning_rate=1e-4"))
    learnt = changed(tmp_path / "out")
    names = list(load_file(tiny_folder() / WEIGHTS))
    assert learnt == {name for name in names if ".visual." not in name}
    assert done.parameters.trainable < done.parameters.all
    loaded = load(ModelSettings(model=str(tmp_path / "out")))
    assert loaded.processor.chat_template and not (tmp_path / "out" / "adapter_config.json").exists()


@pytest.mark.slow
def test_freeze_trains_the_last_layers_alone_or_the_first_or_a_part_of_them(quick: Quick, tmp_path: Path) -> None:
    layers = json.loads((tiny_folder() / "config.json").read_text("utf-8"))["text_config"]["num_hidden_layers"]

    def learnt(name: str, *flags: str) -> set[str]:
        train(quick("--finetuning_type=freeze", "--max_steps=1", f"--output_dir={tmp_path / name}", *flags))
        return {name.split("language_model.")[1].rpartition(".")[0] for name in changed(tmp_path / name)}

    last = learnt("last", "--freeze_trainable_layers=1")
    assert last and {name.split(".")[1] for name in last} == {str(layers - 1)}
    some = learnt("some", "--freeze_trainable_layers=-1", "--freeze_trainable_modules=mlp")
    assert {tuple(name.split(".")[1:3]) for name in some} == {("0", "mlp")}
    more = learnt("more", "--freeze_trainable_layers=1", "--freeze_extra_modules=norm")
    assert more - last == {"norm"}


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(quick: Quick, tmp_path: Path) -> None:
    flags = ("--finetuning_type=freeze", "--freeze_trainable_layers=1", "--save_strategy=steps", "--save_steps=2")
    train(quick(*flags))
    whole = load_file(tmp_path / "out" / WEIGHTS)
    other = f"--output_dir={tmp_path / 'again'}"
    train(quick(*flags, other, "--max_steps=4"))
    for file in (tmp_path / "again").glob("*.safetensors"):
        file.unlink()
    train(quick(*flags, other, f"--resume_from_checkpoint={tmp_path / 'again' / 'checkpoint-2'}"))
    again = load_file(tmp_path / "again" / WEIGHTS)
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert load(ModelSettings(model=str(tmp_path / "again" / "checkpoint-2")))


@pytest.mark.slow
def test_the_best_checkpoint_of_a_whole_model_is_what_is_saved(quick: Quick, tmp_path: Path) -> None:
    done = train(
        quick("--finetuning_type=full", "--val_size=4", "--eval_strategy=steps", "--eval_steps=1", "--max_steps=3",
              "--save_strategy=steps", "--save_steps=1", "--load_best_model_at_end=true", "--learning_rate=0.05")
    )  # fmt: skip
    losses = [json.loads(line) for line in (tmp_path / "out" / "train_log.jsonl").read_text("utf-8").splitlines()]
    best = min((line for line in losses if "eval_loss" in line), key=lambda line: float(line["eval_loss"]))
    saved = load_file(tmp_path / "out" / f"checkpoint-{best['step']}" / WEIGHTS)
    final = load_file(tmp_path / "out" / WEIGHTS)
    assert done.metrics["eval_loss"] == best["eval_loss"]
    assert all(torch.equal(saved[name], final[name]) for name in final)


def test_a_whole_model_is_not_put_where_a_run_or_its_base_is(quick: Quick, tmp_path: Path) -> None:
    train(quick("--finetuning_type=full", "--max_steps=1"))
    with pytest.raises(OutputNotEmpty):
        train(quick("--finetuning_type=full", "--max_steps=1"))
    with pytest.raises(ValueRefused, match="it is the folder of the base model"):
        train(quick("--finetuning_type=full", f"--model_name_or_path={tmp_path / 'out'}", "--overwrite_output_dir"))
    train(quick("--max_steps=1", "--overwrite_output_dir=true"))
    assert not (tmp_path / "out" / WEIGHTS).exists() and (tmp_path / "out" / "adapter_config.json").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--quantization_bit=4"], "weights of 4 bits cannot be trained"),
        (["--num_experts=8"], "only moe_lora and multiway have experts"),
        (["--router=modality"], "only moe_lora have experts"),
        (["--adapter_name_or_path=runs/a"], "merge it with `lorgnette finetune export`"),
        (["--loraplus_lr_ratio=16"], "only lora and alora can have it"),
    ],
)
@pytest.mark.parametrize("kind", ["full", "freeze"])
def test_what_has_no_place_beside_whole_weights_is_refused(kind: str, flags: list[str], words: str) -> None:
    with pytest.raises(ValueRefused, match=words):
        load_config(None, [f"--finetuning_type={kind}", *flags])


def test_modules_that_no_layer_has_are_named(quick: Quick) -> None:
    with pytest.raises(TargetsUnmatched, match=r"no layer 'mpl'.*freeze_trainable_modules.*all, .*mlp"):
        train(quick("--finetuning_type=freeze", "--freeze_trainable_modules=mpl"))
    with pytest.raises(ValueRefused, match="freeze_vision_tower: false"):
        train(quick("--finetuning_type=freeze", "--freeze_extra_modules=pos_embed"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_few_rows_are_answered_on_the_way_and_stand_in_the_report(quick: Quick, tmp_path: Path, kind: str) -> None:
    flags = (f"--finetuning_type={kind}", "--report_samples=2", "--report_sample_steps=2", "--report_max_new_tokens=3",
             "--val_size=4", "--gradient_checkpointing=true")  # fmt: skip
    train(quick(*flags))
    lines = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [2, 2, 4, 4]
    assert all(line["question"] and line["expected"] and isinstance(line["answer"], str) for line in lines)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<th>base</th><th>step 2</th><th>step 4</th><th>trained</th>" in page

    silent = train(quick(*flags[:1], "--val_size=4", "--gradient_checkpointing=true", f"--output_dir={tmp_path / 'x'}"))
    name = WEIGHTS if kind == "full" else "adapter_model.safetensors"
    asked, other = load_file(tmp_path / "out" / name), load_file(silent.output_dir / name)
    assert all(torch.equal(asked[key], other[key]) for key in asked), "asking changes nothing of what is learned"


def test_the_command_says_how_to_ask_the_model(quick: Quick, tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(quick("--finetuning_type=full", "--max_steps=1").to_yaml(), "utf-8")
    done = CliRunner().invoke(app, ["finetune", str(file)], obj=Run())
    assert done.exit_code == 0, done.output
    assert "holds the model after 1 steps" in done.output and f"ask with --model {tmp_path / 'out'}" in done.output
