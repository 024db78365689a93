"""The mixture of LoRA experts on the bundled checkpoint, entered as PEFT's users enter it."""

import pickle
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn import functional as F
from transformers import DynamicCache

from model.adapters import register_tuners
from model.adapters.moe_lora import (
    AuxLossLost,
    MergeRefused,
    MoeLoraConfig,
    aux_loss,
    counted,
    expert_usage,
    has_moe_lora,
    mean_entropy,
)
from model.adapters.moe_lora.layer import WeighingRefused
from model.adapters.moe_lora.mixing import EarlierTokensUnknown
from model.adapters.moe_lora.router import balance_loss, route
from model.adapters.moe_lora.tokens import ReentrantCheckpointing
from model.hub import tiny_folder
from model.qwen3_vl.processor import encode, load_processor

pytestmark = pytest.mark.training

ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LAYER = "model.language_model.layers.1.self_attn.v_proj"


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft asks transformers for what it has renamed, and the hub for a vocabulary
        yield


def base_model() -> Any:
    from transformers import Qwen3VLForConditionalGeneration

    return Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.float32).eval()


def wearing(seed: int = 0, base: Any = None, name: str = "default", **options: Any) -> Any:
    """The checkpoint with an adapter whose weights do something."""
    from peft import get_peft_model

    torch.manual_seed(seed)
    given = {"r": 4, "target_modules": ATTENTION, "init_weights": False, "task_type": "CAUSAL_LM", **options}
    return get_peft_model(base or base_model(), MoeLoraConfig(**given), adapter_name=name).eval()


@pytest.fixture(scope="module")
def inputs() -> dict[str, Any]:
    return question("How many objects are there?")


def question(text: str) -> dict[str, Any]:
    picture = Image.new("RGB", (96, 64), "white")
    picture.paste("red", (10, 10, 40, 40))
    blocks = [{"type": "image", "image": picture}, {"type": "text", "text": text}]
    return dict(encode(load_processor(tiny_folder()), [{"role": "user", "content": blocks}]))


@torch.no_grad()
def logits(model: Any, inputs: dict[str, Any], **more: Any) -> torch.Tensor:
    core = model.get_base_model() if hasattr(model, "get_base_model") else model
    core.model.rope_deltas = None
    found: torch.Tensor = model(**inputs, **more).logits
    return found


def layer_of(model: Any, name: str = LAYER) -> Any:
    return model.get_base_model().get_submodule(name)


def padded(inputs: dict[str, Any], before: int = 0, after: int = 0) -> dict[str, Any]:
    def pad(name: str, value: int) -> torch.Tensor:
        return F.pad(inputs[name], (before, after), value=value)

    texts = {"input_ids": pad("input_ids", 0), "attention_mask": pad("attention_mask", 0)}
    return {**inputs, **texts, "mm_token_type_ids": pad("mm_token_type_ids", 0)}


def labelled(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "labels": inputs["input_ids"]}


# What PEFT does with it


def test_it_begins_as_the_base_model(inputs: dict[str, Any]) -> None:
    model = wearing(init_weights=True)
    assert has_moe_lora(model) and not has_moe_lora(base_model())
    assert torch.equal(logits(model, inputs), logits(base_model(), inputs))


def test_saved_and_loaded_by_every_door_it_says_the_same(inputs: dict[str, Any], tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText

    model = wearing()
    model.peft_config["default"].base_model_name_or_path = str(tiny_folder())
    model.save_pretrained(tmp_path, save_embedding_layers=False)
    expected = logits(model, inputs)
    assert (expected - logits(base_model(), inputs)).abs().max() > 1e-3
    natively = base_model()
    natively.load_adapter(str(tmp_path))
    for loaded in (
        PeftModel.from_pretrained(base_model(), tmp_path),
        natively,
        AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32),
    ):
        assert torch.equal(logits(loaded.eval(), inputs), expected)


def test_adapters_are_switched_disabled_and_deleted(inputs: dict[str, Any]) -> None:
    model = wearing(0)
    first, base = logits(model, inputs), logits(base_model(), inputs)
    torch.manual_seed(1)
    config = MoeLoraConfig(r=2, num_experts=3, top_k=1, target_modules=["v_proj"], init_weights=False)
    model.add_adapter("other", config)
    assert torch.equal(logits(model, inputs), first), "one that is added is not in use yet"
    model.set_adapter("other")
    other = logits(model, inputs)
    assert (other - first).abs().max() > 1e-3
    with model.disable_adapter():
        assert torch.equal(logits(model, inputs), base)
    model.set_adapter("default")
    assert torch.equal(logits(model, inputs), first)
    model.set_adapter("other")
    model.delete_adapter("default")
    assert torch.equal(logits(model, inputs), other)
    assert set(layer_of(model).moelora_A) == {"other"} == set(layer_of(model).moelora_config)


