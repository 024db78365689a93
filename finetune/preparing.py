"""Prepares all rows of a run, with its cache and beside other processes; one row is `finetune.preparation`'s."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from finetune.adapters.attach import sees_pictures_itself
from finetune.config.schema import FinetuneConfig
from finetune.data.configured import Data, list_left_out
from finetune.features import GIB, CacheFull, FeatureCache, tower_key
from finetune.preparation import Prepared, not_kept, prepare
from finetune.rows import Encoder


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
        model: Wears the adapter.
        args: Know the other processes.
        say: Told which rows are left out, and what goes slower than it could.
    """
    from tqdm import tqdm

    base = model.get_base_model()
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
