"""PiSSA beside PEFT's own, and the plain LoRA that a training with it leaves."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file

from finetune.adapters.parameter_count import count_on_meta
from finetune.adapters.peft_config import AdapterRefused
from finetune.adapters.principal import begin_with_principal_directions, held_still
from finetune.config.loading import load_config
from finetune.config.schema import FinetuneConfig, ValueRefused
from finetune.data.chat_messages import messages_of
from finetune.data.configured import read_data
from finetune.training.train import train
from finetune.training.trainer import AdapterTrainer
from model.qwen3_vl.load import load
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

Quick = Callable[..., FinetuneConfig]
WEIGHTS = "adapter_model.safetensors"


def trained(model: torch.nn.Module, steps: int = 6) -> torch.Tensor:
    """Return what the model says of a fixed input after some steps of AdamW."""
    torch.manual_seed(1)
    inputs, wanted = torch.randn(8, 12), torch.randn(8, 10)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.05, weight_decay=0)
    for _ in range(steps):
        optimizer.zero_grad()
        (model(inputs) - wanted).square().mean().backward()
        optimizer.step()
    said: torch.Tensor = model(inputs)
    return said.detach()


@pytest.mark.parametrize("rslora", [False, True])
def test_it_learns_what_pefts_own_learns_on_a_base_that_stays_as_it_is(rslora: bool) -> None:
    torch.manual_seed(0)
    base = torch.nn.Sequential(torch.nn.Linear(12, 9), torch.nn.ReLU(), torch.nn.Linear(9, 10))
    inputs = torch.randn(4, 12)
    before, weights = base(inputs).detach(), deepcopy(base.state_dict())
    options: dict[str, Any] = {"target_modules": ["0", "2"], "use_rslora": rslora}
    theirs = get_peft_model(deepcopy(base), LoraConfig(r=3, lora_alpha=6, init_lora_weights="pissa", **options))
    ours = get_peft_model(base, LoraConfig(r=6, lora_alpha=6 * 2**0.5 if rslora else 12, **options))
    begin_with_principal_directions(ours, "default", -1)

    assert torch.allclose(ours(inputs), before, atol=1e-6), "it begins as the base"
    began, ended = trained(ours, 0), trained(ours)
    assert not torch.allclose(ended, began, atol=0.1)
    assert torch.allclose(ended, trained(theirs), atol=1e-4)
    with ours.disable_adapter():
        assert torch.equal(ours(inputs), before)
    assert all(torch.equal(ours.base_model.model.get_submodule(name.rpartition(".")[0] + ".base_layer").state_dict()[
        name.rpartition(".")[2]], value) for name, value in weights.items())  # fmt: skip
    rows = [p for p in ours.parameters() if p.requires_grad]
    assert held_still(ours) * 2 == sum(p.numel() for p in rows)


@pytest.mark.training
def test_what_a_training_leaves_is_a_plain_lora_that_answers_as_the_trained_model(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[Any] = []
    kept = AdapterTrainer.train

    def spied(self: AdapterTrainer, *args: Any, **options: Any) -> Any:
        models.append(self.model)
        return kept(self, *args, **options)

    monkeypatch.setattr(AdapterTrainer, "train", spied)
    common = ("--pissa_init=true", "--pissa_iter=4", "--save_strategy=steps", "--save_steps=2", "--lora_dropout=0.1")
    config = quick(*common)
    result = train(config)
    loaded = load(ModelSettings(model="tiny", adapter=result.output_dir), dtype=torch.float32)
    assert loaded.own_base, "the base is itself again without it"
    inputs = encode(loaded.processor, messages_of(read_data(config).train[0]), add_generation_prompt=False)
    with torch.no_grad():
        whole = models[0].eval().float()(**inputs).logits
        assert torch.allclose(loaded.model(**inputs).logits, whole, atol=1e-4)
        with loaded.model.disable_adapter():
            assert not torch.allclose(loaded.model(**inputs).logits, whole, atol=1e-2)
    again = tmp_path / "again"
    shutil.copytree(result.output_dir, again)
    shutil.rmtree(again / "checkpoint-4")
    assert train(quick(*common, f"--output_dir={again}", "--resume_from_checkpoint=true")).steps == 4
    first, second = (load_file(folder / WEIGHTS) for folder in (result.output_dir, again))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_only_the_half_that_learns_is_counted() -> None:
    flags = ["--model_name_or_path=tiny", "--lora_target=q_proj", "--lora_rank=4"]
    assert (
        count_on_meta(load_config(None, [*flags, "--pissa_init"])).trainable
        == count_on_meta(load_config(None, flags)).trainable
    )


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--quantization_bit=4"], "decomposes weights that are whole"),
        (["--weight_decay=0.1"], "write 0"),
        (["--finetuning_type=moe_lora"], "only lora"),
    ],
)
def test_what_it_does_not_go_with_is_refused(flags: list[str], says: str) -> None:
    with pytest.raises(ValueRefused, match=says):
        load_config(None, ["--pissa_init", *flags])


def test_a_rank_beyond_the_directions_of_a_layer_is_refused() -> None:
    with pytest.raises(AdapterRefused, match="lower lora_rank"):
        count_on_meta(load_config(None, ["--pissa_init", "--lora_rank=5000", "--model_name_or_path=tiny"]))