@pytest.mark.parametrize("options", [{}, {"router": "modality"}, {"token_mixing": 3}])
def test_each_row_of_a_mixed_batch_gets_its_own_adapter(inputs: dict[str, Any], options: dict[str, Any]) -> None:
    model = wearing(0, **options)
    torch.manual_seed(1)
    model.add_adapter("other", MoeLoraConfig(r=2, target_modules=ATTENTION, init_weights=False, **options))
    alone = {"__base__": logits(base_model(), inputs)}
    for name in ("default", "other"):
        model.set_adapter(name)
        alone[name] = logits(model, inputs)
    names = ["other", "__base__", "default", "other"]
    batch = {key: torch.cat([value] * 4) for key, value in inputs.items()}
    for row, name in zip(logits(model, batch, adapter_names=names), names, strict=True):
        torch.testing.assert_close(row, alone[name][0], atol=2e-5, rtol=0)
    with pytest.raises(ValueError, match="no adapter"):
        logits(model, batch, adapter_names=["nobody"] * 4)
    assert not layer_of(model)._forward_pre_hooks, "no hook is left behind"


def test_it_sits_on_eight_and_four_bits(inputs: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    from model.qwen3_vl.load import load
    from model.settings import ModelSettings

    wearing().save_pretrained(tmp_path, save_embedding_layers=False)
    for quantization in ("nf4", "int8"):
        loaded = load(ModelSettings.model_validate({"quantization": quantization, "adapter": tmp_path}))
        active_adapter = logits(loaded.model, inputs)
        with loaded.model.disable_adapter():
            assert (active_adapter - logits(loaded.model, inputs)).abs().max() > 1e-3
        assert active_adapter.isfinite().all()


def test_merging_is_refused_with_the_reason_and_unloading_gives_the_base_back(inputs: dict[str, Any]) -> None:
    model = wearing(router="modality")
    for merge in (model.merge_and_unload, model.merge_adapter):
        with pytest.raises(MergeRefused, match="decided for each token"):
            merge()
    with pytest.raises(WeighingRefused, match="cannot be summed"):
        model.add_weighted_adapter(["default"], [1.0], "sum")
    base = model.unload()
    assert torch.equal(logits(base, inputs), logits(base_model(), inputs))
    assert not base.model.language_model._forward_pre_hooks and not base.model.language_model._forward_hooks


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"router": "picture"}, "router cannot be 'picture'"),
        ({"top_k": 5}, "top_k cannot be 5 among 4"),
        ({"router": "modality", "num_experts": 3}, "it takes an even one"),
        ({"router": "modality", "top_k": 3}, "among 2 of a modality"),
        ({"r": 0}, "r cannot be 0"),
        ({"token_mixing": 1}, "looks back on nothing"),
        ({"router_dropout": 1.0}, "router_dropout cannot be 1.0"),
        ({"router_aux_loss_coef": -1}, "not negative"),
        ({"router": "modality", "target_modules": ["attn.proj"]}, "works in the language model alone"),
        ({"token_mixing": 2, "target_modules": ["lm_head"]}, "works in the language model alone"),
        ({"target_modules": ["embed_tokens"]}, "'model.language_model.embed_tokens' is Embedding"),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wearing(**options)


def test_without_targets_it_takes_the_attention_of_the_text() -> None:
    names = wearing(target_modules=None).base_model.targeted_module_names
    assert len(names) == 4 * len(base_model().model.language_model.layers)
    assert all(".language_model.layers." in name and ".self_attn." in name for name in names)


# Formulas


