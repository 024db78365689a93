"""Pairs of a better and a worse answer to the same question: two rows each, and the batches made of them.

Letters for shapes: B pairs, T tokens of the longest row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from finetune.config.schema import FinetuneConfig
from finetune.data.configured import Data
from finetune.data.dataset import Broken
from finetune.data.sample import Message, Sample
from finetune.errors import FinetuneError
from finetune.training.collate import Batch, Collator
from finetune.training.encoding import Row


class NoPairs(FinetuneError):
    """Preference training on rows of which none has a worse answer."""

    def __init__(self, datasets: Sequence[str]) -> None:
        self.datasets = tuple(datasets)
        super().__init__(
            f"No row of {', '.join(datasets)} has a rejected answer beside the chosen one, as stage: dpo needs; give "
            "rows with 'chosen' and 'rejected', or write stage: sft."
        )


class PairsNotWanted(FinetuneError):
    """Rows with a worse answer in supervised training, which would learn the better one and nothing of the other."""

    def __init__(self, number: int, first: Sample) -> None:
        self.number, self.first = number, first
        super().__init__(
            f"{number:,} rows have a rejected answer, the first of them {first.origin}, and stage: sft learns nothing "
            "of it; write stage: dpo, or take 'rejected' out."
        )


@dataclass(frozen=True)
class Pair:
    """The two rows of a sample."""

    chosen: Row
    rejected: Row

    def __len__(self) -> int:
        return len(self.chosen) + len(self.rejected)


def spread(config: FinetuneConfig, data: Data) -> Data:
    """Return the data as the training's stage takes it: for DPO each pair as two samples, one behind the other.

    Raises:
        NoPairs: There is none.
        PairsNotWanted: The stage is supervised.
    """
    every = [*data.train, *data.held_back]
    pairs = [sample for sample in every if sample.rejected is not None]
    if config.training.stage == "sft":
        if pairs:
            raise PairsNotWanted(len(pairs), pairs[0])
        return data
    if not any(sample.rejected is not None for sample in data.train):
        raise NoPairs(config.data.dataset)
    alone = [Broken(s.origin, "it has no rejected answer beside the chosen one") for s in every if s.rejected is None]
    train, held_back = ([two for sample in part for two in _both(sample)] for part in (data.train, data.held_back))
    return Data(train, held_back, data.dataset, [*data.broken, *alone])


def _both(sample: Sample) -> list[Sample]:
    if sample.rejected is None:
        return []
    worse = (*sample.messages[:-1], Message("assistant", (sample.rejected,)))
    return [replace(sample, rejected=None), replace(sample, rejected=None, messages=worse)]


def pairs_of(rows: Sequence[Row]) -> list[Pair]:
    """Return the pairs of which both rows could be made; they stand one behind the other."""
    found, before = [], None
    for row in rows:
        if before is not None and before.sample.origin == row.sample.origin:
            found.append(Pair(before, row))
            before = None
        else:
            before = row
    return found


class PairCollator:
    """Makes the inputs of TRL's DPO of pairs, which it is given by their numbers."""

    def __init__(self, pairs: Sequence[Pair], collator: Collator) -> None:
        self.pairs, self.collator = pairs, collator

    def __call__(self, examples: Sequence[dict[str, int]]) -> Batch:
        """Return a batch: chosen rows, then rejected ones.

        Returns:
            What `Collator` gives for (2B, T), without labels, and `completion_mask` (2B, T), one where a token is
            part of the answer.
        """
        pairs = [self.pairs[example["number"]] for example in examples]
        batch = self.collator([(pair.chosen,) for pair in pairs] + [(pair.rejected,) for pair in pairs])
        followed = batch.pop("logits_to_keep")  # (2B, T), true where the next token is learned
        mask = torch.zeros_like(batch["input_ids"])
        mask[:, 1:] = followed[:, :-1].long()
        del batch["labels"], batch["shift_labels"]
        return batch | {"completion_mask": mask}
