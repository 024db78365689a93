"""The bundled checkpoint before training: its tokenizer, its configuration and its processor's settings.

The classes, the special tokens and the chat format are Qwen3-VL's own; only the sizes are small.
"""

import re
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from finetune.data.drawn.protocol import compare_branch, picture_branch, plan_branches, reading_branches
from finetune.data.drawn.scenes import sample_scene
from finetune.tiny import words
from graph import prompts

if TYPE_CHECKING:
    from transformers import Qwen2Tokenizer, Qwen3VLConfig
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

SPECIAL_TOKENS = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
    "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
)  # fmt: skip
VOCAB_SIZE = 1400
HIDDEN_SIZE = 192
IGNORE_INDEX = -100  # where nothing is to be learned
PATCH_SIZE = 16
MERGE_SIZE = 2
# At 128 x 128 pixels six things share twelve visual tokens, and which colour belongs to which shape is hardly learned.
MIN_PIXELS = 144 * 144
MAX_PIXELS = 192 * 192
# Sizes that the processor's resizing gives to pictures of 64 to 2,000 pixels, in pixels (width, height).
SIZES = (
    (192, 192), (192, 192), (192, 192), (192, 160), (192, 160), (160, 192), (224, 160), (224, 160), (160, 224),
    (224, 128), (224, 128), (128, 224), (256, 128), (256, 128), (128, 256), (192, 128), (128, 192), (160, 160),
    (320, 96), (96, 320), (288, 96), (96, 288), (384, 96), (256, 96),
)  # fmt: skip


def build_tokenizer() -> "Qwen2Tokenizer":
    """Train a byte-level BPE on the tasks' own texts, with Qwen's pre-tokenizer and special tokens."""
    from transformers import Qwen2Tokenizer

    tokenizer = Qwen2Tokenizer().train_new_from_iterator(_corpus(), vocab_size=VOCAB_SIZE, show_progress=False)
    tokenizer.add_tokens(list(SPECIAL_TOKENS), special_tokens=True)
    tokenizer.pad_token, tokenizer.eos_token = "<|endoftext|>", "<|im_end|>"
    tokenizer.model_max_length = 4096
    tokenizer.padding_side = "left"
    tokenizer.chat_template = files("finetune.tiny").joinpath("chat_template.jinja").read_text("utf-8")
    return tokenizer


def _corpus() -> list[str]:
    rng, chinese = Random(1), re.compile("|".join(words.breaks()))
    lines = [prompts.SYSTEM] * 300  # stands before everything: the fewer tokens, the faster every answer
    lines += words.vocabulary() * 300
    for _ in range(1500):
        scenes = [sample_scene(rng, 96, 96, word=rng.random() < 0.3) for _ in range(2)]
        branches = [picture_branch(rng, scenes[0]) for _ in range(6)]
        branches += [compare_branch(rng, *scenes), *reading_branches(rng, 4, 2), *plan_branches(rng, 1)]
        lines += [line for branch in branches for turn in branch for line in (turn.text, turn.answer)]
    # Chinese has no spaces: without a break, "red circle" would be cut in another place than "circle" alone.
    return [chinese.sub(r"\n\g<0>\n", line) for line in lines]


# The norms of queries and keys bound an attention score by the root of the head's size times both gains: 5.7 at gains
# of 1, too little to single out one of a hundred tokens. Alone it does not suffice: without terse talks no named thing
# was found in 250 steps either.
SHARPNESS = 1.6
DEEPSTACK = [1, 2]  # blocks of the tower whose outputs are handed over too
VISION = {
    "depth": 4, "hidden_size": 128, "intermediate_size": 384, "num_heads": 4, "out_hidden_size": HIDDEN_SIZE,
    "patch_size": PATCH_SIZE, "spatial_merge_size": MERGE_SIZE, "temporal_patch_size": 2,
    "num_position_embeddings": 256, "deepstack_visual_indexes": DEEPSTACK,
}  # fmt: skip


def build_tower(seed: int) -> "Qwen3VLVisionModel":
    """Return the vision tower with random weights, which depend on the seed alone."""
    import torch
    from transformers.models.qwen3_vl.configuration_qwen3_vl import Qwen3VLVisionConfig
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

    torch.manual_seed(seed)
    return Qwen3VLVisionModel(Qwen3VLVisionConfig(**VISION))


def build_config(tokenizer: "Qwen2Tokenizer") -> "Qwen3VLConfig":
    """Return a Qwen3-VL of about 4.5 M parameters for this tokenizer."""
    from transformers import Qwen3VLConfig

    ids = {t: tokenizer.convert_tokens_to_ids(t) for t in SPECIAL_TOKENS}
    text = {
        "vocab_size": len(tokenizer), "hidden_size": HIDDEN_SIZE, "intermediate_size": 512, "num_hidden_layers": 6,
        "num_attention_heads": 6, "num_key_value_heads": 6, "head_dim": 32, "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5], "mrope_interleaved": True
        },
        "tie_word_embeddings": True, "eos_token_id": ids["<|im_end|>"], "pad_token_id": ids["<|endoftext|>"],
        "bos_token_id": None,
    }  # fmt: skip
    return Qwen3VLConfig(
        text_config=text,
        vision_config=VISION,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def save_untrained(folder: Path, seed: int = 0) -> None:
    """Write configuration, random weights, tokenizer and processor settings into the folder."""
    import torch
    from transformers import GenerationConfig, Qwen3VLForConditionalGeneration

    from model.qwen3_vl.processor import build_processor

    tokenizer = build_tokenizer()
    config = build_config(tokenizer)
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config)
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.q_norm.weight.fill_(SHARPNESS)
            layer.self_attn.k_norm.weight.fill_(SHARPNESS)
    model.generation_config = GenerationConfig(
        eos_token_id=config.text_config.eos_token_id, pad_token_id=config.text_config.pad_token_id, do_sample=False
    )
    model.save_pretrained(folder)
    build_processor(tokenizer, patch_size=PATCH_SIZE, min_pixels=MIN_PIXELS, max_pixels=MAX_PIXELS).save_pretrained(
        folder
    )
