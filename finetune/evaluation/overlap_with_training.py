"""Finds, among rows that are to be measured, those that an adapter was trained on.

What it was trained on is read from the configuration beside it. Pictures are the same where their bytes are, whatever
the file is called. It runs no model.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from finetune.config.loading import load_config
from finetune.config.schema import RESOLVED
from finetune.data.configured import read_data
from finetune.data.sample import Sample
from finetune.data.split import same_content
from finetune.errors import FinetuneError


def warn_of_trained(adapter: Path, samples: Sequence[Sample]) -> str | None:
    """Return a sentence that says how many of the samples the adapter has learned; none where it is none of them.

    A row was trained on where a row of the training asks the same about the same pictures. Only files of the same size
    are read, so that it is cheap beside the answering. An adapter without a configuration is not known to have learned
    anything.
    """
    try:
        learned = list(_learned(adapter.expanduser()))
    except (FinetuneError, OSError) as error:
        return f"whether the adapter was trained on these rows is not known: {error}"
    if not learned:
        return None
    measured = _paths(samples)
    contents = same_content([*_paths(learned), *measured], among=measured)
    known = {(_pictures(sample, contents), asked) for sample in learned for asked in _questions(sample)}
    seen = {each for sample in learned for each in _pictures(sample, contents)}
    same = [(_pictures(sample, contents), _questions(sample)[-1]) in known for sample in samples]
    shown = sum(
        not known and bool(_pictures(sample, contents) & seen) for sample, known in zip(samples, same, strict=True)
    )
    if not any(same) and not shown:
        return None
    return (
        f"{sum(same):,} of {len(samples):,} rows were trained on, and {shown:,} more ask about pictures that were: the "
        "scores say how well these were learned by heart; measure on rows about other pictures"
    )


def _learned(adapter: Path) -> Iterable[Sample]:
    """Yield what the adapter was trained on, and the one that its training began with."""
    folder: Path | None = adapter
    while folder is not None and (file := folder / RESOLVED).is_file():
        config = load_config(file)
        yield from read_data(config).train
        before = config.model.adapter_name_or_path
        folder = None if before is None or before.expanduser() == folder else before.expanduser()


def _questions(sample: Sample) -> list[str]:
    asked = [" ".join(message.text.split()).casefold() for message in sample.messages if message.role == "user"]
    return asked or [""]


def _paths(samples: Iterable[Sample]) -> list[Path]:
    return list(dict.fromkeys(path for sample in samples for path in sample.pictures))


def _pictures(sample: Sample, contents: Mapping[Path, str]) -> frozenset[str]:
    return frozenset(contents[path] for path in sample.pictures)
