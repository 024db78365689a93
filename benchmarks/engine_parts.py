"""Single parts of the local engine, each measured without and with what was done to it, in turns in one run.

`python -m benchmarks.engine_parts [--layers 28] [--tokenizer FOLDER] [--parts ...]` writes random weights in the 2B
shape. The grammar is measured with the tokenizer of FOLDER (a `tokenizer.json`), else with the bundled one. Seconds are
medians; only their ratios outlive the machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.real_shapes import QUESTIONS, picture
from benchmarks.report import publish

ROOT = Path(__file__).parent.parent
PARTS = ("model", "load", "grammar", "ask")
ASK = ["-m", "cli.main", "ask", "How many objects are there?", "examples/shapes.png"]
PORT = 8797
Row = dict[str, Any]


def main() -> None:
    """Measure the parts, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, help="language layers; the real 28 when left out")
    parser.add_argument("--tokenizer", type=Path, help="folder of the true tokenizer, for the grammar")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        if {"model", "load"} & set(options.parts):
            from model.qwen3_vl.shapes import SHAPES, write_random

            write_random(SHAPES["2B"], folder, layers=options.layers)
        if "model" in options.parts:
            rows += in_the_model(folder, options.runs)
        if "load" in options.parts:
            rows += in_loading(folder, Path(temporary))
    if "grammar" in options.parts:
        rows += in_the_grammar(options.tokenizer, options.runs)
    if "ask" in options.parts:
        rows += in_asking(options.runs)
    layers = options.layers or 28
    publish("engine_parts", f"Parts of the engine, 2B shape with {layers} language layers, random weights", rows)


def row(part: str, before: list[float], now: list[float], unit: str = "s") -> Row:
    """Return a row with the medians and how many times smaller the second is."""
    first, second = statistics.median(before), statistics.median(now)
    return {"part": part, "without": first, "with": second, "unit": unit, "ratio": first / second}


