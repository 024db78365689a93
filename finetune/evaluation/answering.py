"""Who answers the rows of an evaluation, and the answers: those of before from the journal, the others made now.

An answer is kept under what it was made of, weights, adapter, words and pictures, so that whatever was answered once is
not answered again. It measures nothing.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finetune.data.dataset import Broken
from finetune.data.sample import Frames, ImageFile, Sample
from finetune.evaluation.journal import Journal, key_of
from finetune.evaluation.outcome import ADAPTER, BASE
from model.hub import find_local
from model.pictures.frame_budget import FrameBudget
from model.settings import ModelSettings, Quantization

ANSWERS = "answers.jsonl"
BATCH_TOKENS = 8192

Watch = Callable[[str, int, int], None]
"""Called with what is done, how much of it is there, and how much there is in all."""


@dataclass(frozen=True)
class Answering:
    """Who answers and how."""

    model: str = "tiny"
    """As the setting model names it; a local one."""
    adapter: Path | None = None
    """Folder of the adapter that it uses."""
    base: bool = False
    """Whether the model without the adapter answers, too."""
    quantization: Quantization = "auto"
    """Form of the weights."""
    bf16: bool | None = None
    """bfloat16 or float32; none = as the server would load it."""
    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    max_pixels: int | None = None
    """Pixel budget of a picture; none = the model's own."""
    frames: FrameBudget | None = None
    """Of a film's frame; none = as of a picture."""
    temperature: float = 0.0
    """0 takes the likeliest token, so that the same question has the same answer."""
    top_p: float = 1.0
    top_k: int = 50
    repetition_penalty: float = 1.0
    seed: int = 0
    """Of the sampling."""
    batch_tokens: int = BATCH_TOKENS
    """Tokens of a batch, padding and answers included: their keys and values take about 1.2 GB in the 4B model."""

    def to_dict(self) -> dict[str, Any]:
        """Return what the result says of it."""
        return {**asdict(self), "adapter": None if self.adapter is None else str(self.adapter)}

    @property
    def samples(self) -> bool:
        """Whether another token than the likeliest may be written."""
        return self.temperature > 0 or self.repetition_penalty != 1

    @property
    def names(self) -> tuple[str, ...]:
        """Who answers."""
        if self.adapter is None:
            return (BASE,)
        return (ADAPTER, BASE) if self.base else (ADAPTER,)


@dataclass(frozen=True)
class Answers:
    """What was said."""

    said: dict[str, list[str | None]]
    """By name of who answered, the answer to each sample; none where it could not be asked."""
    refused: dict[int, Broken]
    """Samples that could not be asked, by number."""
    cut_off: dict[str, int]
    """By name, answers that ended at max_new_tokens."""


def answers_to(samples: Sequence[Sample], answering: Answering, out: Path, watch: Watch) -> Answers:
    """Return an answer to each sample by everyone who answers.

    Args:
        samples: Their last messages are not shown to the model.
        answering: Who answers.
        out: Folder of the journal.
        watch: Told how far it is.

    Raises:
        AdapterError, ModelError: The model; what was answered is kept.
        OutputRefused: The folder.
    """
    fingerprint = None
    if answering.adapter is not None:
        from model.adapters.attach import read_adapter
        from model.adapters.traits import fingerprint as digest

        read_adapter(answering.adapter.expanduser())
        fingerprint = digest(answering.adapter.expanduser())
    how: list[Any] = [answering.quantization, answering.bf16, answering.max_new_tokens, answering.max_pixels]
    if answering.frames is not None:
        how += [answering.frames.most, answering.frames.least]
    if answering.samples:
        how += [answering.temperature, answering.top_p, answering.top_k, answering.repetition_penalty, answering.seed]
    weights = _stamps(find_local(answering.model))
    asked = [_asked(sample) for sample in samples]
    keys = {
        (number, name): key_of("answer", weights, fingerprint if name == ADAPTER else None, how, what)
        for number, what in enumerate(asked)
        for name in answering.names
    }
    with Journal(out / ANSWERS) as journal:
        wanted = [(number, name) for (number, name), key in keys.items() if key not in journal]
        if wanted:
            _generate(samples, answering, wanted, keys, journal, len(keys), watch)
        kept = {place: journal[key] for place, key in keys.items()}
    refused = {
        number: Broken(samples[number].origin, str(row["broken"]))
        for (number, _), row in kept.items()
        if row.get("broken")
    }
    said = {name: [kept[number, name].get("text") for number in range(len(samples))] for name in answering.names}
    cut_off = {
        name: sum(kept[number, name].get("finished") is False for number in range(len(samples)))
        for name in answering.names
    }
    return Answers(said, refused, cut_off)


