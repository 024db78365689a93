"""Every kind of adapter that finetune trains: a step, saved, put on again, and asked as the server asks."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import BaseMessage, HumanMessage
from peft import IA3Config, LoraConfig, get_peft_model

from model.adapters.moe_lora import MoeLoraConfig, aux_loss
from model.pictures.picture import Picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import Loaded, load
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

pytestmark = pytest.mark.training

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
TASK: dict[str, Any] = {"task_type": "CAUSAL_LM"}
CONFIGS: dict[str, Any] = {
    "lora": lambda tokens: LoraConfig(r=4, target_modules=ATTENTION, **TASK),
    "rslora": lambda tokens: LoraConfig(r=4, target_modules=ATTENTION, use_rslora=True, **TASK),
    "dora": lambda tokens: LoraConfig(r=4, target_modules=ATTENTION, use_dora=True, **TASK),
    "alora": lambda tokens: LoraConfig(r=4, target_modules=ATTENTION, alora_invocation_tokens=tokens, **TASK),
    "ia3": lambda tokens: IA3Config(target_modules=["k_proj", "v_proj"], feedforward_modules=[], **TASK),
    "moe_lora": lambda tokens: MoeLoraConfig(r=2, target_modules=ATTENTION, **TASK),
    "by modality": lambda tokens: MoeLoraConfig(r=2, top_k=1, router="modality", target_modules=ATTENTION, **TASK),
    "mixing": lambda tokens: MoeLoraConfig(r=2, token_mixing=3, target_modules=ATTENTION, **TASK),
}


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def asked(picture: Picture, text: str) -> tuple[list[BaseMessage], list[dict[str, Any]]]:
    words = {"type": "text", "text": text}
    blocks: list[Any] = [{"type": "image", "image": picture}, words]
    return [HumanMessage(blocks)], [{"role": "user", "content": [{"type": "image", "image": picture.image}, words]}]


def forget_positions(model: Any) -> None:
    model.get_base_model().model.rope_deltas = None


def written(model: Any, loaded: Loaded, inputs: Any) -> str:
    """What transformers writes in one go, without any of our caches."""
    forget_positions(model)
    tokens = model.generate(**inputs, max_new_tokens=10, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    return str(loaded.processor.tokenizer.decode(tokens, skip_special_tokens=True)).rstrip("�")


@pytest.mark.parametrize("kind", CONFIGS)
def test_trained_saved_and_loaded_it_answers_as_it_was_trained(kind: str, picture: Picture, tmp_path: Path) -> None:
    base = load(ModelSettings(model="tiny"))
    tokenizer = base.processor.tokenizer
    invocation = tokenizer("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    torch.manual_seed(0)
    model = get_peft_model(base.model, CONFIGS[kind](invocation)).train()
    messages, turns = asked(picture, "How many objects are there?")
    inputs = encode(base.processor, turns)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.05)
    for _ in range(2):  # of LoRA, A begins to learn when B is no longer zero
        forget_positions(model)
        loss = model(**inputs, labels=inputs["input_ids"]).loss + aux_loss(model)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    model.eval().save_pretrained(str(tmp_path), save_embedding_layers=False)

    active_adapter = load(ModelSettings(model="tiny", adapter=tmp_path))
    with torch.no_grad():
        forget_positions(model)
        expected = model(**inputs).logits
        forget_positions(active_adapter.model)
        assert torch.equal(active_adapter.model(**inputs).logits, expected)
        with active_adapter.model.disable_adapter():
            assert (active_adapter.model(**inputs).logits - expected).abs().max() > 1e-3, "it learned something"

    chat = ChatQwen3VL(loaded=active_adapter, max_new_tokens=10)
    for text in ("How many objects are there?", "What colour is it?", "How many objects are there?"):
        messages, turns = asked(picture, text)
        answered = chat.invoke(messages).text.rstrip("�")  # as in `written`: bytes of no character
        assert answered == written(model, active_adapter, encode(active_adapter.processor, turns)), text
    chat.close()
