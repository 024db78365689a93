"""What mixtures of LoRA experts write token by token, beside what they say of the whole text at once."""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import Qwen3VLForConditionalGeneration

from model.adapters.moe_lora import MoeLoraConfig, aux_loss
from model.adapters.moe_lora.mixing import CacheRefused
from model.hub import tiny_folder
from model.qwen3_vl.processor import encode, load_processor

pytestmark = pytest.mark.training

KINDS: dict[str, dict[str, Any]] = {
    "token": {"top_k": 1},
    "modality": {"router": "modality", "top_k": 1},
    "mixing by modality": {"router": "modality", "token_mixing": 3},
}
TEXTS = ("input_ids", "attention_mask", "mm_token_type_ids")


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def config(**options: Any) -> MoeLoraConfig:
    targets = ["q_proj", "v_proj", "down_proj"]
    return MoeLoraConfig(
        r=2, lora_alpha=16, target_modules=targets, init_weights=False, task_type="CAUSAL_LM", **options
    )


def wearing(**options: Any) -> Any:
    from peft import get_peft_model

    torch.manual_seed(0)
    base = Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.float32)
    return get_peft_model(base, config(**options)).eval()


def asked(*blocks: dict[str, Any] | str) -> dict[str, Any]:
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return dict(encode(load_processor(tiny_folder()), [{"role": "user", "content": content}]))


def picture(color: str, width: int = 64) -> dict[str, Any]:
    return {"type": "image", "image": Image.new("RGB", (width, 64), color)}


def questions() -> list[dict[str, Any]]:
    frames = [Image.new("RGB", (64, 64), color) for color in ("red", "blue", "green", "white")]
    return [
        asked(picture("red"), "beside", picture("blue", 96), "Which is larger?"),
        asked({"type": "video", "frames": frames}, "What comes?"),
        asked("Say yes."),
    ]


def together(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """One batch, padded on the left."""
    longest = max(row["input_ids"].shape[1] for row in rows)
    texts = {name: [F.pad(row[name], (longest - row[name].shape[1], 0)) for row in rows] for name in TEXTS}
    seen: dict[str, list[torch.Tensor]] = {}
    for row in rows:
        for name in row.keys() - set(TEXTS):
            seen.setdefault(name, []).append(row[name])
    return {name: torch.cat(parts) for name, parts in (texts | seen).items()}


def written(model: Any, inputs: dict[str, Any], **options: Any) -> Any:
    model.get_base_model().model.rope_deltas = None
    return model.generate(
        **inputs, max_new_tokens=5, min_new_tokens=5, do_sample=False, output_logits=True,
        return_dict_in_generate=True, **options,
    )  # fmt: skip


def same(some: Any, others: Any, row: int = 0, other_row: int = 0, rows: int = 1) -> None:
    mine, theirs = slice(row, row + rows), slice(other_row, other_row + rows)
    for one, other in zip(some.logits, others.logits, strict=True):
        torch.testing.assert_close(one[mine], other[theirs], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_frames_and_padded_rows_are_continued_as_the_whole_text_says(kind: str) -> None:
    model, rows = wearing(**KINDS[kind]), questions()
    batch = together(rows)
    cached = written(model, batch)
    same(cached, written(model, batch, use_cache=False), rows=3)
    for place, row in enumerate(rows):
        same(cached, written(model, row), place)
    same(cached, written(model, batch, prefill_chunk_size=7), rows=3)


@pytest.mark.parametrize("kind", KINDS)
def test_each_row_is_written_with_an_adapter_of_its_own(kind: str) -> None:
    model, rows = wearing(**KINDS[kind]), questions()
    torch.manual_seed(1)
    others = {**KINDS[kind], "num_experts": 6}
    model.add_adapter("other", config(**others))
    names = ["other", "__base__", "default"]
    mixed = written(model, together(rows), adapter_names=names)
    for place, (row, name) in enumerate(zip(rows, names, strict=True)):
        if name == "__base__":
            with model.disable_adapter():
                alone = written(model, row)
        else:
            model.set_adapter(name)
            alone = written(model, row)
        same(mixed, alone, place)
    beams = written(model, together(rows), adapter_names=names, num_beams=2)
    assert len(beams.sequences) == 3


def test_mixing_refuses_a_cache_that_cannot_keep_it_and_others_take_any() -> None:
    row = asked(picture("red"), "What?")
    routed = wearing(router="modality", top_k=1)
    same(written(routed, row), written(routed, row, cache_implementation="static"))
    with pytest.raises(CacheRefused, match="was given a StaticCache"):
        written(wearing(token_mixing=2), row, cache_implementation="static")


def test_no_cache_and_no_mask_outlives_its_question() -> None:
    model = wearing(router="modality", token_mixing=2)
    written(model, asked(picture("red"), "What?"))
    tokens = model.get_base_model().model.language_model.layers[0].self_attn.v_proj.notice.tokens
    assert tokens.cache is None and tokens.visual is None and tokens.counted is None


def test_a_copy_made_in_training_is_a_model_of_its_own() -> None:
    model, row = wearing(router="modality", top_k=1), asked(picture("red"), "What?")
    expected = written(model, row)
    model.train()(**row)
    copied = copy.deepcopy(model)
    assert aux_loss(copied) == 0 and aux_loss(model) > 0, "the loss is the first one's batch"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "moelora" in name:
                parameter.zero_()
    del model
    same(written(copied.eval(), row), expected)
