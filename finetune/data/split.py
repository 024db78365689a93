"""Divides samples into train, validation and test so that no picture lies on two sides. It writes nothing.

Samples that share a picture file (by path, links followed, or byte for byte) stay together; so do samples without
pictures that ask the same.
"""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from finetune.data.sample import Sample
from finetune.errors import FinetuneError

By = Literal["image", "category"]


class SplitImpossible(FinetuneError):
    """The shares cannot be had of these samples."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"The data cannot be split so: {reason}; ask for other shares.")


@dataclass(frozen=True)
class Split:
    """The three sides, each in the file's order."""

    train: list[Sample]
    val: list[Sample]
    test: list[Sample]
    groups: int
    """Sets of samples that had to stay together."""


def split_samples(samples: Sequence[Sample], *, val: float, test: float, seed: int = 0, by: By = "image") -> Split:
    """Divide the samples.

    Args:
        samples: All of them.
        val: Share of the validation side, 0 to 1; the nearest that whole groups allow.
        test: Likewise.
        seed: The same seed divides the same samples alike.
        by: `image` keeps groups together; `category` also gives each category these shares, as nearly as groups
            allow.

    Raises:
        SplitImpossible: The shares leave nothing to train on, or a side that was asked for would be empty.
    """
    if val < 0 or test < 0 or val + test >= 1:
        raise SplitImpossible(f"{val:g} and {test:g} leave nothing to train on")
    groups = _groups(samples)
    strata: dict[str | None, list[list[int]]] = defaultdict(list)
    for group in groups:
        shared = Counter(samples[number].category for number in group)
        strata[shared.most_common(1)[0][0] if by == "category" else None].append(group)
    side = ["train"] * len(samples)
    rng = Random(seed)
    due = {"test": 0.0, "val": 0.0}  # what rounding left over goes to the next stratum
    for key in sorted(strata, key=lambda name: name or ""):
        stratum = strata[key]
        rng.shuffle(stratum)
        size = sum(map(len, stratum))
        for name, share in (("test", test), ("val", val)):
            due[name] += share * size
            for group in list(stratum):
                # taken where it brings the side nearer to its share than leaving it does
                if 2 * due[name] >= len(group) and len(stratum) > 1:
                    stratum.remove(group)
                    due[name] -= len(group)
                    for number in group:
                        side[number] = name
    sides = {name: [s for s, at in zip(samples, side, strict=True) if at == name] for name in ("train", "val", "test")}
    for name, share in (("train", 1.0), ("val", val), ("test", test)):
        if share and not sides[name]:
            raise SplitImpossible(f"{len(groups)} groups of samples leave the side {name!r} empty")
    return Split(sides["train"], sides["val"], sides["test"], len(groups))


def _groups(samples: Sequence[Sample]) -> list[list[int]]:
    """Return the numbers of samples that must stay together, by union and find."""
    parent = list(range(len(samples)))

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    files = dict.fromkeys(path for sample in samples for path in sample.pictures)
    same = same_content(list(files))
    first: dict[Hashable, int] = {}
    for number, sample in enumerate(samples):
        asked = tuple(message.text for message in sample.messages if message.role == "user")
        keys: list[Hashable] = [same[path] for path in sample.pictures] or [asked]
        for key in keys:
            parent[root(number)] = root(first.setdefault(key, number))
    groups: dict[int, list[int]] = defaultdict(list)
    for number in range(len(samples)):
        groups[root(number)].append(number)
    return list(groups.values())


def same_content(files: Sequence[Path], among: Collection[Path] | None = None) -> dict[Path, str]:
    """Return a key of each file, equal for links to one file and for copies of it; files that are not there count.

    Args:
        files: Those of the size of another one are read.
        among: Files of which alone copies are looked for; none for all. What is of no size of theirs is not read.
    """
    real = {path: os.path.realpath(path) for path in files}
    sizes: dict[int, set[str]] = defaultdict(set)
    for name in set(real.values()):
        try:
            sizes[os.stat(name).st_size].add(name)
        except OSError:
            continue
    wanted = set(real.values()) if among is None else {real[path] for path in among}
    digests: dict[str, str] = {}
    for names in sizes.values():
        if len(names) > 1 and names & wanted:  # only files of one size can be copies
            digests |= {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in names}
    return {path: digests.get(name, name) for path, name in real.items()}