def in_turns(runs: int, before: Callable[[], float], now: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Measure both by turns, after one unmeasured time each: whatever else the machine does meets both."""
    before(), now()
    pairs = [(before(), now()) for _ in range(runs)]
    return [first for first, _ in pairs], [second for _, second in pairs]


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def in_the_model(folder: Path, runs: int) -> list[Row]:
    """Measure the head, single rows and the patch embedding, in bfloat16."""
    import torch
    from transformers import DynamicCache

    from model.qwen3_vl.load import load
    from model.qwen3_vl.processor import encode
    from model.settings import ModelSettings

    loaded = load(ModelSettings(model=str(folder), quantization="none"), dtype=torch.bfloat16)
    model = loaded.model
    content = [{"type": "image", "image": picture(0)}, {"type": "text", "text": QUESTIONS[0]}]
    inputs = encode(loaded.processor, [{"role": "user", "content": content}])
    short = {name: tensor[:, -40:] for name, tensor in inputs.items() if name in ("input_ids", "attention_mask")}
    batch = {name: tensor.repeat(4, 1) for name, tensor in short.items()}
    ids = short["input_ids"]

    def first_token(prompt: dict[str, Any]) -> float:
        model.model.rope_deltas = None
        return seconds(lambda: model.generate(**prompt, max_new_tokens=1, do_sample=False))

    cache = DynamicCache(config=model.config.get_text_config())
    with torch.inference_mode():
        model.model.language_model(input_ids=ids, past_key_values=cache, use_cache=True)

        def token() -> float:
            model.model.rope_deltas = None  # of a batch that was asked before
            spent = seconds(lambda: model(input_ids=ids[:, :1], past_key_values=cache, use_cache=True))
            cache.crop(-1)
            return spent

        def look() -> float:
            return seconds(lambda: model.model.visual(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]))

        def plainly(measured: Callable[[], float], plain: Callable[[Any], Any]) -> Callable[[], float]:
            def run() -> float:
                with plain(model):
                    return measured()

            return run

        rows = []
        for part, measured, plain in (
            ("first token of a text of 40 tokens", lambda: first_token(short), plain_linears),
            ("first tokens of four such texts, as evaluation asks", lambda: first_token(batch), plain_linears),
            ("a further token", token, plain_linears),
            ("a picture of 640 x 480 in the vision tower", look, plain_patches),
        ):
            rows.append(row(part, *in_turns(runs, plainly(measured, plain), measured)))
    return rows


@contextmanager
def plain_linears(model: Any) -> Iterator[None]:
    """Let torch multiply by the linear layers as it does by itself."""
    from torch import nn

    from model.qwen3_vl.loading.cpu_linear import CpuLinear

    ours = [module for module in model.modules() if type(module) is CpuLinear]
    for module in ours:
        module.__class__ = nn.Linear  # type: ignore[assignment]
    try:
        yield
    finally:
        for module in ours:
            module.__class__ = CpuLinear


@contextmanager
def plain_patches(model: Any) -> Iterator[None]:
    """Embed patches by Conv3d, as transformers does by itself."""
    embedding = model.model.visual.patch_embed
    ours = type(embedding)
    embedding.__class__ = ours.__mro__[2]
    try:
        yield
    finally:
        embedding.__class__ = ours


def in_loading(folder: Path, home: Path) -> list[Row]:
    """Measure the first start, which converts, and the second, which reads; each in a process of its own."""
    script = (
        "import sys, time, torch, transformers; from model.qwen3_vl.load import load; "
        "from model.settings import ModelSettings; began = time.perf_counter(); "
        "load(ModelSettings(model=sys.argv[1], quantization=sys.argv[2], converted_gib=float(sys.argv[3])), "
        "dtype=torch.bfloat16); print(time.perf_counter() - began)"
    )

    def start(form: str, gib: str) -> float:
        environment = {**clean_environment(), "LORGNETTE_HOME": str(home)}
        command = [sys.executable, "-c", script, str(folder), form, gib]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, env=environment)
        return float(done.stdout)

    rows = []
    for form in ("nf4", "int8"):
        before = start(form, "0")
        start(form, "20")  # converts and keeps
        rows.append(row(f"loading {form}", [before], [start(form, "20")]))
    return rows


def clean_environment() -> dict[str, str]:
    """Return this environment without settings of Lorgnette's."""
    import os

    return {name: value for name, value in os.environ.items() if not name.startswith("LORGNETTE_")}


def in_the_grammar(folder: Path | None, runs: int) -> list[Row]:
    """Measure writing plans and reviews under their grammars, with scores from nowhere."""
    import torch
    from transformers import PreTrainedTokenizerFast

    from graph.answer import Review, TaskPlan
    from model.hub import tiny_folder
    from model.qwen3_vl.grammar import Closings, Grammars, JsonConstraint

    file = (folder or tiny_folder()) / "tokenizer.json"
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), eos_token="<|im_end|>")
    width = -(-len(tokenizer) // 128) * 128
    grammars = Grammars(tokenizer, [tokenizer.convert_tokens_to_ids("<|im_end|>")])
    masks = [0]
    real = Closings.mask

    def counted(self: Closings, matcher: Any, name: str) -> bytes:
        masks[0] += 1
        return real(self, matcher, name)

    random = torch.Generator().manual_seed(0)
    scores = [torch.randn(1, width, generator=random) for _ in range(64)]

    def write(constraint: JsonConstraint) -> int:
        written = 0
        while not constraint.is_complete and written < constraint.max_new_tokens:
            constraint.consume(int(constraint(torch.empty(1, 0), scores[written % len(scores)]).argmax()))
            written += 1
        return written

    rows = []
    Closings.mask = counted  # type: ignore[method-assign]
    for schema in (TaskPlan, Review):
        numbers: dict[bool, tuple[list[float], list[float]]] = {True: ([], []), False: ([], [])}
        for _ in range(runs):
            for searching in (True, False):
                constraint = grammars.constraint(schema.model_json_schema(), schema.__name__, 1024)
                if searching:
                    constraint._bound = None
                masks[0], began = 0, time.perf_counter()
                tokens = write(constraint)
                numbers[searching][0].append(1000 * (time.perf_counter() - began) / tokens)
                numbers[searching][1].append(masks[0] / tokens)
        name = f"{schema.__name__} under its grammar, {len(tokenizer):,} tokens known"
        rows.append(row(name, numbers[True][0], numbers[False][0], "ms a token"))
        rows.append(row(f"masks for a {schema.__name__}", numbers[True][1], numbers[False][1], "a token"))
    Closings.mask = real  # type: ignore[method-assign]
    return rows


def in_asking(runs: int) -> list[Row]:
    """Measure `lorgnette ask` on the bundled checkpoint: with everything imported, without, attached, handed over."""
    import os

    with tempfile.TemporaryDirectory() as home:
        environment = {**clean_environment(), "LORGNETTE_HOME": home}

        def ask(command: list[str], **extra: str) -> float:
            run = [sys.executable, *command]
            return seconds(
                lambda: subprocess.run(run, check=True, capture_output=True, cwd=ROOT, env={**environment, **extra})
            )

        whole = "from model.qwen3_vl.loading import lean_import as l; l.allow = lambda: None\n"
        whole += f"import sys; sys.argv = {['lorgnette', *ASK[2:]]!r}\nfrom cli.main import main; main()"
        alone = row("ask, alone", *in_turns(runs, lambda: ask(["-c", whole]), lambda: ask(ASK)))
        serve = [sys.executable, "-m", "cli.main", "serve", "--http", "--port", str(PORT), "--root", str(ROOT)]
        with subprocess.Popen(serve, stderr=subprocess.DEVNULL, cwd=ROOT, env=environment) as server:
            try:
                while not (Path(home) / "servers").is_dir() or not os.listdir(Path(home) / "servers"):
                    time.sleep(0.2)
                ask(ASK)
                attached = [*ASK, "--boxes", str(Path(home) / "boxes.png")]
                shared = row("ask, beside a server: its model, or the whole question", *in_turns(
                    runs, lambda: ask(attached), lambda: ask(ASK)))  # fmt: skip
            finally:
                server.terminate()
    return [alone, shared]


if __name__ == "__main__":
    main()
