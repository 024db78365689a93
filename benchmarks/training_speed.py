"""A training step, its memory and its loss: ours beside TRL's SFTTrainer and transformers' own Trainer.

`python -m benchmarks.training_speed [--shapes tiny 100M] [--dtypes float32 bfloat16] [--questions 1 3]` trains LoRA and
MoE-LoRA on the same drawn pictures of 640 x 480 with every trainer in a process of its own: same base, first weights,
batches, optimizer, learning rates and dtype. They take turns, one step each, so that whatever else the machine does
meets all of them alike; a step is the processor time of its one thread (seconds, on a GPU), from the reading of its
rows to the new weights, and the first ones do not count. Whole runs hold what is done once, too: for ours the rows and
what the vision tower sees. With several questions about each picture, ours puts them behind one copy of it
(`share_pictures`), and the others have the same rows in a batch. `--short` takes a minute and publishes nothing;
`--shapes 2B` or `4B` is for a GPU. `--tuners LoRA MoE-LoRA Multiway --trainers ours --name multiway_speed` sets our
adapters side by side.

LLaMA-Factory 0.9.5 is not among them: its pins install in an environment of their own (transformers 5.6, PEFT 0.18.1),
but bring a torchvision that is built for CUDA, beside which its transformers cannot import Qwen3-VL without a GPU.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.report import publish, show
from benchmarks.training_arms import TRAINERS, Job, work

SIZE = (640, 480)
# As many numbers are trained in a square layer with either; LoRA of rank 8, the usual one, does a step in less.
TUNERS = {
    "LoRA": ("--finetuning_type=lora", "--lora_rank=18"),
    "MoE-LoRA": ("--finetuning_type=moe_lora", "--lora_rank=4", "--num_experts=4", "--top_k=2"),
    "Multiway": ("--finetuning_type=multiway", "--num_multiway_layers=1", "--num_fusion_layers=1"),
}
# It stands in front of the decoder, not in its layers: as many numbers as the others train in a shape's linear layers.
MULTIWAY = {
    "tiny": {
        "num_experts": 4, "top_k": 2, "expert_size": 24, "shared_expert_size": 48, "fusion_size": 155,
        "attention_heads": 4, "attention_head_dim": 32, "attention_rope_dim": 16, "q_rank": 32, "kv_rank": 32,
    },
    "100M": {
        "num_experts": 4, "top_k": 2, "expert_size": 48, "shared_expert_size": 96, "fusion_size": 375,
        "attention_heads": 8, "attention_head_dim": 32, "attention_rope_dim": 16, "q_rank": 64, "kv_rank": 64,
    },
}  # fmt: skip
OURS, PEER = "ours", "TRL"
WARM_UP = 2
"""Steps that are not counted: the first ones of a process are slow."""
SEED = 7


@dataclass(frozen=True)
class Setting:
    """What is trained how."""

    shape: str
    dtype: str
    questions: int
    """About each picture."""
    batch: int
    """Rows."""

    def __str__(self) -> str:
        return f"{self.shape}, {self.dtype}, {self.questions} a picture"


@dataclass
class Course:
    """What a trainer told of itself."""

    once_s: float = 0.0
    """Before the first step, the loading of weights not counted."""
    steps_s: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    peak_mib: float = 0.0

    @property
    def whole_s(self) -> float:
        """The whole run."""
        return self.once_s + sum(self.steps_s)

    def slower(self, other: "Course") -> float:
        """Return how many times the other's step this one's takes, by the median of steps with the same batch."""
        pairs = zip(self.steps_s[WARM_UP:], other.steps_s[WARM_UP:], strict=True)
        return statistics.median(mine / theirs for mine, theirs in pairs)


Courses = Mapping[tuple[str, str], Course]
"""By tuner and trainer."""


class ArmFailed(Exception):
    """A trainer's process ended; the message is what it wrote last."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=("tiny", "100M", "2B", "4B"), default=["tiny", "100M"])
    parser.add_argument("--tuners", nargs="+", choices=list(TUNERS), default=["LoRA", "MoE-LoRA"])
    parser.add_argument("--trainers", nargs="+", choices=list(TRAINERS), default=list(TRAINERS))
    parser.add_argument("--dtypes", nargs="+", choices=("float32", "bfloat16"), default=["float32", "bfloat16"])
    parser.add_argument("--questions", nargs="+", type=int, default=[1, 3], help="about each picture")
    parser.add_argument("--rows", type=int, default=12, help="in an epoch")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2, help="rows; with several questions, all about one picture")
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--checkpointing", action="store_true", help="compute activations again on the way back")
    parser.add_argument("--short", action="store_true", help="the bundled checkpoint, few steps; publishes nothing")
    parser.add_argument("--name", default="training_speed", help="of the result")
    options = parser.parse_args()
    if options.short:
        options.shapes, options.rows, options.epochs = ["tiny"], 12, 2
    rows: list[dict[str, Any]] = []
    curves: dict[str, list[float]] = {}
    for shape, dtype, questions in product(options.shapes, options.dtypes, options.questions):
        if shape == "tiny" and dtype != "float32":  # too small to gain from it
            continue
        setting = Setting(shape, dtype, questions, questions if questions > 1 else options.batch)
        with tempfile.TemporaryDirectory() as temporary:
            courses = measure(setting, Path(temporary), options)
        rows += table(setting, courses)
        print(f"{setting}: {max(course.whole_s for course in courses.values()):.0f} s", file=sys.stderr)
        curves |= {f"{setting}, {tuner}, {trainer}": c.losses for (tuner, trainer), c in courses.items()}
    title = f"Training step on pictures of {SIZE[0]} x {SIZE[1]}"
    if options.short:
        show(title, rows)
    else:
        kept = ("rows", "epochs", "batch", "learning_rate", "checkpointing")
        settings = {name: getattr(options, name) for name in kept}
        publish(options.name, title, rows, settings=settings, tuners=TUNERS, losses=curves)


