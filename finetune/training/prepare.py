"""Samples into rows before the training: tokens, positions, and what the frozen tower sees of the pictures.

Rows that cannot be learned are listed with their place. Trains nothing and makes no batches.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from finetune.adapters.attach import sees_pictures_itself
from finetune.config.schema import FinetuneConfig
from finetune.data.configured import Data, list_left_out
from finetune.data.dataset import Broken
from finetune.data.sample import Origin, Sample
from finetune.errors import FinetuneError
from finetune.training.encoding import Encoder, Row, RowRefused, Vision
from finetune.training.vision_cache import GIB, CacheFull, FeatureCache, look, touch, tower_key
from model.errors import ImageError
from model.qwen3_vl.load import base_model

Progress = Callable[[int], object]
"""Called with the number of samples that are done."""


class PicturesTooLarge(FinetuneError):
    """Memory ran out while the vision tower looked at the pictures of a row."""

    def __init__(self, origin: Origin, max_pixels: int | None) -> None:
        self.origin, self.max_pixels = origin, max_pixels
        super().__init__(
            f"Memory ran out while the vision tower looked at the pictures of {origin}; lower image_max_pixels (now "
            f"{'not set' if max_pixels is None else max_pixels}), or take the row out."
        )


@dataclass(frozen=True)
class Prepared:
    """What the training needs of its data."""

    rows: list[Row]
    broken: list[Broken]
    """Samples that are not trained on, each with the reason."""
    features: Path | None
    """Folder of the kept features; None if the tower looks at every batch."""
    degraded: tuple[str, ...] = ()
    """What could not be had, in words for the user."""


class _Encoded(Dataset[Row | Broken]):
    def __init__(self, samples: Sequence[Sample], encoder: Encoder) -> None:
        self.samples, self.encoder = samples, encoder

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, number: int) -> Row | Broken:
        sample = self.samples[number]
        try:
            return self.encoder(sample)
        except (RowRefused, ImageError) as error:
            return Broken(sample.origin, str(error))


def prepare(
    samples: Sequence[Sample],
    encoder: Encoder,
    model: Any,
    *,
    cache: FeatureCache | None,
    workers: int = 0,
    progress: Progress | None = None,
) -> Prepared:
    """Make rows of the samples, in their order.

    Args:
        samples: What to learn.
        encoder: Of the model's processor.
        model: `Qwen3VLForConditionalGeneration`, which looks at pictures that the cache does not hold.
        cache: Where features are kept; None if they are not.
        workers: Processes that open pictures; 0 = this one.
        progress: Called after each sample.

    Raises:
        PicturesTooLarge: For the memory, where features are kept.
    """
    encoded: Iterable[Row | Broken] = DataLoader(_Encoded(samples, encoder), batch_size=None, num_workers=workers)
    rows: list[Row] = []
    broken: list[Broken] = []
    degraded: list[str] = []
    for done, row in enumerate(encoded, start=1):
        if isinstance(row, Broken):
            broken.append(row)
        else:
            placed = replace(row, position_ids=find_positions(model, row))
            if cache is not None:
                try:
                    placed = replace(placed, vision=tuple(_kept(cache, model, vision) for vision in row.vision))
                except CacheFull as full:
                    cache = None
                    degraded.append(not_kept(full))
                except (RuntimeError, MemoryError) as error:
                    from model.device import is_out_of_memory

                    if is_out_of_memory(error):
                        raise PicturesTooLarge(row.sample.origin, encoder.max_pixels) from error
                    raise
            if cache is None:  # patches are too large to wait in memory; they are made again for their batch
                placed = replace(placed, vision=tuple(replace(v, pixel_values=None, key="") for v in row.vision))
            rows.append(placed)
        if progress is not None:
            progress(done)
    if cache is None:
        return Prepared(rows, broken, None, tuple(degraded))
    touch(cache.folder, list(dict.fromkeys(vision.key for row in rows for vision in row.vision)))
    return Prepared(rows, broken, cache.folder)


def not_kept(why: CacheFull) -> str:
    """Return what the user reads of features that are not kept."""
    return f"the vision tower looks at every batch, its features are not kept: {why}"


class Reopen:
    """Reads the patches of a row again."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder

    def __call__(self, row: Row) -> Row:
        """Return the row with the patches that its sample's files have."""
        return replace(row, vision=self.encoder(row.sample).vision)


def find_positions(model: Any, row: Row) -> "np.ndarray[Any, np.dtype[np.int32]]":
    """Return the positions (3, T) of a row along time, height and width, as the model itself makes them."""
    grids: dict[str, Any] = {}
    for kind in ("image", "video"):
        found = [vision.grid_thw for vision in row.vision if vision.kind == kind]
        grids[f"{kind}_grid_thw"] = torch.tensor(found) if found else None
    positions, _ = model.model.get_rope_index(
        torch.from_numpy(row.input_ids).long()[None], torch.from_numpy(row.mm_token_type_ids)[None], **grids
    )
    numbers: np.ndarray[Any, np.dtype[np.int32]] = positions[:, 0].numpy().astype(np.int32)
    return numbers


def _kept(cache: FeatureCache, model: Any, vision: Vision) -> Vision:
    assert vision.pixel_values is not None, "the encoder gives patches"
    key = cache.key(vision.kind, vision.grid_thw, vision.pixel_values)
    if key not in cache:
        cache.keep(key, look(model, vision))
    return replace(vision, pixel_values=None, key=key)


def cache_folder(config: FinetuneConfig) -> Path:
    """Return where features are kept: as configured, or in the user's cache."""
    from platformdirs import user_cache_path

    chosen = config.data.vision_cache_dir
    return user_cache_path("lorgnette") / "vision" if chosen is None else chosen.expanduser()


def prepare_all(
    config: FinetuneConfig, data: Data, encoder: Encoder, model: Any, args: Any, say: Callable[[str], None]
) -> tuple[Prepared, Prepared]:
    """Prepare the rows to learn and those that are held back, each picture by one process alone, and say what is wrong.

    Args:
        config: Of the run.
        data: Its rows.
        encoder: Of its processor.
        model: Has the adapter.
        args: Know the other processes.
        say: Called with which rows are left out, and what goes slower than it could.
    """
    from tqdm import tqdm

    base = base_model(model)
    trained_tower = sees_pictures_itself(model)
    # one process looks at the pictures, the others find what it kept
    with args.main_process_first(local=False, desc="preparation"):
        cache, degraded = None, tuple[str, ...]()
        if config.data.vision_cache and not trained_tower:
            limit = int(config.data.vision_cache_gib * GIB)
            try:
                cache = FeatureCache(cache_folder(config), tower_key(base), limit)
            except CacheFull as full:
                degraded = (not_kept(full),)
        total = len(data.train) + len(data.held_back)
        with tqdm(total=total, desc="preparing", unit="row", disable=None if args.process_index == 0 else True) as bar:
            found = [
                prepare(
                    samples, encoder, base, cache=cache, workers=config.data.preprocessing_num_workers,
                    progress=lambda _: bar.update(),
                )
                for samples in (data.train, data.held_back)
            ]  # fmt: skip
    found[0] = replace(found[0], degraded=(*degraded, *found[0].degraded))
    for note in dict.fromkeys(note for part in found for note in part.degraded):
        say(f"Degraded: {note}.")
    list_left_out([row for part in found for row in part.broken], say)
    return found[0], found[1]