def test_a_layer_is_what_a_loop_over_tokens_and_experts_says() -> None:
    model = wearing(num_experts=4, top_k=2, r=3, lora_alpha=5)
    layer = layer_of(model)
    torch.manual_seed(3)
    x = torch.randn(2, 5, layer.in_features)
    A, B, router = (getattr(layer, f"moelora_{name}")["default"] for name in ("A", "B", "router"))
    expected = layer.base_layer(x).clone()
    for b in range(2):
        for t in range(5):
            p = (router @ x[b, t]).softmax(-1)
            weights, experts = p.topk(2)
            for weight, e in zip(weights / weights.sum(), experts, strict=True):
                expert = B[:, 3 * e : 3 * e + 3] @ A[3 * e : 3 * e + 3]
                expected[b, t] += 5 / 3 * weight * (expert @ x[b, t])
    torch.testing.assert_close(layer(x), expected)


def test_one_expert_is_plain_lora_forward_and_backward(inputs: dict[str, Any]) -> None:
    from peft import LoraConfig, get_peft_model

    mine = wearing(num_experts=1, top_k=1, r=4, lora_alpha=6, lora_dropout=0.1)
    options: dict[str, Any] = {"r": 4, "lora_alpha": 6, "lora_dropout": 0.1, "target_modules": ATTENTION}
    plain = get_peft_model(base_model(), LoraConfig(**options)).eval()
    pairs = []
    for name, layer in mine.get_base_model().named_modules():
        if hasattr(layer, "moelora_A"):
            assert "default" not in layer.moelora_router, "there is nothing to route"
            theirs = plain.get_base_model().get_submodule(name)
            for own, other in ((layer.moelora_A, theirs.lora_A), (layer.moelora_B, theirs.lora_B)):
                pairs.append((own["default"], other["default"].weight))
                other["default"].weight.data.copy_(own["default"].data)
    torch.testing.assert_close(logits(mine, inputs), logits(plain, inputs), atol=5e-5, rtol=1e-5)
    for model in (mine.train(), plain.train()):
        torch.manual_seed(7)  # the same tokens are dropped
        model(**labelled(inputs)).loss.backward()
    assert aux_loss(mine) == 0
    for own, other in pairs:
        torch.testing.assert_close(own.grad, other.grad, atol=1e-6, rtol=1e-4)
    assert sum(own.grad.abs().sum() for own, _ in pairs) > 0


def test_with_one_expert_a_token_the_weight_is_its_probability_so_that_the_router_learns() -> None:
    (group,) = route(torch.tensor([[0.0, 1.0]]), 1)
    assert torch.equal(group.gates, torch.tensor([[0.0, 1.0]]) * torch.tensor([0.0, 1.0]).softmax(-1))