def measure(setting: Setting, folder: Path, options: argparse.Namespace) -> Courses:
    """Train with all trainers at once, one step of each after the other."""
    from finetune.data.drawn.scene_rows import write_scenes

    base = write_base(setting.shape, folder / "base")
    pictures, questions = options.rows // setting.questions, setting.questions
    data = write_scenes(pictures, folder / "data", seed=SEED, questions=questions, width=SIZE[0], height=SIZE[1])
    order = order_of(base, data, setting, options.epochs)
    # ours comes first: it writes the first weights
    names = [(tuner, trainer) for tuner in options.tuners for trainer in TRAINERS if trainer in options.trainers]
    arms: dict[tuple[str, str], Arm] = {}
    try:
        for tuner, trainer in names:
            place = folder / f"{tuner}-{trainer}"
            job = Job(
                trainer, flags_of(tuner, setting.shape), base, data, order, setting.batch, questions,
                options.learning_rate, SEED, setting.dtype,
                options.checkpointing, place / "out", place / "cache", folder / f"{tuner}-first",
            )  # fmt: skip
            place.mkdir()
            (place / "errors.txt").touch()
            arms[tuner, trainer] = Arm(job, place / "errors.txt")
        while not all(arm.done for arm in arms.values()):
            for arm in arms.values():
                arm.step()
    finally:
        for arm in arms.values():
            arm.close()
    return {name: arm.course for name, arm in arms.items()}


def flags_of(tuner: str, shape: str) -> tuple[str, ...]:
    """Return what makes a tuner's adapter for a shape; of Qwen's own shapes Multiway has the sizes of its source."""
    sizes = MULTIWAY.get(shape, {}) if tuner == "Multiway" else {}
    return (*TUNERS[tuner], *(f"--{name}={size}" for name, size in sizes.items()))


