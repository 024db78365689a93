"""Adapters of single nodes: each changes its own node's words, and all share what the base model has read."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from peft import LoraConfig, get_peft_model

from model.adapters.node_adapters import AdapterNotActivated, NotInvoked
from model.pictures.picture import Picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import AdaptersExclude, Loaded, load
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

pytestmark = pytest.mark.training

TARGETS = r"model\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj"


def save_adapter(folder: Path, invocation: str | None, seed: int) -> Path:
    """An adapter with strong random weights, activated by the given text."""
    loaded = load(ModelSettings(model="tiny"))
    tokens = loaded.processor.tokenizer(invocation, add_special_tokens=False)["input_ids"] if invocation else None
    torch.manual_seed(seed)
    config = LoraConfig(
        r=8, lora_alpha=64, target_modules=TARGETS, init_lora_weights=False, task_type="CAUSAL_LM",
        alora_invocation_tokens=tokens,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        get_peft_model(loaded.model, config).save_pretrained(str(folder), save_embedding_layers=False)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("node_adapters")
    return {
        node: save_adapter(home / node, "<|im_start|>assistant\n", seed)
        for seed, node in enumerate(("planner", "reviewer"))
    }


@pytest.fixture(scope="module")
def lensed(folders: dict[str, Path]) -> Loaded:
    return load(ModelSettings.model_validate({"model": "tiny", "node_adapters": folders}))


def conversation(picture: Picture, text: str = "Describe the picture.") -> list[BaseMessage]:
    blocks: list[Any] = [{"type": "image", "image": picture}, {"type": "text", "text": text}]
    return [SystemMessage("You see pictures."), HumanMessage(blocks)]


def test_a_lens_over_the_shared_prefix_says_what_peft_says_without_it(lensed: Loaded, picture: Picture) -> None:
    chat = ChatQwen3VL(loaded=lensed, max_new_tokens=12)
    chat.invoke(conversation(picture, "How many objects are there?"))
    replies = {node: chat.invoke(conversation(picture), node_adapter=node) for node in ("planner", "reviewer")}
    block = {"type": "image", "image": picture.image}
    inputs = encode(
        lensed.processor,
        [
            {"role": "system", "content": "You see pictures."},
            {"role": "user", "content": [block, {"type": "text", "text": "Describe the picture."}]},
        ],
    )
    for node, reply in replies.items():
        lensed.model.set_adapter(node)
        lensed.model.get_base_model().model.rope_deltas = None
        tokens = lensed.model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        assert reply.text == lensed.processor.tokenizer.decode(tokens, skip_special_tokens=True).rstrip("�"), node
        assert reply.usage_metadata is not None
        assert reply.usage_metadata["input_token_details"]["cache_read"] > inputs["input_ids"].shape[1] // 2
    chat.close()
    assert len({reply.text for reply in replies.values()}) == 2, "each has its own weights"


def test_the_base_model_speaks_where_no_lens_is_named(lensed: Loaded, loaded: Loaded, picture: Picture) -> None:
    with_node_adapters, without = (ChatQwen3VL(loaded=model, max_new_tokens=12) for model in (lensed, loaded))
    with_node_adapters.invoke(conversation(picture), node_adapter="planner")
    assert with_node_adapters.invoke(conversation(picture)).text == without.invoke(conversation(picture)).text
    with_node_adapters.close()
    without.close()


def test_what_a_lens_wrote_is_never_taken_for_the_base_models(lensed: Loaded, loaded: Loaded, picture: Picture) -> None:
    """The reviewer continues what the planner's lens wrote; its keys and values are not the base's."""
    with_node_adapters, without = (ChatQwen3VL(loaded=model, max_new_tokens=12) for model in (lensed, loaded))
    said = with_node_adapters.invoke(conversation(picture), node_adapter="planner")
    talk = [*conversation(picture), said, HumanMessage("How many objects are there?")]
    assert with_node_adapters.invoke(talk).text == without.invoke(talk).text
    with_node_adapters.close()
    without.close()


def test_an_adapter_that_is_not_activated_is_refused(tmp_path: Path) -> None:
    plain = save_adapter(tmp_path / "plain", None, 0)
    with pytest.raises(AdapterNotActivated, match="alora_invocation_tokens"):
        load(ModelSettings.model_validate({"model": "tiny", "node_adapters": {"planner": plain}}))


def test_one_adapter_for_all_and_one_for_a_node_exclude_each_other(folders: dict[str, Path]) -> None:
    both = {"model": "tiny", "adapter": folders["planner"], "node_adapters": folders}
    with pytest.raises(AdaptersExclude):
        load(ModelSettings.model_validate(both))


def test_an_adapter_whose_tokens_never_come_is_named(tmp_path: Path, picture: Picture) -> None:
    never = save_adapter(tmp_path / "never", "xylophone", 0)
    chat = ChatQwen3VL(
        loaded=load(ModelSettings.model_validate({"model": "tiny", "node_adapters": {"planner": never}}))
    )
    with pytest.raises(NotInvoked, match="planner"):
        chat.invoke(conversation(picture), node_adapter="planner")
    chat.close()


def test_node_adapters_are_a_mapping_and_settings_can_be_hashed(folders: dict[str, Path]) -> None:
    settings = ModelSettings.model_validate({"node_adapters": folders})
    assert dict(settings.node_adapters) == folders
    assert hash(settings) == hash(ModelSettings.model_validate({"node_adapters": folders}))
    with pytest.raises(ValueError, match="planner"):
        ModelSettings.model_validate({"node_adapters": {"cook": folders["planner"]}})
