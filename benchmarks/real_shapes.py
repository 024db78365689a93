"""What the true shape of a Qwen3-VL costs on this machine: load, memory, prefill and decode, in every form.

`python -m benchmarks.real_shapes [--size 2B] [--forms bf16 nf4 ...] [--layers 4]` writes a folder of random weights,
then measures each form in a process of its own, beside transformers' `from_pretrained` and `generate` with their
defaults. The speed is the real model's, the answers are noise. A run with fewer layers has a results file of its own.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.report import publish

ROOT = Path(__file__).parent.parent
FORMS = ("plain", "fp32", "bf16", "int8", "nf4")
QUESTION = "Describe this picture in one sentence."
COLUMNS = ("load_s", "peak_rss_gib", "prefill_tokens_per_s", "decode_tokens_per_s")


def main() -> None:
    """Write the folder, measure every form, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("2B", "4B"), default="2B")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--layers", type=int, help="language layers; the real number when left out")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is quoted")
    parser.add_argument("--tokens", type=int, default=16, help="decoded in each run")
    parser.add_argument("--measure", nargs=2, metavar=("FORM", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        form, folder = options.measure
        sys.stdout.write(json.dumps(measure(form, Path(folder), options.runs, options.tokens)))
        return
    from model.qwen3_vl.shapes import SHAPES, write_random

    with tempfile.TemporaryDirectory() as temporary:
        write_random(SHAPES[options.size], Path(temporary), layers=options.layers)
        weights = sum(file.stat().st_size for file in Path(temporary).glob("*.safetensors"))
        rows = [in_own_process(form, temporary, options.runs, options.tokens) for form in options.forms]
    layers = options.layers or SHAPES[options.size].layers
    publish(
        "real_shapes" if options.layers is None else f"real_shapes_{options.layers}_layers",
        f"Qwen3-VL-{options.size}, {layers} language layers, random weights, one picture of 640 x 480",
        [{key: value for key, value in row.items() if key not in ("threads", "prompt_tokens")} for row in rows],
        layers=layers, weights_gib=weights / 2**30, runs=options.runs, decoded_tokens=options.tokens,
        threads=next((row["threads"] for row in rows if "threads" in row), None),
        prompt_tokens=next((row["prompt_tokens"] for row in rows if "prompt_tokens" in row), None),
    )  # fmt: skip


def in_own_process(form: str, folder: str, runs: int, tokens: int) -> dict[str, Any]:
    """Return the row of one form; a form that fails has the reason in place of numbers."""
    command = [
        sys.executable, "-m", "benchmarks.real_shapes", "--measure", form, folder,
        "--runs", str(runs), "--tokens", str(tokens),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    empty: dict[str, Any] = {"form": form, **dict.fromkeys(COLUMNS), "note": ""}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"]
        return empty | {"note": f"does not run: {lines[-1][:200]}"}
    return empty | json.loads(done.stdout)


def measure(form: str, folder: Path, runs: int, tokens: int) -> dict[str, Any]:
    """Load one form and time it; runs in a process that did nothing before."""
    import torch
    import transformers  # noqa: F401 - so that the import is not in the time to load

    from model.qwen3_vl.processor import encode, load_processor

    before = time.perf_counter()
    model, note = load_form(form, folder)
    load_s = time.perf_counter() - before
    messages = [{"role": "user", "content": [
        {"type": "image", "image": picture()}, {"type": "text", "text": QUESTION},
    ]}]  # fmt: skip
    inputs = encode(load_processor(folder), messages).to(model.device)
    prompt = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        generate(model, inputs, 2)  # the first call makes buffers, and repacks quantised weights
        times = [generate(model, inputs, 1 + tokens) for _ in range(runs)]
    first = statistics.median(first for first, _ in times)
    rest = statistics.median(rest for _, rest in times)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {
        "load_s": load_s,
        "peak_rss_gib": peak / 2**30,
        "prefill_tokens_per_s": prompt / first,
        "decode_tokens_per_s": tokens / rest,
        "note": note,
        "threads": torch.get_num_threads(),
        "prompt_tokens": prompt,
    }


def load_form(form: str, folder: Path) -> tuple[Any, str]:
    """Return the model in one form, and what is to be said about it."""
    import torch

    if form == "plain":
        from transformers import Qwen3VLForConditionalGeneration

        model = Qwen3VLForConditionalGeneration.from_pretrained(folder)
        return model, f"transformers' defaults: {str(model.dtype).removeprefix('torch.')}, Conv3d"
    from model.qwen3_vl.load import load
    from model.settings import ModelSettings

    quantization = form if form in ("int8", "nf4") else "none"
    dtype = torch.float32 if form == "fp32" else torch.bfloat16
    settings = ModelSettings.model_validate({"model": str(folder), "quantization": quantization})
    return load(settings, dtype=dtype).model, "language layers only" if quantization != "none" else ""


def generate(model: Any, inputs: Any, tokens: int) -> tuple[float, float]:
    """Return the seconds to the first of exactly so many new tokens, the picture included, and from it to the last."""
    clock = Clock()
    before = time.perf_counter()
    output = model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, streamer=clock)
    assert output.shape[1] == inputs["input_ids"].shape[1] + tokens, "the model stopped early"
    first = clock.times[1]  # before it the streamer gets the prompt
    return first - before, clock.times[-1] - first


class Clock:
    """A streamer that notes when each token came."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, value: object) -> None:
        """Take a token."""
        self.times.append(time.perf_counter())

    def end(self) -> None:
        """Take the end."""


def picture() -> Any:
    """Return 640 x 480 pixels of noise, always the same."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8))


if __name__ == "__main__":
    main()