def test_the_router_computes_in_float32_whatever_the_model_does() -> None:
    layer = layer_of(wearing(base=base_model().bfloat16()))
    x = torch.randn(1, 3, layer.in_features, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (group,) = layer._route("default", x, layer._tokens(x))
    assert group.probabilities.dtype == torch.float32
    router = layer.moelora_router["default"].float()
    assert torch.equal(group.probabilities, F.linear(x.float(), router).softmax(-1))


def test_even_use_costs_one_and_one_expert_for_all_costs_the_number_of_experts() -> None:
    even = torch.eye(4).repeat(3, 1) * 50
    assert balance_loss(route(even, 1), 1).item() == pytest.approx(1)
    assert balance_loss(route(even[:1].repeat(12, 1), 1), 1).item() == pytest.approx(4)
    # two of three: choices (0,1), (0,2), shares 1/2 1/4 1/4, means by hand
    p = torch.tensor([[0.5, 0.4, 0.1], [0.6, 0.1, 0.3]])
    expected = 3 * (0.5 * 0.55 + 0.25 * 0.25 + 0.25 * 0.2)
    assert balance_loss(route(p.log(), 2), 2).item() == pytest.approx(expected)


def test_padding_does_not_count(inputs: dict[str, Any]) -> None:
    model = wearing().train()
    plain = model(**inputs) and aux_loss(model)
    for where in ({"before": 7}, {"after": 7}):
        model.get_base_model().model.rope_deltas = None
        model(**padded(inputs, **where))
        assert aux_loss(model).item() == pytest.approx(plain.item(), abs=1e-6), where
    tokens = {usage.tokens for usage in expert_usage(model, reset=True).values()}
    assert tokens == {3 * inputs["input_ids"].shape[1]}


# Pictures and text


def test_pictures_and_text_have_experts_of_their_own() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[..., 1], logits[..., 2] = 1.0, 2.0
    visual = torch.tensor([[True, False, True]])
    gates = torch.cat([group.gates for group in route(logits, 1, visual, modality=True)], dim=-1)[0]
    picture = torch.tensor([0.0, 1.0]).softmax(-1)[1]
    text = torch.tensor([2.0, 0.0]).softmax(-1)[0]
    assert torch.allclose(gates[0], torch.tensor([0.0, picture, 0.0, 0.0]))
    assert torch.allclose(gates[1], torch.tensor([0.0, 0.0, text, 0.0]))
    assert torch.equal(gates[0], gates[2])


def test_groups_are_balanced_each_for_itself_and_count_by_their_tokens() -> None:
    logits = torch.tensor([[50.0, 0, 0, 50], [50, 0, 50, 0], [50, 0, 0, 50]])
    visual = torch.tensor([True, False, False])
    # pictures: one token, one expert: 2; text: two tokens, both experts: 1
    assert balance_loss(route(logits, 1, visual, modality=True), 1).item() == pytest.approx((1 * 2 + 2 * 1) / 3)


def test_picture_experts_work_on_the_picture_alone(inputs: dict[str, Any]) -> None:
    """Half of the experts set to zero: of the picture's the text keys stay the base's, and the other way round."""
    plain = base_model().model.language_model.layers[0].self_attn.v_proj
    seen: dict[str, torch.Tensor] = {}
    visual = inputs["mm_token_type_ids"][0].bool()
    for silent in ("picture", "text"):
        model = wearing(router="modality", num_experts=2, top_k=1, r=4, target_modules=r".*layers\.0.*v_proj")
        layer = layer_of(model, "model.language_model.layers.0.self_attn.v_proj")
        half = slice(0, 4) if silent == "picture" else slice(4, 8)
        layer.moelora_B["default"].data[:, half] = 0
        layer.register_forward_hook(lambda module, args, out: seen.update(x=args[0], y=out))
        logits(model, inputs)
        changed = (seen["y"] - plain(seen["x"])).abs().amax(-1)[0] > 1e-7
        assert torch.equal(changed, ~visual if silent == "picture" else visual), silent


def test_what_is_written_is_text(inputs: dict[str, Any]) -> None:
    model = wearing(router="modality")
    with counted(model):
        model.generate(**inputs, max_new_tokens=4, min_new_tokens=4, do_sample=False)
    visual = int(inputs["mm_token_type_ids"].sum())
    for usage in expert_usage(model).values():
        assert usage.tokens == inputs["input_ids"].shape[1] + 3
        assert sum(usage.shares[:2]) == pytest.approx(visual / usage.tokens)


# Checkpointing


def gradients(model: Any, inputs: dict[str, Any], coef: float = 1.0) -> dict[str, torch.Tensor]:
    model.zero_grad()
    model.get_base_model().model.rope_deltas = None
    (model(**labelled(inputs), use_cache=False).loss + coef * aux_loss(model)).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": "all-linear"},
        {"router": "modality", "top_k": 1},
        {"token_mixing": 3, "target_modules": r".*language_model\.layers\..*proj"},
    ],
)
def test_gradients_are_the_same_under_checkpointing(inputs: dict[str, Any], options: dict[str, Any]) -> None:
    model = wearing(router_aux_loss_coef=0.5, **options).train()
    plain = gradients(model, inputs)
    usage = expert_usage(model, reset=True)
    without = gradients(model, inputs, coef=0.0)
    expert_usage(model, reset=True)
    model.get_base_model().activation_checkpointing_enable()
    model.enable_input_require_grads()
    checkpointed = gradients(model, inputs)
    assert checkpointed.keys() == plain.keys()
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, atol=1e-6, rtol=1e-4)
    assert any((plain[name] - without[name]).abs().max() > 1e-4 for name in plain if "router" in name)
    assert expert_usage(model) == usage, "what is computed twice counts once"


def test_a_batch_read_in_between_does_not_change_what_a_checkpoint_computes_again(inputs: dict[str, Any]) -> None:
    text = {"input_ids": inputs["input_ids"].clone().fill_(5), "attention_mask": inputs["attention_mask"]}
    model = wearing(router="modality", top_k=1).train()
    plain = gradients(model, inputs)
    model.get_base_model().activation_checkpointing_enable()
    model.enable_input_require_grads()
    model.zero_grad()
    model.get_base_model().model.rope_deltas = None
    loss = model(**labelled(inputs), use_cache=False).loss + aux_loss(model)
    model(**text, use_cache=False)
    loss.backward()
    for name, parameter in model.named_parameters():
        if name in plain:
            torch.testing.assert_close(parameter.grad, plain[name], atol=1e-6, rtol=1e-4)


