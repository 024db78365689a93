"""Training in float16 with loss scaling, and on a base of 8 bits: both on a CPU, too."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetune.config.schema import FinetuneConfig
from finetune.training.arguments import HalfPrecisionRefused
from finetune.training.reporting.log import read_log
from finetune.training.train import train
from finetune.training.trainer import AdapterTrainer, GradientNotFinite, LossNotFinite
from model import device
from model.adapters import register_tuners
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
WEIGHTS = "adapter_model.safetensors"
FP16 = ("--fp16=true", "--per_device_train_batch_size=1")


def logged(folder: Path, key: str) -> list[float]:
    return [line[key] for line in read_log(folder / "train_log.jsonl") if key in line]


def test_float16_learns_what_float32_does_and_keeps_what_it_trains_in_float32(
    quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = AdapterTrainer.compute_loss

    def flat(self: AdapterTrainer, *args: Any, **more: Any) -> Any:
        return computed(self, *args, **more) / 64  # else the first gradients do not fit, and their step is left out

    monkeypatch.setattr(AdapterTrainer, "compute_loss", flat)
    # a norm that is trained whole begins in the base's float16, whose gradients cannot be scaled
    common = ("--max_steps=2", "--per_device_train_batch_size=1", "--additional_target=norm")
    plain = train(quick(*common)).output_dir
    said: list[str] = []
    half = quick(*common, "--fp16=true", "--save_steps=2", "--save_strategy=steps", f"--output_dir={tmp_path / 'half'}")
    folder = train(half, said.append).output_dir
    assert logged(folder, "loss") == pytest.approx(logged(plain, "loss"), rel=2e-3)
    assert logged(folder, "grad_norm") == pytest.approx(logged(plain, "grad_norm"), rel=2e-2)
    assert {tensor.dtype for tensor in load_file(folder / WEIGHTS).values()} == {torch.float32}
    scaled = torch.load(folder / "checkpoint-2" / "scaler.pt", weights_only=True)
    assert scaled["scale"] == 2**16 and scaled["_growth_tracker"] == 2, "two steps whose gradients fitted"
    if not torch.cuda.is_available():
        assert any("bf16" in text for text in said)
    load(ModelSettings(model="tiny", adapter=folder), dtype=torch.bfloat16)


def test_float16_is_refused_where_nobody_has_trained_in_it(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "find_device", lambda: torch.device("mps"))
    with pytest.raises(HalfPrecisionRefused, match="'mps'; write bf16"):
        train(quick("--fp16=true"))


def steepen(monkeypatch: pytest.MonkeyPatch, steps: range) -> list[float]:
    """Make gradients of these steps too long for any number; return what B of all layers is at each step."""
    computed, found = AdapterTrainer.compute_loss, list[float]()

    def steep(self: AdapterTrainer, model: Any, *args: Any, **more: Any) -> Any:
        found.append(max(p.abs().max().item() for name, p in model.named_parameters() if "lora_B" in name))
        loss = computed(self, model, *args, **more)
        return loss + (loss - loss.detach()) * 1e38 * 1e4 if self.state.global_step in steps else loss

    monkeypatch.setattr(AdapterTrainer, "compute_loss", steep)
    return found


def test_a_step_of_float16_whose_gradient_overflows_is_left_out_and_the_next_one_learns(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = steepen(monkeypatch, range(1))
    result = train(quick(*FP16, "--max_steps=3", "--lr_scheduler_type=linear", "--plot_loss=true"))
    assert learned[:2] == [0, 0] and learned[2] > 0
    assert [norm < 1e6 for norm in logged(result.output_dir, "grad_norm")] == [False, True, True]
    rates = logged(result.output_dir, "learning_rate")
    assert rates[0] == rates[1] > rates[2], "a step that was left out does not count for the schedule"
    assert result.steps == 3 and (result.output_dir / "report.html").is_file()


def test_gradients_of_float16_that_overflow_without_scaling_end_the_run(
    quick: Quick, monkeypatch: pytest.MonkeyPatch
) -> None:
    steepen(monkeypatch, range(100))
    monkeypatch.setattr(torch.amp, "GradScaler", partial(torch.amp.GradScaler, init_scale=4.0))
    with pytest.raises(GradientNotFinite, match=r"step 3 .*use bf16 in place of fp16"):
        train(quick(*FP16, "--max_steps=9"))


def test_a_loss_of_float16_that_is_no_number_ends_the_run(quick: Quick, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = AdapterTrainer.compute_loss
    monkeypatch.setattr(
        AdapterTrainer, "compute_loss", lambda self, *args, **more: computed(self, *args, **more) * float("nan")
    )
    with pytest.raises(LossNotFinite, match=r"step 1 is nan.*use bf16 in place of fp16"):
        train(quick(*FP16))


def peft_model(kind: str, quantization: str) -> Any:
    from peft import LoraConfig, get_peft_model

    from model.adapters.moe_lora import MoeLoraConfig

    register_tuners()
    base = load(ModelSettings.model_validate({"model": "tiny", "quantization": quantization})).model
    targets = ["q_proj", "v_proj", "down_proj"]
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        if kind == "moe_lora":
            config: Any = MoeLoraConfig(r=4, num_experts=2, top_k=1, target_modules=targets, init_weights=False)
        else:
            config = LoraConfig(r=4, use_dora=kind == "dora", target_modules=targets, init_lora_weights=False)
        return get_peft_model(base, config)


@pytest.mark.parametrize("kind", ["lora", "dora", "moe_lora"])
def test_gradients_on_a_base_of_eight_bits_are_right_before_and_after_an_evaluation(kind: str) -> None:
    pytest.importorskip("bitsandbytes")
    inputs = {"input_ids": torch.arange(5, 25)[None], "labels": torch.arange(5, 25)[None]}

    def gradients(model: Any) -> list[torch.Tensor]:
        model.train().zero_grad()
        model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).loss.backward()
        return [p.grad.clone().flatten() for p in model.parameters() if p.grad is not None]

    eight = peft_model(kind, "int8")
    before = gradients(eight)
    with torch.no_grad():
        eight.eval()(**{name: tensor.to(eight.device) for name, tensor in inputs.items()})
    assert before and all(map(torch.equal, before, gradients(eight)))
    found, wanted = torch.cat(before), torch.cat(gradients(peft_model(kind, "none")))
    assert torch.nn.functional.cosine_similarity(found, wanted, dim=0) > 0.99


@pytest.mark.parametrize("kind", ["lora", pytest.param("moe_lora", marks=pytest.mark.slow)])
def test_an_adapter_trained_on_eight_bits_is_in_use_by_the_whole_base(quick: Quick, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("bitsandbytes")
    common = (f"--finetuning_type={kind}", "--max_steps=3", "--val_size=4", "--per_device_eval_batch_size=4")
    plain = train(quick(*common))
    eight = train(quick(*common, "--quantization_bit=8", f"--output_dir={tmp_path / 'eight'}"))
    found, wanted = logged(eight.output_dir, "loss"), logged(plain.output_dir, "loss")
    assert found == pytest.approx(wanted, rel=0.02) and found != wanted
    assert {tensor.dtype for tensor in load_file(eight.output_dir / WEIGHTS).values()} == {torch.float32}
    # what the whole base loses with the adapter of the base of eight bits, as the first step of training on
    folder = eight.output_dir
    again = (f"--adapter_name_or_path={folder}", "--max_steps=1", "--learning_rate=1e-12", "--val_size=4")
    more = train(quick(*again, "--per_device_eval_batch_size=4", f"--output_dir={tmp_path / 'more'}"))
    assert more.metrics["eval_loss"] == pytest.approx(eight.metrics["eval_loss"], rel=0.02)
    assert load(ModelSettings(model="tiny", adapter=folder)).quantization == "none"
