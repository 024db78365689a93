"""What the keys of an adapter make of PEFT's configurations, and an activated LoRA that would never work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer

from finetune.adapters.parameter_count import count_on_meta
from finetune.adapters.peft_config import AdapterRefused, build_peft_config
from finetune.adapters.targets import FEEDFORWARD, TargetsUnmatched
from finetune.config.loading import load_config
from finetune.config.schema import FinetuneConfig
from finetune.training.invocation import NeverInvoked
from finetune.training.reporting.log import read_log
from finetune.training.train import train
from model.hub import tiny_folder

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
INVOCATION = "<|im_start|>assistant\n"


def made(*flags: str) -> Any:
    config = load_config(None, [*flags, "--lora_target=q_proj,down_proj"])
    return build_peft_config(config.adapter, config.model, AutoTokenizer.from_pretrained(tiny_folder()))


def test_the_keys_of_lora_are_pefts() -> None:
    plain = made("--lora_rank=16", "--lora_dropout=0.1", "--additional_target=embed_tokens")
    assert (plain.peft_type.value, plain.r, plain.lora_alpha, plain.lora_dropout) == ("LORA", 16, 32, 0.1)
    assert set(plain.target_modules) == {"q_proj", "down_proj"} and plain.modules_to_save == ["embed_tokens"]
    assert not plain.use_dora and not plain.use_rslora and plain.alora_invocation_tokens is None
    assert made("--use_dora").use_dora and made("--use_rslora").use_rslora
    assert made("--lora_alpha=7").lora_alpha == 7


def test_the_keys_of_the_other_tuners_are_theirs() -> None:
    ia3 = made("--finetuning_type=ia3")
    assert ia3.peft_type.value == "IA3" and set(ia3.feedforward_modules) == {"down_proj"} <= set(FEEDFORWARD)
    alora = made("--finetuning_type=alora", "--use_rslora")
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder())
    assert tokenizer.decode(alora.alora_invocation_tokens) == INVOCATION and alora.use_rslora
    mixture = made(
        "--finetuning_type=moe_lora", "--num_experts=6", "--top_k=3", "--router=modality", "--router_dropout=0.2",
        "--router_aux_loss_coef=0.5", "--token_mixing=4", "--lora_rank=2",
    )  # fmt: skip
    assert (mixture.peft_type.value, mixture.num_experts, mixture.top_k, mixture.router) == (
        "MOELORA",
        6,
        3,
        "modality",
    )
    assert (mixture.router_dropout, mixture.router_aux_loss_coef, mixture.token_mixing) == (0.2, 0.5, 4)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--finetuning_type=alora", "--lora_target=qkv"), "language model alone"),
        (("--finetuning_type=alora",), "language model alone"),
        (("--additional_target=lm_hed",), "take it out of additional_target, or choose among model, lm_head"),
    ],
)
def test_what_cannot_be_used_is_refused_without_any_weights(flags: tuple[str, ...], says: str) -> None:
    with pytest.raises((AdapterRefused, TargetsUnmatched), match=says):
        count_on_meta(load_config(None, ["--freeze_vision_tower=false", *flags]))


def test_an_activated_lora_that_no_row_invokes_is_refused(quick: Quick) -> None:
    """As a shell hands it over: a backslash and an n in the place of a new line."""
    with pytest.raises(NeverInvoked, match=r"No row holds .*alora_invocation"):
        train(quick("--finetuning_type=alora", "--max_steps=1", r"--alora_invocation=<|im_start|>assistant\n"))


def test_rows_that_an_activated_lora_learns_nothing_of_are_counted(quick: Quick, tmp_path: Path) -> None:
    said: list[str] = []
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        "\n".join(
            f'{{"messages": [{{"role": "user", "content": "{text}"}}, {{"role": "assistant", "content": "two"}}]}}'
            for text in ("count one", "say one", "count more")
        ),
        "utf-8",
    )
    flags = ("--finetuning_type=alora", "--max_steps=1", f"--dataset={rows}", "--alora_invocation=count")
    train(quick(*flags), say=said.append)
    assert any("1 rows do not hold alora_invocation" in line for line in said), said


def test_an_activated_lora_learns_the_same_with_activations_computed_again(quick: Quick, tmp_path: Path) -> None:
    def curve(name: str, *more: str) -> list[tuple[float, float]]:
        folder = tmp_path / name
        flags = ("--val_size=4", "--eval_strategy=steps", "--eval_steps=1", "--max_steps=3", "--report_samples=2")
        train(quick("--finetuning_type=alora", f"--output_dir={folder}", *flags, *more))
        lines = read_log(folder / "train_log.jsonl")
        return [(line["loss"], line["grad_norm"]) for line in lines if "loss" in line]

    kept = curve("kept")
    assert len(kept) == 3 and all(norm > 0 for _, norm in kept)
    assert np.allclose(curve("again", "--gradient_checkpointing"), kept, rtol=1e-4)
