"""Finds the rows that an evaluation is of: a file, its part of a name, or what a configuration held back.

It reads them and runs no model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from finetune.config.schema import FinetuneConfig
from finetune.data.dataset import Broken, joined, read_dataset
from finetune.data.sample import Sample
from finetune.errors import FinetuneError

Split = Literal["train", "val", "test"]


class SplitNotFound(FinetuneError):
    """The file has no such part beside it; `tried` is its name."""

    def __init__(self, split: str, tried: Path, others: Sequence[str]) -> None:
        self.split, self.tried = split, tried
        there = f"there is {' and '.join(others)}" if others else "`lorgnette data split` makes it"
        super().__init__(f"There is no {split} split, {str(tried)!r}; {there}.")


class NothingHeldBack(FinetuneError):
    """The configuration keeps no rows for an evaluation."""

    def __init__(self) -> None:
        super().__init__(
            "The configuration holds no rows back; write eval_dataset or val_size into it, or name a file with --data."
        )


@dataclass(frozen=True)
class Rows:
    """What is evaluated."""

    samples: list[Sample]
    broken: list[Broken]
    source: str
    """In words for the user."""


def rows_of_file(path: Path, split: Split | None, image_folder: Path | None, max_samples: int | None) -> Rows:
    """Return the rows of a file, or of the part that `lorgnette data split` laid beside it.

    Raises:
        SplitNotFound: There is no such part.
        FinetuneError: As `read_dataset`.
    """
    file = part_of(path, split)
    read = read_dataset(file, image_folder=image_folder, max_samples=max_samples)
    return Rows(read.samples, read.broken, str(file))


def rows_of_config(config: FinetuneConfig, split: Split | None, max_samples: int | None) -> Rows:
    """Return the rows that a configuration holds back, or those of the split.

    The rows held back are the same as in the training: the same files, val_size and seed. `test` is read from the part
    beside each file.

    Raises:
        NothingHeldBack, SplitNotFound: There are no such rows.
        FinetuneError: As `read_dataset`.
    """
    from finetune.data.configured import find_dataset, read_data

    named = config.evaluation.eval_dataset
    if split == "test":
        return _read(config, [part_of(find_dataset(config, name), split) for name in config.data.dataset], max_samples)
    if named and split != "train":
        return _read(config, [find_dataset(config, name) for name in named], max_samples)
    data = read_data(config)
    samples = data.train if split == "train" else data.held_back
    if not samples:
        raise NothingHeldBack
    source = ", ".join(config.data.dataset) + (", learned" if split == "train" else ", held back")
    return Rows(samples[:max_samples], data.broken, source)


def part_of(path: Path, split: Split | None) -> Path:
    """Return the file of the split: `rows.test.jsonl` for `rows.jsonl`, and for `rows.train.jsonl`.

    Raises:
        SplitNotFound: It is not there.
    """
    if split is None:
        return path
    stem = path.stem
    for name in ("train", "val", "test"):
        stem = stem.removesuffix(f".{name}")
    file = path.with_name(f"{stem}.{split}{path.suffix}")
    if not file.exists():
        raise SplitNotFound(split, file, sorted(str(other) for other in path.parent.glob(f"{stem}.*{path.suffix}")))
    return file


def _read(config: FinetuneConfig, files: Sequence[Path], max_samples: int | None) -> Rows:
    data = config.data
    read = joined(
        [
            read_dataset(file, image_folder=data.media_dir, format=data.dataset_format, max_samples=data.max_samples)
            for file in files
        ]
    )
    return Rows(read.samples[:max_samples], read.broken, ", ".join(map(str, files)))
