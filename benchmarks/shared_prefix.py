"""A whole answer (plan, respond, review) with one look at the picture, beside a look for every node.

`python -m benchmarks.shared_prefix [--models tiny 100M 2B] [--runs 3]` runs the same three conversations three ways:
with the shared prefix, with it switched off, and the plain way, a fresh `generate` of transformers for each node. Same
weights, same texts, fp32, greedy, 32 new tokens a node; the tokens must be the same. All but `tiny` are random weights:
the speed is that of the shape, the words are noise.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report import publish

SIZES = ((640, 480), (1024, 768))
NEW_TOKENS = 32
QUESTIONS = ("How many objects are there?", "What color is the largest one?")
WAYS = ("plain", "no prefix", "prefix")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=("tiny", "100M", "2B"), default=["tiny", "100M", "2B"])
    parser.add_argument(
        "--runs", type=int, default=3, help="of which the median is quoted; 2B, which takes minutes, once"
    )
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as temporary:
            loaded = load_named(name, Path(temporary))
            for size in SIZES if name != "tiny" else SIZES[:1]:
                rows += measure(name, loaded, size, options.runs if name != "2B" else 1)
    publish("shared_prefix", "Plan, answer and review of one question, seconds (medians)", rows, runs=options.runs)


def load_named(name: str, folder: Path) -> Any:
    """Return the model, in fp32."""
    import torch

    from model.qwen3_vl.load import load
    from model.qwen3_vl.shapes import SHAPES, write_random
    from model.settings import ModelSettings

    if name == "tiny":
        return load(ModelSettings(model="tiny"))
    if name == "100M":
        write_small(folder)
    else:
        write_random(SHAPES[name], folder)
    return load(ModelSettings(model=str(folder), quantization="none"), dtype=torch.float32)


def write_small(folder: Path) -> None:
    """Write a Qwen3-VL of about 100 M parameters with random weights and the bundled tokenizer."""
    import torch
    from transformers import GenerationConfig, Qwen3VLForConditionalGeneration

    from finetune.tiny.build import build_config
    from model.hub import tiny_folder
    from model.qwen3_vl.processor import ImageTextProcessor, build_processor

    tokenizer = ImageTextProcessor.from_pretrained(tiny_folder()).tokenizer
    config = build_config(tokenizer)
    text, vision = config.text_config, config.vision_config
    text.hidden_size, text.intermediate_size, text.num_hidden_layers = 768, 2048, 12
    text.num_attention_heads, text.num_key_value_heads, text.head_dim = 12, 4, 64
    text.rope_parameters["mrope_section"] = [12, 10, 10]
    vision.depth, vision.hidden_size, vision.intermediate_size, vision.num_heads = 12, 384, 1536, 6
    vision.out_hidden_size, vision.deepstack_visual_indexes, vision.num_position_embeddings = 768, [3, 6, 9], 2304
    torch.manual_seed(0)
    model = Qwen3VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(eos_token_id=text.eos_token_id, pad_token_id=text.pad_token_id)
    model.save_pretrained(folder)
    build_processor(tokenizer, patch_size=16, min_pixels=65_536, max_pixels=16_777_216).save_pretrained(folder)


@dataclass(frozen=True)
class Said:
    """One node's words and times."""

    text: str
    first_s: float
    whole_s: float


Speak = Callable[[Sequence[Any]], Said]


def measure(name: str, loaded: Any, size: tuple[int, int], runs: int) -> list[dict[str, Any]]:
    """Return a row for each way."""
    ways = {way: [once(speaker(way, loaded), size, seed) for seed in range(runs)] for way in WAYS}
    rows = []
    for way, courses in ways.items():
        nodes = [[course[node] for course in courses] for node in range(4)]
        whole = statistics.median(sum(said.whole_s for said in course[:3]) for course in courses)
        plain = statistics.median(sum(said.whole_s for said in course[:3]) for course in ways["plain"])
        first = [statistics.median(said.first_s for said in node) for node in nodes]
        same = all(
            [said.text for said in course] == [said.text for said in other]
            for course, other in zip(courses, ways["plain"], strict=True)
        )
        rows.append({
            "model": name,
            "picture": f"{size[0]} x {size[1]}",
            "way": way,
            "first token: plan": first[0],
            "answer": first[1],
            "review": first[2],
            "2nd question": first[3],
            "whole answer": whole,
            "times faster": plain / whole,
            "same tokens": "yes" if same else "NO",
        })  # fmt: skip
    return rows


def once(speak: Speak, size: tuple[int, int], seed: int) -> list[Said]:
    """Plan, answer and review a question about a new picture, then answer another one about it."""
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

    from graph.prompts import ENGLISH, SYSTEM
    from model.pictures.picture import Picture

    image = {"type": "image", "image": Picture("noise", None, noise(size, seed), "")}

    def opening(text: str) -> list[Any]:
        return [SystemMessage(SYSTEM), HumanMessage([image, {"type": "text", "text": text}])]

    plan = speak(opening(ENGLISH.plan.format(question=QUESTIONS[0])))
    answer = speak(opening(QUESTIONS[0]))
    review = speak([*opening(QUESTIONS[0]), AIMessage(answer.text), HumanMessage(ENGLISH.review)])
    return [plan, answer, review, speak(opening(QUESTIONS[1]))]


def speaker(way: str, loaded: Any) -> Speak:
    """Return what answers a conversation in this way, remembering nothing of before."""
    if way == "plain":
        return lambda messages: generate_plainly(loaded, messages)
    from model.qwen3_vl.chat import ChatQwen3VL

    chat = ChatQwen3VL(loaded=loaded, max_new_tokens=NEW_TOKENS, prefix_cache_mib=1024 if way == "prefix" else 0)

    def speak(messages: Sequence[Any]) -> Said:
        with heads(loaded) as times:
            began = time.perf_counter()
            reply = chat.invoke(list(messages))
            whole = time.perf_counter() - began
        return Said(reply.text, times[-new_tokens(reply)] - began, whole)

    return speak


def generate_plainly(loaded: Any, messages: Sequence[Any]) -> Said:
    """Answer with transformers' own `generate`, as every node of a plain graph does."""
    from model.messages import for_processor, parse_messages
    from model.qwen3_vl.processor import encode

    began = time.perf_counter()
    inputs = encode(loaded.processor, [for_processor(turn) for turn in parse_messages(messages)])
    loaded.model.model.rope_deltas = None
    with heads(loaded) as times:
        output = loaded.model.generate(**inputs, max_new_tokens=NEW_TOKENS, do_sample=False)
    whole = time.perf_counter() - began
    new = output[0, inputs["input_ids"].shape[1] :]
    text = loaded.processor.tokenizer.decode(new, skip_special_tokens=True)
    return Said(text.rstrip("�"), times[-len(new)] - began, whole)


@contextmanager
def heads(loaded: Any) -> Iterator[list[float]]:
    """Note when the model has the logits of each token: text comes later, where tokens are halves of characters."""
    times: list[float] = []
    hook = loaded.model.lm_head.register_forward_hook(lambda *_: times.append(time.perf_counter()))
    try:
        yield times
    finally:
        hook.remove()


def new_tokens(reply: Any) -> int:
    """Return how many tokens the reply cost."""
    return int(reply.usage_metadata["output_tokens"])


def noise(size: tuple[int, int], seed: int) -> Any:
    """Return a picture that no other seed gives."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


if __name__ == "__main__":
    main()
