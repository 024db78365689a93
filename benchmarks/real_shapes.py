"""What the true shape of a Qwen3-VL costs on this machine with every engine: load, memory, questions about a picture.

`python -m benchmarks.real_shapes [--size 2B] [--forms bf16 ov-int4 ...] [--folder DIR] [--openvino PYTHON]` writes a
folder of random weights, converts it for OpenVINO, and measures each form in a process of its own. The speed is the
real model's, the answers are noise. Engines beside ours: transformers' `from_pretrained` and `generate` with their
defaults, and OpenVINO GenAI's own pipeline, asked three times. A run with fewer layers has a results file of its own.

A question is a system text, a picture of 640 x 480 that is new unless said otherwise, and a sentence. Quoted: medians
of: the time to the first token (first), the same for another sentence about the same picture (follow-up), and three
sentences of 24 tokens each about one new picture (plan, answer, review).
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, cast

from benchmarks.report import publish

ROOT = Path(__file__).parent.parent
FORMS = ("plain", "fp32", "bf16", "int8", "nf4", "ov-int8", "ov-int4", "ov-own-int4", "llama.cpp")
DEFAULT = tuple(form for form in FORMS if form != "fp32")
SYSTEM = "You look at pictures and answer questions about them."
QUESTIONS = ("Describe this picture in one sentence.", "What is in its upper left corner?", "Is that answer right?")
TOKENS = 24
COLUMNS = (
    "load_s", "peak_rss_gib", "first_s", "followup_s", "plan_answer_review_s", "prefill_tokens_per_s",
    "decode_tokens_per_s",
)  # fmt: skip

Ask = Callable[[int, str, int], None]
"""Asks about the picture of that seed, with that sentence, for so many tokens."""


def main() -> None:
    """Write the folders, measure every form, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=("2B", "4B"), default="2B")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=DEFAULT)
    parser.add_argument("--layers", type=int, help="language layers; the real number when left out")
    parser.add_argument("--runs", type=int, default=3, help="of which the median is quoted")
    parser.add_argument("--name", default="real_shapes", help="of the results file; another for a few forms")
    parser.add_argument("--folder", type=Path, help="where checkpoint and conversions are kept for the next run")
    parser.add_argument("--openvino", default=sys.executable, help="Python that has openvino-genai beside our packages")
    parser.add_argument("--measure", nargs=2, metavar=("FORM", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        form, folder = options.measure
        sys.stdout.write(json.dumps(measure(form, Path(folder), options.runs)))
        return
    from model.qwen3_vl.shapes import SHAPES, write_random

    with contextlib.ExitStack() as stack:
        folder = options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if not (folder / "checkpoint").is_dir():
            write_random(SHAPES[options.size], folder / "checkpoint", layers=options.layers)
        weights = sum(file.stat().st_size for file in (folder / "checkpoint").glob("*.safetensors"))
        rows = []
        for form in options.forms:
            rows.append(in_own_process(form, folder, options.runs, options.openvino))
            sys.stderr.write(json.dumps(rows[-1]) + "\n")  # a run that is broken off has told what it knew
    layers = options.layers or SHAPES[options.size].layers
    publish(
        options.name if options.layers is None else f"{options.name}_{options.layers}_layers",
        f"Qwen3-VL-{options.size}, {layers} language layers, random weights, pictures of 640 x 480",
        [{key: value for key, value in row.items() if key not in ("threads", "prompt_tokens")} for row in rows],
        layers=layers, weights_gib=weights / 2**30, runs=options.runs, decoded_tokens=TOKENS,
        threads=next((row["threads"] for row in rows if "threads" in row), None),
        prompt_tokens=next((row["prompt_tokens"] for row in rows if "prompt_tokens" in row), None),
    )  # fmt: skip


def in_own_process(form: str, folder: Path, runs: int, openvino: str) -> dict[str, Any]:
    """Return the row of one form; one that cannot be had has the reason in place of numbers."""
    empty: dict[str, Any] = {"form": form, **dict.fromkeys(COLUMNS), "note": ""}
    if form == "llama.cpp":
        return empty | {"note": "skipped: nothing here makes a GGUF of random weights with their vision tower"}
    place, python = folder / "checkpoint", sys.executable
    if form.startswith("ov-"):
        python = openvino
        if subprocess.run([python, "-c", "import openvino_genai"], capture_output=True).returncode != 0:
            return empty | {"note": f"skipped: {python} has no openvino-genai"}
        place = folder / form.removeprefix("ov-")
        if problem := convert_once(folder / "checkpoint", place):
            return empty | {"note": f"skipped: {problem[:200]}"}
    command = [python, "-m", "benchmarks.real_shapes", "--measure", form, str(place), "--runs", str(runs)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", "")))}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"ended by signal {-done.returncode}"]
        return empty | {"note": f"does not run: {lines[-1][:200]}"}
    return empty | json.loads(done.stdout)


def convert_once(checkpoint: Path, out: Path) -> str:
    """Convert the checkpoint into the form that the folder is named for; return why it could not be done.

    What OpenVINO's own pipeline gets is as its own converter leaves it.
    """
    from common.home import data_home
    from model.errors import ModelError
    from model.openvino.convert import Weights, convert

    if out.is_dir():
        return ""
    weights, own = out.name.removeprefix("own-"), out.name.startswith("own-")
    try:
        convert(str(checkpoint), out, cast("Weights", weights), data_home() / "converter", remembers=not own)
    except ModelError as error:
        return str(error)
    return ""


def measure(form: str, folder: Path, runs: int) -> dict[str, Any]:
    """Load one form and ask it; runs in a process that did nothing before."""
    import_libraries(form)
    before = time.perf_counter()
    ask, note = open_form(form, folder)
    load_s = time.perf_counter() - before
    ask(99, QUESTIONS[0], 2)  # the first call makes buffers, and repacks weights
    first, followup, rest, whole = [], [], [], []
    for run in range(runs):
        first.append(timed(partial(ask, run, QUESTIONS[0], 1)))
        followup.append(timed(partial(ask, run, QUESTIONS[1], 1)))
        rest.append(timed(partial(ask, run, QUESTIONS[1], 1 + TOKENS)))
        whole.append(sum(timed(partial(ask, 1000 + run, question, TOKENS)) for question in QUESTIONS))
    again = statistics.median(followup)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    prompt = prompt_tokens(folder)
    return {
        "load_s": load_s,
        "peak_rss_gib": peak / 2**30,
        "first_s": statistics.median(first),
        "followup_s": again,
        "plan_answer_review_s": statistics.median(whole),
        "prefill_tokens_per_s": prompt / statistics.median(first),
        "decode_tokens_per_s": TOKENS / (statistics.median(rest) - again),
        "note": note,
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "prompt_tokens": prompt,
    }


def import_libraries(form: str) -> None:
    """Import what the form needs, so that the import is not in the time to load."""
    if form.startswith("ov-"):
        import openvino_genai  # noqa: F401
    else:
        import torch  # noqa: F401
        import transformers  # noqa: F401


def open_form(form: str, folder: Path) -> tuple[Ask, str]:
    """Return who answers in one form, and what is to be said about it."""
    if form == "plain":
        return plain(folder)
    if form.startswith("ov-own"):
        return own_pipeline(folder), "OpenVINO GenAI's VLMPipeline, its defaults"
    from langchain_core.messages import HumanMessage, SystemMessage

    from model.pictures.picture import Picture
    from model.settings import ModelSettings

    if form.startswith("ov-"):
        from model.open import open_chat

        chat: Any = open_chat(ModelSettings(model=f"openvino:{folder}"))[0]
    else:
        import torch

        from model.qwen3_vl.chat import ChatQwen3VL
        from model.qwen3_vl.load import load

        quantization = form if form in ("int8", "nf4") else "none"
        dtype = torch.float32 if form == "fp32" else torch.bfloat16
        settings = ModelSettings.model_validate({"model": str(folder), "quantization": quantization})
        chat = ChatQwen3VL(loaded=load(settings, dtype=dtype))

    def ask(seed: int, question: str, tokens: int) -> None:
        shown = Picture(str(seed), None, picture(seed), str(seed))
        messages = [
            SystemMessage(SYSTEM),
            HumanMessage([{"type": "image", "image": shown}, {"type": "text", "text": question}]),
        ]
        written = chat.invoke(messages, max_new_tokens=tokens).usage_metadata["output_tokens"]
        assert written == tokens, f"the model stopped after {written} of {tokens} tokens"

    return ask, "language layers only" if form in ("int8", "nf4") else ""


def plain(folder: Path) -> tuple[Ask, str]:
    """Return transformers' `generate` with its defaults, a whole reading for each question."""
    import torch
    from transformers import Qwen3VLForConditionalGeneration

    from model.qwen3_vl.processor import encode, load_processor

    model = Qwen3VLForConditionalGeneration.from_pretrained(folder)
    processor = load_processor(folder)

    def ask(seed: int, question: str, tokens: int) -> None:
        inputs = encode(processor, conversation(picture(seed), question))
        with torch.inference_mode():
            model.generate(**inputs, max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False)

    return ask, f"transformers' defaults: {str(model.dtype).removeprefix('torch.')}, Conv3d"


def own_pipeline(folder: Path) -> Ask:
    """Return OpenVINO GenAI's pipeline as its documentation uses it."""
    import numpy as np
    import openvino
    import openvino_genai

    pipeline = openvino_genai.VLMPipeline(str(folder), "CPU")

    def ask(seed: int, question: str, tokens: int) -> None:
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = tokens
        config.ignore_eos, config.do_sample = True, False
        image = openvino.Tensor(np.asarray(picture(seed))[None])
        history = openvino_genai.ChatHistory(
            [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
        )
        pipeline.generate(history, images=[image], generation_config=config)

    return ask


def conversation(image: Any, question: str) -> list[dict[str, Any]]:
    """Return one question as the processor takes it."""
    content = [{"type": "image", "image": image}, {"type": "text", "text": question}]
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}]


def prompt_tokens(folder: Path) -> int:
    """Return how many tokens the first question has: pictures of 640 x 480 have 300."""
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(folder / "tokenizer.json")).encode(f"{SYSTEM}{QUESTIONS[0]}").ids
    return 300 + len(words)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def picture(seed: int) -> Any:
    """Return 640 x 480 pixels of noise, the same for the same seed."""
    import numpy as np
    from PIL import Image

    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (480, 640, 3), dtype=np.uint8))


if __name__ == "__main__":
    main()