def test_reentrant_checkpointing_is_refused(inputs: dict[str, Any]) -> None:
    model = wearing().train()
    model.get_base_model().activation_checkpointing_enable({"use_reentrant": True})
    with pytest.raises(ReentrantCheckpointing, match="use_reentrant"):
        model(**labelled(inputs), use_cache=False)


def test_a_loss_that_lost_its_gradient_is_refused() -> None:
    from torch.utils.checkpoint import checkpoint

    layer = layer_of(wearing()).train()
    x = torch.randn(1, 3, layer.in_features, requires_grad=True)
    checkpoint(layer, x, use_reentrant=True)
    with pytest.raises(AuxLossLost, match="use_reentrant"):
        aux_loss(layer)


# The use of experts


def test_usage_is_counted_by_hand_and_begins_anew() -> None:
    model = wearing(num_experts=4, top_k=1)
    layer = layer_of(model)
    layer.moelora_router["default"].data.zero_()
    layer.moelora_router["default"].data[:, 0] = torch.tensor([0.0, 9.0, 0.0, 0.0])
    layer.moelora_router["default"].data[:, 1] = torch.tensor([9.0, 0.0, 0.0, 0.0])
    x = torch.zeros(1, 4, layer.in_features)
    x[0, :3, 0], x[0, 3, 1] = 1.0, 1.0
    layer(x)
    assert expert_usage(model) == {}, "evaluation does not count by itself"
    with counted(model):
        layer(x)
    usage = expert_usage(model, reset=True)[LAYER]
    assert usage.shares == (0.25, 0.75, 0, 0) and usage.tokens == 4
    assert usage.mean_gates[1] == pytest.approx(0.75 * 0.9996, abs=1e-3)
    # -(1/4 log 1/4 + 3/4 log 3/4) / log 4
    assert usage.entropy == pytest.approx(0.40564, abs=1e-4)
    assert expert_usage(model) == {} and mean_entropy(model) == 1.0


# Token mixing


@pytest.mark.parametrize("batch", [1, 2])
def test_with_a_cache_it_writes_what_it_writes_without(inputs: dict[str, Any], batch: int) -> None:
    model = wearing(token_mixing=3, lora_alpha=32)
    rows = inputs
    if batch == 2:  # of different lengths, so that one is padded on the left
        text = "What is it? Say it in a few words."
        both = [inputs, question(text)]
        longest = max(one["input_ids"].shape[1] for one in both)
        both = [padded(one, before=longest - one["input_ids"].shape[1]) for one in both]
        rows = {key: torch.cat([one[key] for one in both]) for key in inputs}
    written = []
    for use_cache in (True, False):
        model.get_base_model().model.rope_deltas = None
        options: dict[str, Any] = {"max_new_tokens": 12, "min_new_tokens": 12, "do_sample": False}
        written.append(model.generate(**rows, **options, use_cache=use_cache, output_logits=True,
                                      return_dict_in_generate=True))  # fmt: skip
    assert torch.equal(written[0].sequences, written[1].sequences)
    for cached, fresh in zip(written[0].logits, written[1].logits, strict=True):
        torch.testing.assert_close(cached, fresh, atol=1e-4, rtol=1e-4)


def test_beams_take_the_mixing_with_them(inputs: dict[str, Any]) -> None:
    model = wearing(token_mixing=3, lora_alpha=32)
    written = []
    for use_cache in (True, False):
        model.get_base_model().model.rope_deltas = None
        options: dict[str, Any] = {"max_new_tokens": 8, "num_beams": 3, "do_sample": False}
        written.append(model.generate(**inputs, **options, use_cache=use_cache))
    assert torch.equal(*written)


def test_mixing_looks_back_and_never_ahead_and_not_into_padding(inputs: dict[str, Any]) -> None:
    model, unmixed = wearing(token_mixing=3), wearing(token_mixing=3)
    for module in unmixed.modules():
        if hasattr(module, "moelora_mixing"):
            module.moelora_mixing["default"].data.zero_()
    whole = logits(model, inputs)
    assert (whole - logits(unmixed, inputs)).abs().max() > 1e-4
    changed = {**inputs, "input_ids": inputs["input_ids"].clone()}
    changed["input_ids"][0, -1] = 7
    torch.testing.assert_close(logits(model, changed)[:, :-1], whole[:, :-1])
    torch.testing.assert_close(logits(model, padded(inputs, before=5))[:, 5:], whole, atol=1e-5, rtol=1e-4)


