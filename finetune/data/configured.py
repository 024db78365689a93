"""Reads the rows that a configuration names, and holds some of them back.

It opens no picture and knows no model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from finetune.config.schema import FinetuneConfig, ValueRefused
from finetune.data.dataset import Broken, Dataset, joined, read_dataset
from finetune.data.registry import INFO
from finetune.data.sample import Sample
from finetune.data.split import split_samples
from finetune.errors import FinetuneError
from model.pictures.frame_budget import FrameBudget

MOST_LISTED = 50


class NothingToLearn(FinetuneError):
    """No usable row; `broken` says why of each."""

    def __init__(self, datasets: tuple[str, ...], broken: list[Broken]) -> None:
        self.datasets, self.broken = datasets, broken
        first = f", the first of them {broken[0]}" if broken else ""
        super().__init__(
            f"There is no usable row in {', '.join(datasets)} ({len(broken)} are broken{first}); look at them with "
            "`lorgnette data check`."
        )


@dataclass(frozen=True)
class Data:
    """The samples of a run."""

    train: list[Sample]
    held_back: list[Sample]
    dataset: Dataset
    """All that was read for the training, held-back rows too."""
    broken: list[Broken]
    """Rows of all files that cannot be used."""


def read_data(config: FinetuneConfig) -> Data:
    """Read the rows and hold some back, all rows about a picture or none.

    Raises:
        FinetuneError: As `read_dataset`, or nothing is left.
    """
    read = joined([_read(config, name) for name in config.data.dataset])
    if not read.samples:
        raise NothingToLearn(config.data.dataset, read.broken)
    evaluation = config.evaluation
    if evaluation.eval_dataset:
        held_back = joined([_read(config, name) for name in evaluation.eval_dataset])
        if not held_back.samples:
            raise NothingToLearn(evaluation.eval_dataset, held_back.broken)
        return Data(read.samples, held_back.samples, read, [*read.broken, *held_back.broken])
    size = evaluation.val_size
    number = round(size * len(read.samples)) if size < 1 else int(size)
    if size and number < 1:
        number = 1
    if number >= len(read.samples):
        raise ValueRefused("val_size", size, f"there are only {len(read.samples)} rows, and some must be learned")
    if evaluation.eval_strategy != "no" and not number:
        raise ValueRefused("eval_strategy", evaluation.eval_strategy, "nothing is held back: set val_size as well")
    if not number:
        return Data(read.samples, [], read, read.broken)
    split = split_samples(read.samples, val=number / len(read.samples), test=0, seed=config.training.seed)
    return Data(split.train, split.val, read, read.broken)


def frame_budget(config: FinetuneConfig) -> FrameBudget | None:
    """Return the budget of a video's frame, where it is another one than that of a picture."""
    most, least = config.data.video_max_pixels, config.data.video_min_pixels
    if most is None and least is None:
        return None
    return FrameBudget(config.data.image_max_pixels if most is None else most, least)


def list_left_out(broken: Sequence[Broken], say: Callable[[str], None]) -> None:
    """Say of each row that is left out where it stands and why; of very many, how many more there are."""
    for row in broken[:MOST_LISTED]:
        say(f"Left out: {row}.")
    if len(broken) > MOST_LISTED:
        say(f"Left out: {len(broken) - MOST_LISTED:,} more; `lorgnette data check` lists them.")


def find_dataset(config: FinetuneConfig, name: str) -> Path:
    """Return the file that a name in `dataset` or `eval_dataset` means: as it stands, or in dataset_dir."""
    data = config.data
    path = Path(name).expanduser()
    if not path.exists() and ((data.dataset_dir / name).exists() or (data.dataset_dir / INFO).is_file()):
        path = data.dataset_dir / name
    return path


def _read(config: FinetuneConfig, name: str) -> Dataset:
    data = config.data
    return read_dataset(
        find_dataset(config, name),
        image_folder=data.media_dir,
        format=data.dataset_format,
        max_samples=data.max_samples,
    )
