"""How long this machine takes to look at a picture with a model, from the shape's arithmetic and a measured rate.

The work of a picture grows faster than its tokens: each patch attends to every other. It is counted as in Kaplan et al.
2020 (two operations a parameter and token) with attention beside it, and divided by the operations a second that this
model did here when it was last measured, apart for tower and language model, which may be of other types.
"""

import json
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from common.atomic_files import write_whole
from common.home import data_home
from model.qwen3_vl.load import base_model

if TYPE_CHECKING:
    from model.qwen3_vl.load import Loaded

logger = logging.getLogger(__name__)

FILE = "reading_speed.json"
TRIED_TOKENS = 64
"""Of the picture that is read once to learn the rate; it takes a second or two where a large one takes a minute."""
NEW_SHARE = 0.3
"""Weight of a new measurement beside what is known: machines are busy by turns."""
LEAST_TOKENS = 32
"""A shorter reading says little."""
MOST_TOKENS = 16_384
GRID = 16
"""Budgets are whole multiples of so many tokens, so that equal pictures are mostly looked at in equal size."""


@dataclass(frozen=True)
class Work:
    """Operations of a model's two parts, by the shape."""

    tower_linear: float
    """Of a patch."""
    tower_square: float
    """Of a patch and each patch it attends to."""
    language_linear: float
    """Of a token."""
    language_square: float
    patches: int
    """In a visual token."""
    pixels: int
    """In a visual token."""

    def tower(self, tokens: int) -> float:
        """Return the operations of a picture of so many visual tokens in the vision tower."""
        patches = tokens * self.patches
        return patches * self.tower_linear + patches * patches * self.tower_square

    def language(self, tokens: int) -> float:
        """Return the operations of so many tokens in the language model."""
        return tokens * self.language_linear + tokens * tokens * self.language_square


def work_of(config: Any) -> Work:
    """Return the work of a Qwen3-VL by its configuration."""
    vision, text = config.vision_config, config.get_text_config()
    width, merged = vision.hidden_size, vision.spatial_merge_size**2
    layer = 4 * width * width + 2 * width * vision.intermediate_size
    heads = text.num_attention_heads * text.head_dim
    keys = text.num_key_value_heads * text.head_dim
    experts = getattr(text, "num_experts_per_tok", None)
    inner = experts * text.moe_intermediate_size if experts else text.intermediate_size
    row = 2 * text.hidden_size * heads + 2 * text.hidden_size * keys + 3 * text.hidden_size * inner
    return Work(
        2.0 * vision.depth * layer,
        4.0 * vision.depth * width,
        2.0 * text.num_hidden_layers * row,
        2.0 * text.num_hidden_layers * heads,  # half of it lies behind the token
        merged,
        merged * vision.patch_size**2,
    )


@dataclass
class ReadingSpeed:
    """What is known of one model on this machine."""

    work: Work
    key: str
    """Model, type, device and threads: with others it reads at another speed."""
    rates: dict[str, float] = field(default_factory=dict)
    """Operations a second of `tower` and `language`."""

    def pixels(self, seconds: float, pictures: int = 1) -> int | None:
        """Return how many pixels each of the pictures may have so that looking at all takes at most `seconds`.

        None if nothing is known. Never less than a picture of `TRIED_TOKENS`.
        """
        if len(self.rates) < 2:
            return None
        low, high = TRIED_TOKENS // GRID, MOST_TOKENS // GRID
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.seconds(middle * GRID, pictures) <= seconds else (low, middle - 1)
        return low * GRID * self.work.pixels

    def seconds(self, tokens: int, pictures: int = 1) -> float:
        """Return how long it takes to look at pictures of so many visual tokens each."""
        tower = pictures * self.work.tower(tokens) / self.rates["tower"]
        return tower + self.work.language(pictures * tokens) / self.rates["language"]

    def learn(self, part: str, operations: float, seconds: float) -> None:
        """Take in a measurement."""
        rate = operations / max(seconds, 1e-6)
        known = self.rates.get(part)
        self.rates[part] = rate if known is None else known * (rate / known) ** NEW_SHARE

    def save(self) -> None:
        """Keep what is known for the next start; a disk that is full costs a second then."""
        path = data_home() / FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps({**_kept(path), self.key: self.rates}, indent=1).encode(), durable=False)
        except OSError as error:
            logger.debug("the reading speed was not kept: %s", error)


def speed_of(loaded: "Loaded") -> ReadingSpeed:
    """Return what is known of the model; where that is nothing, a small picture is read to learn it."""
    base = base_model(loaded.model)
    text = base.config.get_text_config()
    shape = f"{text.num_hidden_layers}x{text.hidden_size}+{base.config.vision_config.depth}"
    threads = torch.get_num_threads() if loaded.device.type == "cpu" else 0
    place = torch.cuda.get_device_name(loaded.device) if loaded.device.type == "cuda" else loaded.device.type
    key = f"{shape} {loaded.quantization} {loaded.dtype} {place} {threads}"
    speed = ReadingSpeed(work_of(base.config), key)
    known = _kept(data_home() / FILE).get(key)
    if isinstance(known, dict) and all(isinstance(known.get(part), float) for part in ("tower", "language")):
        speed.rates = {part: float(known[part]) for part in ("tower", "language")}
        return speed
    _try(base, speed, loaded.device)
    speed.save()
    return speed


@torch.no_grad()
def _try(base: Any, speed: ReadingSpeed, device: torch.device) -> None:
    """Read a grey picture of `TRIED_TOKENS`, twice; that also warms up what the first question would."""
    vision = base.config.vision_config
    side = round((TRIED_TOKENS * vision.spatial_merge_size**2) ** 0.5)
    grid = torch.tensor([[1, side, side]], device=device)
    tower = base.model.visual
    numbers = 3 * vision.temporal_patch_size * vision.patch_size**2
    pixels = torch.zeros(side * side, numbers, dtype=next(tower.parameters()).dtype, device=device)
    hidden = torch.zeros(
        1, TRIED_TOKENS, base.config.get_text_config().hidden_size,
        dtype=base.model.language_model.embed_tokens.weight.dtype, device=device,
    )  # fmt: skip
    for part, run, operations in (
        ("tower", lambda: base.model.get_image_features(pixels, grid), speed.work.tower(TRIED_TOKENS)),
        ("language", lambda: base.model.language_model(inputs_embeds=hidden, use_cache=False),
         speed.work.language(TRIED_TOKENS)),
    ):  # fmt: skip
        run()  # the first time much is made ready
        began = time.monotonic()
        run()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        speed.learn(part, operations, time.monotonic() - began)


def _kept(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