def test_packed_samples_do_not_mix(inputs: dict[str, Any]) -> None:
    model = wearing(token_mixing=4)
    first, second = torch.tensor([[5, 6, 7, 8]]), torch.tensor([[9, 10, 11]])
    alone = [logits(model, {"input_ids": ids}) for ids in (first, second)]
    places = torch.tensor([[0, 1, 2, 3, 0, 1, 2]])
    packed = {"input_ids": torch.cat([first, second], dim=1), "position_ids": places.expand(4, 1, -1)}
    torch.testing.assert_close(logits(model, packed, use_cache=False), torch.cat(alone, dim=1), atol=1e-5, rtol=1e-4)


def test_a_layer_mixes_what_a_loop_says() -> None:
    layer = layer_of(wearing(token_mixing=3, num_experts=1, top_k=1, r=2, lora_alpha=2))
    A, B, kernel = (getattr(layer, f"moelora_{name}")["default"] for name in ("A", "B", "mixing"))
    torch.manual_seed(3)
    x = torch.randn(1, 4, layer.in_features)
    z = x[0] @ A.T
    expected = layer.base_layer(x).clone()
    for t in range(4):
        mixed = z[t] + sum(kernel[j] * z[t - j] for j in range(3) if t >= j)
        expected[0, t] += B @ mixed
    torch.testing.assert_close(layer(x), expected)


def test_a_cache_that_another_model_filled_is_refused(inputs: dict[str, Any]) -> None:
    model = wearing(token_mixing=2)
    cache = DynamicCache(config=model.config.get_text_config())
    with model.disable_adapter():
        logits(model, {"input_ids": torch.tensor([[5, 6]])}, past_key_values=cache, use_cache=True)
    with pytest.raises(EarlierTokensUnknown, match="2 earlier tokens and the cache holds 0"):
        logits(model, {"input_ids": torch.tensor([[7]])}, past_key_values=cache, use_cache=True)


# Trainer


@pytest.mark.slow
def test_the_trainer_resumes_where_it_stopped(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    rows = [{"input_ids": [5 + i, 6, 7, 8], "labels": [5 + i, 6, 7, 8]} for i in range(8)]

    def run(model: Any, resume: bool, steps: int) -> Any:
        arguments = TrainingArguments(
            output_dir=str(tmp_path), max_steps=4, save_steps=2, per_device_train_batch_size=2, learning_rate=1e-2,
            report_to=[], seed=3, use_cpu=True, disable_tqdm=True, logging_strategy="no",
        )  # fmt: skip
        arguments.max_steps = steps if not resume else 4
        arguments.lr_scheduler_type = "constant"
        trainer = Trainer(model=model.train(), args=arguments, train_dataset=rows)
        trainer.train(resume_from_checkpoint=resume)
        return trainer

    whole = wearing(init_weights=True)
    run(whole, resume=False, steps=4)
    expected = {name: p.detach().clone() for name, p in whole.named_parameters() if p.requires_grad}
    (tmp_path / "checkpoint-4").rename(tmp_path / "whole")
    resumed = wearing(init_weights=True)
    assert run(resumed, resume=True, steps=4).state.global_step == 4
    saved = {file.name for file in (tmp_path / "checkpoint-2").iterdir()}
    assert "adapter_model.safetensors" in saved and "model.safetensors" not in saved
    for name, parameter in resumed.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.detach(), expected[name], atol=1e-6, rtol=1e-5)


def test_registering_twice_is_registering_once() -> None:
    from peft.utils import PeftType

    register_tuners()
    register_tuners()
    assert [kind.name for kind in PeftType].count("MOELORA") == 1
    assert PeftType("MOELORA") is PeftType["MOELORA"] is MoeLoraConfig().peft_type


@pytest.mark.slow
def test_a_configuration_is_unpickled_where_nothing_is_registered() -> None:
    read = "import pickle, sys; print(pickle.load(sys.stdin.buffer).peft_type.name)"
    done = subprocess.run([sys.executable, "-c", read], input=pickle.dumps(MoeLoraConfig()), capture_output=True)
    assert done.stdout.split() == [b"MOELORA"], done.stderr.decode()[-500:]
