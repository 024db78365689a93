"""The true shapes of the Qwen3-VL models that this product is meant for, and folders of that shape with random weights.

The numbers are those of the released config.json files. Holds no trained weights: a random folder answers nonsense,
in the time and the memory of the real model.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from model.hub import tiny_folder

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase, Qwen3VLConfig

SHARD_BYTES = 2 * 2**30
MIN_PIXELS, MAX_PIXELS = 65_536, 16_777_216  # of a picture, as the released preprocessor_config.json says
VIDEO_PIXELS = {"shortest_edge": 4_096, "longest_edge": 25_165_824}  # of a whole video


@dataclass(frozen=True)
class Shape:
    """What differs between the sizes; everything else is in `build_config`."""

    model: str
    """Hub id."""
    parameters: int
    """Of the whole model, the tied head counted once."""
    hidden_size: int
    layers: int
    heads: int
    intermediate_size: int


SHAPES = {
    "2B": Shape("Qwen/Qwen3-VL-2B-Instruct", 2_127_532_032, 2048, 28, 16, 6144),
    "4B": Shape("Qwen/Qwen3-VL-4B-Instruct", 4_437_815_808, 2560, 36, 32, 9728),
}


def build_config(
    shape: Shape, *, layers: int | None = None, tokenizer: "PreTrainedTokenizerBase | None" = None
) -> "Qwen3VLConfig":
    """Return the configuration of a shape.

    Args:
        shape: One of `SHAPES`.
        layers: Fewer language layers than the real model has, for a quick run.
        tokenizer: Another tokenizer than the released one, whose ids then stand for pictures and turns.
    """
    from transformers import Qwen3VLConfig

    ids = {
        "image_token_id": 151655, "video_token_id": 151656,
        "vision_start_token_id": 151652, "vision_end_token_id": 151653,
    }  # fmt: skip
    ends, pads = 151645, 151643
    if tokenizer is not None:
        names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
        ids = dict(zip(ids, tokenizer.convert_tokens_to_ids(list(names)), strict=True))
        ends, pads = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    text = {
        "vocab_size": 151936,
        "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size,
        "num_hidden_layers": layers or shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 262_144,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5_000_000.0,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
        "tie_word_embeddings": True,
        "eos_token_id": ends,
        "pad_token_id": pads,
    }
    vision = {
        "depth": 24,
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_heads": 16,
        "patch_size": 16,
        "temporal_patch_size": 2,
        "spatial_merge_size": 2,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [5, 11, 17],
        "out_hidden_size": shape.hidden_size,
    }
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **ids)


def build_on_meta(config: "Qwen3VLConfig") -> "torch.nn.Module":
    """Return the model without memory: names, shapes and counts, no values."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    with torch.device("meta"):
        return Qwen3VLForConditionalGeneration(config)


def write_random(shape: Shape, folder: Path, *, layers: int | None = None, seed: int = 0) -> None:
    """Write a folder as the hub has it: bfloat16 shards with an index, tokenizer, processor settings.

    The tokenizer is the bundled one, so that the folder needs no download; the vocabulary keeps its true size. Uses
    the memory of one shard.
    """
    from transformers import AutoTokenizer

    from model.qwen3_vl.processor import build_processor

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder())
    config = build_config(shape, layers=layers, tokenizer=tokenizer)
    config.architectures = ["Qwen3VLForConditionalGeneration"]
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = build_processor(tokenizer, patch_size=16, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS)
    processor.image_processor.save_pretrained(folder)  # preprocessor_config.json, the hub's layout
    (folder / "video_preprocessor_config.json").write_text(json.dumps({"size": VIDEO_PIXELS}), encoding="utf-8")
    _write_weights(build_on_meta(config), folder, seed)


def _write_weights(model: "torch.nn.Module", folder: Path, seed: int) -> None:
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(seed)
    shards = list(_shards({name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}))
    weight_map: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        tensors = {}
        for name, shape in shard.items():
            value = torch.empty(shape, dtype=torch.bfloat16)
            # norms near one and everything else small, as in a model before training: no overflow on the way through
            norm = "norm" in name and name.endswith("weight")
            tensors[name] = value.fill_(1.0) if norm else value.normal_(0.0, 0.02, generator=generator)
        save_file(tensors, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(shard, file)
    index = {"metadata": {"total_size": 2 * sum(p.numel() for p in model.parameters())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _shards(tensors: "dict[str, torch.Tensor]") -> "Iterator[dict[str, torch.Size]]":
    shard: dict[str, torch.Size] = {}
    size = 0
    for name, tensor in tensors.items():
        if shard and size + 2 * tensor.numel() > SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor.shape
        size += 2 * tensor.numel()
    yield shard