class Arm:
    """A trainer's process, waiting before its next step."""

    def __init__(self, job: Job, errors: Path) -> None:
        """Start it and wait until it could do its first step."""
        os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")
        context = get_context("spawn")
        self._line, child = context.Pipe()
        self._process = context.Process(target=work, args=(job, child, errors), daemon=True)
        self._process.start()
        child.close()
        self._errors = errors
        self.done = False
        self.course = Course(once_s=self._hear()["ready"])

    def step(self) -> None:
        """Let it do one step, and after the last one hear of the whole."""
        if self.done:
            return
        self._line.send("go")
        news = self._hear()
        if "step" in news:
            self.course.steps_s.append(news["step"])
        else:
            self.course.losses, self.course.peak_mib = news["done"], news["peak_mib"]
            self.done = True

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.join()

    def _hear(self) -> dict[str, Any]:
        try:
            news: dict[str, Any] = self._line.recv()
        except EOFError:
            raise ArmFailed(self._errors.read_text("utf-8", errors="replace")[-3000:]) from None
        return news


def write_base(shape: str, folder: Path) -> Path:
    """Return a folder of the shape, random weights but for the bundled checkpoint."""
    from benchmarks.shared_prefix import write_small
    from model.hub import tiny_folder
    from model.qwen3_vl.shapes import SHAPES, write_random

    if shape == "tiny":
        return tiny_folder()
    if shape == "100M":
        write_small(folder)
    else:
        write_random(SHAPES[shape], folder)
    return folder


def order_of(base: Path, data: Path, setting: Setting, epochs: int) -> tuple[int, ...]:
    """Return the rows of all steps as our trainer takes them."""
    import numpy as np

    from finetune.data.dataset import read_dataset
    from finetune.training.batching import Items, Order
    from finetune.training.encoding import Encoder
    from model.qwen3_vl.processor import ImageTextProcessor

    encoder = Encoder(ImageTextProcessor.from_pretrained(base), cutoff_len=2048, max_pixels=None, mask_history=False)
    samples = read_dataset(data).samples
    rows = [encoder(sample) for sample in samples]
    rows = [replace(row, position_ids=np.zeros((3, len(row)), np.int32)) for row in rows]  # only lengths matter
    sharing = setting.questions
    items = Items(rows, share_to=2048 if sharing > 1 else None)
    about = {
        item[0].sample.pictures: [n for n, sample in enumerate(samples) if sample.pictures == item[0].sample.pictures]
        for item in items.items
    }
    assert all(len(numbers) == sharing for numbers in about.values()), "every picture has all of its questions"
    sequences = setting.batch // sharing
    assert len(items) % sequences == 0, "the rows fill their batches"
    order = Order(items.lengths, batch_size=sequences, seed=SEED, group_by_length=True)
    numbers: list[int] = []
    for epoch in range(epochs):
        order.set_epoch(epoch)
        numbers += [number for place in order for number in about[items[place][0].sample.pictures]]
    return tuple(numbers)


def table(setting: Setting, courses: Courses) -> list[dict[str, Any]]:
    """Return a row for each trainer and tuner."""
    rows = []
    for (tuner, trainer), course in courses.items():
        peer, ours = courses.get((tuner, PEER)), courses.get((tuner, OURS))
        lora = courses.get(("LoRA", trainer))
        step = statistics.median(course.steps_s[WARM_UP:])
        rows.append({
            "shape": setting.shape,
            "dtype": setting.dtype,
            "questions a picture": setting.questions,
            "adapter": tuner,
            "trainer": trainer,
            "rows a step": setting.batch,
            "step s": step,
            "rows / s": setting.batch / step,
            "times TRL": peer and peer.slower(course),
            "of LoRA's step": lora and course.slower(lora),
            "once s": course.once_s,
            "whole run s": course.whole_s,
            "run, times TRL": peer and peer.whole_s / course.whole_s,
            "peak MiB": round(course.peak_mib),
            "losses differ by": ours and apart(course.losses, ours.losses),
        })  # fmt: skip
    return rows


def apart(losses: Sequence[float], others: Sequence[float]) -> str:
    """Return the largest difference of two curves."""
    return f"{max(abs(a - b) for a, b in zip(losses, others, strict=True)):.1e}"


if __name__ == "__main__":
    main()