def _sampling(answering: Answering) -> dict[str, Any]:
    """Return the options of `generate` by which tokens are chosen."""
    if not answering.samples:
        return {}
    import torch

    torch.manual_seed(answering.seed)
    options: dict[str, Any] = {"repetition_penalty": answering.repetition_penalty}
    if answering.temperature > 0:
        options |= {
            "do_sample": True, "temperature": answering.temperature, "top_p": answering.top_p, "top_k": answering.top_k
        }  # fmt: skip
    return options


def _generate(
    samples: Sequence[Sample],
    answering: Answering,
    wanted: Sequence[tuple[int, str]],
    keys: Mapping[tuple[int, str], str],
    journal: Journal,
    total: int,
    watch: Watch,
) -> None:
    import torch

    from finetune.evaluation.batch_generation import Said, answer_all
    from model.qwen3_vl.load import load

    settings = ModelSettings(model=answering.model, adapter=answering.adapter, quantization=answering.quantization)
    dtype = None if answering.bf16 is None else (torch.bfloat16 if answering.bf16 else torch.float32)
    loaded = load(settings, lambda phase, share: watch(f"loading: {phase}", round(100 * share), 100), dtype=dtype)

    def keep(rows: Sequence[tuple[int, bool, Said]]) -> None:
        journal.keep(
            (
                keys[number, ADAPTER if adapted else BASE],
                {
                    "id": samples[number].id, "by": ADAPTER if adapted else BASE, "text": said.text,
                    "tokens": said.tokens, "finished": said.finished,
                },
            )
            for number, adapted, said in rows
        )  # fmt: skip

    there = total - len(wanted)
    watch("answering", there, total)
    broken = answer_all(
        loaded,
        samples,
        [(number, name == ADAPTER) for number, name in wanted],
        max_new_tokens=answering.max_new_tokens,
        max_pixels=answering.max_pixels,
        frames=answering.frames,
        sampling=_sampling(answering),
        batch_tokens=answering.batch_tokens,
        keep=keep,
        progress=lambda done: watch("answering", there + done, total),
    )
    refused = dict(broken)
    journal.keep(
        (keys[number, name], {"id": samples[number].id, "by": name, "broken": refused[number].reason})
        for number, name in wanted
        if number in refused
    )
    del loaded
    gc.collect()  # before a judge is loaded
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _asked(sample: Sample) -> list[Any]:
    """Return what decides the answer to a sample: the words in front of it, and the files of its pictures."""
    found: list[Any] = []
    for message in sample.messages[:-1]:
        for part in message.parts:
            if isinstance(part, str):
                found.append([message.role, part])
            else:
                paths = (part.path,) if isinstance(part, ImageFile) else part.paths
                times = part.times_s if isinstance(part, Frames) else None
                found.append([message.role, isinstance(part, Frames), [_stamp(path) for path in paths], times])
    return found


def _stamps(folder: Path) -> list[Any]:
    return [_stamp(path) for path in sorted(folder.iterdir()) if path.suffix in (".json", ".safetensors", ".jinja")]


def _stamp(path: Path) -> list[Any]:
    try:
        status = path.stat()
    except OSError:
        return [str(path)]
    return [str(path), status.st_size, status.st_mtime_ns]
