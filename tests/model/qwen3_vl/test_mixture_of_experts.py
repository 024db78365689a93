"""Qwen3-VL's mixture of experts (30B-A3B) by the code that loads all others: its own classes, random weights.

The proportions are those of the released model: 128 experts of which 8 answer for a token, four query heads for each
key-value head, deepstack features in the first layers; all widths are a sixteenth or less.
"""

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from langchain_core.messages import HumanMessage
from PIL import Image

from model.checkpoint import read_checkpoint
from model.hub import tiny_folder
from model.pictures.open import open_picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the bundled tokenizer and processor."""
    from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration

    folder = tmp_path_factory.mktemp("moe")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "processor_config.json",
                 "preprocessor_config.json", "video_preprocessor_config.json", "generation_config.json"):  # fmt: skip
        if (tiny_folder() / name).is_file():
            shutil.copy(tiny_folder() / name, folder)
    tiny = json.loads((tiny_folder() / "config.json").read_text("utf-8"))
    text = {
        "vocab_size": tiny["text_config"]["vocab_size"], "hidden_size": 128, "intermediate_size": 384,
        "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16,
        "moe_intermediate_size": 48, "num_experts": 128, "num_experts_per_tok": 8, "decoder_sparse_step": 1,
        "rope_parameters": {**tiny["text_config"]["rope_parameters"], "mrope_section": [4, 2, 2]},
        "tie_word_embeddings": False, **{key: tiny["text_config"].get(key) for key in ("eos_token_id", "pad_token_id")},
    }  # fmt: skip
    vision = {**tiny["vision_config"], "out_hidden_size": 128, "model_type": "qwen3_vl_moe_vision"}
    ids = {key: tiny[key] for key in tiny if key.endswith("_token_id")}
    config = Qwen3VLMoeConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **ids)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Qwen3VLMoeForConditionalGeneration(config).save_pretrained(str(folder))
    return folder


def test_its_weights_are_read_and_counted(folder: Path) -> None:
    checkpoint = read_checkpoint(folder)
    assert checkpoint.config["model_type"] == "qwen3_vl_moe"
    experts = [tensor for name, tensor in checkpoint.tensors.items() if ".experts." in name]
    assert experts and checkpoint.parameters > sum(tensor.values for tensor in experts)


def test_it_answers_the_same_with_the_shared_prefix_and_without(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "red.png")
    picture = open_picture("red.png", (tmp_path,))
    loaded = load(ModelSettings(model=str(folder)), dtype=torch.float32)
    assert type(loaded.model).__name__ == "Qwen3VLMoeForConditionalGeneration"
    answers = []
    for mib in (64, 0):
        chat = ChatQwen3VL(loaded=loaded, max_new_tokens=12, prefix_cache_mib=mib)
        shown: dict[str, object] = {"type": "image", "image": picture}
        asked = [HumanMessage([shown, {"type": "text", "text": text}]) for text in ("What is it?", "What color is it?")]
        answers += [chat.invoke([question]) for question in asked]
        chat.close()
    texts = [answer.text for answer in answers]
    assert texts[:2] == texts[2:]
    assert answers[1].usage_metadata is not None
    assert answers[1].usage_metadata["input_token_details"]["cache_read"] > 0
