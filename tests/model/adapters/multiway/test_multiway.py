"""Multiway on a Qwen3-VL, entered as PEFT's users enter it: begun, saved, decoded, padded, packed, taken off."""

import copy
import subprocess
import sys
import warnings
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import DynamicCache, StaticCache

from model.adapters.attach import attach_adapter
from model.adapters.multiway import MergeRefused, MultiwayConfig, expert_shares, has_multiway, mean_entropy
from model.adapters.multiway.layer import CacheRefused, EarlierTokensUnknown, OneAtATime
from model.adapters.multiway.usage import multiway_layer
from model.hub import tiny_folder
from model.qwen3_vl.adapter_swap import take_off
from model.qwen3_vl.processor import encode, load_processor

pytestmark = pytest.mark.training

TEXTS = ("input_ids", "attention_mask", "mm_token_type_ids")
SMALL: dict[str, Any] = {
    "num_multiway_layers": 2, "num_fusion_layers": 1, "num_experts": 4, "top_k": 2, "expert_size": 16,
    "shared_expert_size": 16, "fusion_size": 32, "num_heads": 4, "head_dim": 16, "rope_dim": 16, "q_rank": 16,
    "kv_rank": 16, "init_weights": False, "task_type": "CAUSAL_LM",
}  # fmt: skip


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def base_model() -> Any:
    from transformers import Qwen3VLForConditionalGeneration

    return Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.float32).eval()


def wearing(seed: int = 0, **options: Any) -> Any:
    from peft import get_peft_model

    torch.manual_seed(seed)
    return get_peft_model(base_model(), MultiwayConfig(**{**SMALL, **options})).eval()


def asked(*blocks: dict[str, Any] | str) -> dict[str, Any]:
    content = [{"type": "text", "text": block} if isinstance(block, str) else block for block in blocks]
    return dict(encode(load_processor(tiny_folder()), [{"role": "user", "content": content}]))


def picture(color: str, width: int = 64) -> dict[str, Any]:
    return {"type": "image", "image": Image.new("RGB", (width, 64), color)}


@pytest.fixture(scope="module")
def inputs() -> dict[str, Any]:
    return asked(picture("red", 96), "How many objects are there?")


@torch.no_grad()
def logits(model: Any, inputs: dict[str, Any], **more: Any) -> torch.Tensor:
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    core.model.rope_deltas = None
    found: torch.Tensor = model(**inputs, **more).logits
    return found


def test_it_begins_as_the_base_model_and_switched_off_it_is_that_again(inputs: dict[str, Any]) -> None:
    expected = logits(base_model(), inputs)
    assert torch.equal(logits(wearing(init_weights=True), inputs), expected)
    model = wearing()
    assert has_multiway(model) and not has_multiway(base_model())
    assert (logits(model, inputs) - expected).abs().max() > 1e-3
    with model.disable_adapter():
        assert torch.equal(logits(model, inputs), expected)
    assert torch.equal(logits(take_off(copy.deepcopy(model)), inputs), expected)
    assert torch.equal(logits(model.unload(), inputs), expected)


