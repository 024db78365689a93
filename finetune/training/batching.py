"""Which rows stand in which batch: packs, and an order that depends on the seed and the epoch alone.

The same on every process and after a resumption. It holds no tensors.
"""

from collections.abc import Iterator, Sequence
from random import Random

from torch.utils.data import Dataset, Sampler

from finetune.training.collate import pack
from finetune.training.encoding import Row
from finetune.training.shared_pictures import share_pictures

MEGABATCH = 50  # batches whose rows are sorted by length together, as transformers' LengthGroupedSampler does


class Items(Dataset[tuple[Row, ...]]):
    """Sequences of one row, or packs of several."""

    def __init__(self, rows: Sequence[Row], pack_to: int | None = None, *, share_to: int | None = None) -> None:
        """Keep the rows.

        Args:
            rows: In their order.
            pack_to: The longest pack in tokens, none for no packing.
            share_to: The longest row that begins with a picture which others share, none for no sharing.
        """
        if share_to is not None:
            rows = share_pictures(rows, share_to)
        self.items: list[tuple[Row, ...]]
        if pack_to is None:
            self.items = [(row,) for row in rows]
        else:
            self.items = [tuple(rows[i] for i in numbers) for numbers in pack([len(row) for row in rows], pack_to)]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, number: int) -> tuple[Row, ...]:
        return self.items[number]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each sequence."""
        return [sum(len(row) for row in item) for item in self.items]


class Order(Sampler[int]):
    """A new order each epoch; grouped by length, the rows of a batch are of like length."""

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int, group_by_length: bool) -> None:
        """Keep how.

        Args:
            lengths: Of the items.
            batch_size: Items of one batch on all processes together.
            seed: Of the order.
            group_by_length: Sort by length within `MEGABATCH` batches, and draw whole batches.
        """
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.group_by_length = group_by_length
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set which epoch comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        rng = Random(f"{self.seed}/{self.epoch}")
        numbers = list(range(len(self.lengths)))
        rng.shuffle(numbers)
        if not self.group_by_length:
            return iter(numbers)
        size = self.batch_size
        batches: list[list[int]] = []
        for start in range(0, len(numbers), size * MEGABATCH):
            part = sorted(numbers[start : start + size * MEGABATCH], key=lambda i: -self.lengths[i])
            batches += [part[i : i + size] for i in range(0, len(part), size)]
        short = [batches.pop()] if batches and len(batches[-1]) < size else []  # a short one stays last
        rng.shuffle(batches)
        return iter([number for batch in batches + short for number in batch])