def test_saved_and_loaded_by_every_door_it_says_the_same(inputs: dict[str, Any], tmp_path: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    model = wearing()
    layer = multiway_layer(model)
    assert layer is not None
    working = layer.working()
    assert working is not None
    for experts in working[1].experts():
        experts.bias.normal_()  # what balancing learns is saved, too
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    expected = logits(model, inputs)
    natively = base_model()
    natively.load_adapter(str(tmp_path))
    for loaded in (PeftModel.from_pretrained(base_model(), tmp_path), natively.eval(),
                   attach_adapter(base_model(), tmp_path, name="captions")):  # fmt: skip
        assert torch.equal(logits(loaded, inputs), expected)
    names = list(load_file(tmp_path / "adapter_model.safetensors"))
    assert all("multiway_module" in name for name in names) and any(name.endswith("text.bias") for name in names)


def test_a_process_that_never_heard_of_it_loads_it(tmp_path: Path) -> None:
    wearing().save_pretrained(tmp_path, save_embedding_layers=False)
    code = (
        "import sys; from model.adapters.attach import read_adapter; from pathlib import Path;"
        "print(type(read_adapter(Path(sys.argv[1]))[0]).__name__)"
    )
    told = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "MultiwayConfig"


def test_with_its_cache_it_says_what_it_says_of_the_whole_text(inputs: dict[str, Any]) -> None:
    model, core = wearing(), None
    whole = logits(model, inputs)
    core = model.get_base_model()
    for cut in (3, inputs["input_ids"].shape[1] - 4):
        cut = cut if cut == 3 else int(inputs["mm_token_type_ids"][0].nonzero()[-1]) + 2
        positions, _ = core.model.get_rope_index(
            inputs["input_ids"], inputs["mm_token_type_ids"], inputs["image_grid_thw"]
        )
        cache, found = DynamicCache(config=core.config.get_text_config()), []
        ends = [0, cut, cut + 2, *range(cut + 3, inputs["input_ids"].shape[1] + 1)]
        for begin, end in pairwise(ends):
            sees = bool(inputs["mm_token_type_ids"][0, begin:end].any())
            if sees and cut == 3:
                break  # a picture is read as a whole, below
            pixels = {k: inputs[k] for k in ("pixel_values", "image_grid_thw")} if sees else {}
            with torch.no_grad():
                found.append(model(
                    input_ids=inputs["input_ids"][:, begin:end], position_ids=positions[:, :, begin:end],
                    past_key_values=cache, use_cache=True, **pixels,
                ).logits)  # fmt: skip
        read = torch.cat(found, dim=1)
        assert torch.allclose(read, whole[:, : read.shape[1]], atol=1e-4)
    assert read.shape[1] == whole.shape[1]
    assert len(cache.layers) == core.config.get_text_config().num_hidden_layers + 3


def test_generation_writes_what_the_full_forward_says_with_a_batch_and_with_one(inputs: dict[str, Any]) -> None:
    model = wearing()
    other = asked("Hello?")
    length, short = inputs["input_ids"].shape[1], other["input_ids"].shape[1]
    both = {
        name: torch.cat([inputs[name], F.pad(other[name], (length - short, 0))]) for name in TEXTS
    } | {name: inputs[name] for name in ("pixel_values", "image_grid_thw")}  # fmt: skip
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": -1, "pad_token_id": 0}

    def written(given: dict[str, Any], **more: Any) -> torch.Tensor:
        model.get_base_model().model.rope_deltas = None
        found: torch.Tensor = model.generate(**given, **{**options, **more})
        return found[:, given["input_ids"].shape[1] :]

    alone = [written(inputs), written(other)]
    assert torch.equal(torch.cat(alone), written(both))
    assert torch.equal(alone[0], written(inputs, use_cache=False))
    grown = {name: torch.cat([inputs[name], alone[0] if name == "input_ids" else torch.full_like(
        alone[0], int(name == "attention_mask"))], dim=1) for name in TEXTS}  # fmt: skip
    full = logits(model, {**inputs, **grown})[:, length - 1 : -1].argmax(-1)
    assert torch.equal(full, alone[0])


def test_beams_reorder_its_cache_too() -> None:
    model, given = wearing(), asked("Hello?")
    options = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": -1, "pad_token_id": 0, "num_beams": 3}
    found = []
    for use_cache in (True, False):
        model.get_base_model().model.rope_deltas = None
        found.append(model.generate(**given, **options, use_cache=use_cache))
    assert torch.equal(*found)


def test_a_row_says_the_same_alone_and_padded_on_either_side(inputs: dict[str, Any]) -> None:
    model = wearing()
    expected = logits(model, inputs)
    for before, after in ((3, 0), (0, 3)):
        padded = {**inputs, **{name: F.pad(inputs[name], (before, after)) for name in TEXTS}}
        found = logits(model, padded)[:, before : before + expected.shape[1]]
        assert torch.allclose(found, expected, atol=1e-4)


def test_packed_rows_do_not_see_one_another() -> None:
    model = wearing()
    first, second = asked("Hello?"), asked("What is it now?")
    apart = torch.cat([logits(model, first), logits(model, second)], dim=1)
    ids = torch.cat([first["input_ids"], second["input_ids"]], dim=1)
    places = torch.cat([torch.arange(given["input_ids"].shape[1]) for given in (first, second)])
    packed = {"input_ids": ids, "position_ids": places.expand(4, 1, -1), "use_cache": False}
    assert torch.allclose(logits(model, packed), apart, atol=1e-4)


def test_a_foreign_cache_is_refused(inputs: dict[str, Any]) -> None:
    model, given = wearing(), asked("Hello?")
    cache = DynamicCache(config=model.get_base_model().config.get_text_config())
    with model.disable_adapter():
        logits(model, given, past_key_values=cache)
    with pytest.raises(EarlierTokensUnknown, match="new DynamicCache"):
        logits(model, {"input_ids": given["input_ids"][:, :1]}, past_key_values=cache)
    static = StaticCache(config=model.get_base_model().config.get_text_config(), max_cache_len=64)
    with pytest.raises(CacheRefused, match="StaticCache"):
        logits(model, given, past_key_values=static)


def test_what_it_cannot_do_is_refused(inputs: dict[str, Any]) -> None:
    model = wearing()
    with pytest.raises(MergeRefused):
        model.merge_and_unload()
    with pytest.raises(ValueError, match="adapter_names"):
        model(**inputs, adapter_names=["default"])
    model.add_adapter("other", MultiwayConfig(**SMALL))
    model.base_model.set_adapter(["default", "other"])
    with pytest.raises(OneAtATime):
        logits(model, inputs)
    model.set_adapter("other")
    second = logits(model, inputs)
    model.set_adapter("default")
    assert not torch.equal(second, logits(model, inputs))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_only_the_module_learns_and_checkpointing_changes_no_gradient(
    inputs: dict[str, Any], checkpointing: bool
) -> None:
    model = wearing().train()
    if checkpointing:
        model.get_base_model().gradient_checkpointing_enable({"use_reentrant": False})
        model.enable_input_require_grads()
    for _ in range(2):  # the second pass chooses by a bias that the first one moved
        model.zero_grad()
        model.get_base_model().model.rope_deltas = None
        model(**inputs, labels=inputs["input_ids"], use_cache=False).loss.backward()
    learnt = {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
    assert learnt and all("multiway_" in name and grad is not None for name, grad in learnt.items())
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)
    shares = expert_shares(model, reset=True)
    assert set(shares) == {"0.text", "0.vision", "1.text", "1.vision"} and 0 < mean_entropy(shares) <= 1
    assert not expert_shares(model)
    sums = torch.stack([grad.abs().sum() for grad in learnt.values() if grad is not None])
    plain = wearing().train()
    for _ in range(2):
        plain.zero_grad()
        plain.get_base_model().model.rope_deltas = None
        plain(**inputs, labels=inputs["input_ids"], use_cache=False).loss.backward()
    expected = torch.stack([p.grad.abs().sum() for p in plain.parameters() if p.grad is not None])
    assert torch.allclose(sums, expected, rtol=1e-4)


def test_it_works_in_low_precision_too(inputs: dict[str, Any]) -> None:
    from peft import get_peft_model

    model = get_peft_model(base_model().bfloat16(), MultiwayConfig(**SMALL)).eval()
    given = {k: v.bfloat16() if v.is_floating_point() else v for k, v in inputs.items()}
    assert logits(model, given).dtype == torch.bfloat16 and logits(model, given).isfinite().all()
