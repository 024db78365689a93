"""What a data set amounts to before it is trained on: counts, lengths, sizes, duplicates, and every row left out.

It counts and lists; it changes nothing and trains nothing. Pictures are measured by their headers.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune.data.dataset import Broken, Dataset
from finetune.data.pictures import picture_size
from finetune.data.sample import Frames, Sample
from finetune.data.token_counts import TokenCounter, Tokens
from finetune.data.unusable import Unusable


@dataclass(frozen=True)
class Spread:
    """How a number is spread over the samples."""

    least: int
    median: int
    p95: int
    """95 of 100 are not above it."""
    most: int
    total: int

    @staticmethod
    def of(values: Sequence[int]) -> "Spread | None":
        """Return the spread; None of nothing. Ranks are rounded up, so each number is one that occurs."""
        if not values:
            return None
        ordered = sorted(values)

        def rank(percent: int) -> int:
            return ordered[-(-len(ordered) * percent // 100) - 1]

        return Spread(ordered[0], rank(50), rank(95), ordered[-1], sum(ordered))


@dataclass(frozen=True)
class TokenReport:
    """How long the samples are for one model."""

    model: str
    cutoff_len: int
    whole: Spread
    """Tokens of a sample."""
    pictures: Spread
    """Of them, those of pictures and videos."""
    answers: Spread
    """Of them, those of the last answer."""
    cut: list[Broken] = field(default_factory=list)
    """Samples above cutoff_len whose last words training leaves out."""
    refused: list[Broken] = field(default_factory=list)
    """Samples above cutoff_len that training cannot use: their pictures or first answer lie beyond it."""


@dataclass(frozen=True)
class DataReport:
    """A data set in numbers and lists."""

    format: str
    decided: str
    """How the format was found."""
    usable: int
    broken: list[Broken]
    """Rows that cannot be used."""
    generated: int
    """Samples that a model wrote."""
    exchanges: Spread | None
    """Questions with their answers in a sample."""
    picture_files: int
    """Different ones."""
    pictures: Spread | None
    """Pictures and frames in a sample."""
    videos: int
    widths: Spread | None
    """Of the different pictures, in pixels."""
    heights: Spread | None
    question_chars: Spread | None
    answer_chars: Spread | None
    categories: dict[str, int]
    duplicates: list[Broken]
    """Samples that say the same as an earlier one about the same pictures."""
    repeated_ids: int
    """Samples whose id an earlier one has, too."""
    tokens: TokenReport | None = None

    @property
    def rows(self) -> int:
        """Samples and broken rows together."""
        return self.usable + len(self.broken)


def report_on(dataset: Dataset) -> DataReport:
    """Return the report without token counts, which `count_tokens` adds."""
    samples = dataset.samples
    files = dict.fromkeys(path for sample in samples for path in sample.pictures)
    sizes = [size for path in files if (size := _size(dataset, path)) is not None]
    parts = [part for sample in samples for message in sample.messages for part in message.parts]
    said = [(message.role, len(message.text)) for sample in samples for message in sample.messages]
    ids = Counter(sample.id for sample in samples)
    return DataReport(
        format=dataset.format,
        decided=dataset.decided,
        usable=len(samples),
        broken=dataset.broken,
        generated=sum(sample.generated for sample in samples),
        exchanges=Spread.of([sum(m.role == "assistant" for m in sample.messages) for sample in samples]),
        picture_files=len(files),
        pictures=Spread.of([len(sample.pictures) for sample in samples]),
        videos=sum(isinstance(part, Frames) for part in parts),
        widths=Spread.of([width for width, _ in sizes]),
        heights=Spread.of([height for _, height in sizes]),
        question_chars=Spread.of([chars for role, chars in said if role == "user"]),
        answer_chars=Spread.of([chars for role, chars in said if role == "assistant"]),
        categories=dict(Counter(sample.category for sample in samples if sample.category).most_common()),
        duplicates=duplicates_of(samples),
        repeated_ids=len(samples) - len(ids),
    )


def count_tokens(
    samples: Sequence[Sample],
    counter: TokenCounter,
    *,
    model: str,
    cutoff_len: int,
    progress: Callable[[int], None] | None = None,
) -> TokenReport | None:
    """Return how long the samples are; None where there are none.

    Args:
        samples: Which.
        counter: Of the model that will be trained.
        model: Its name, for the report.
        cutoff_len: Where training cuts a row, in tokens.
        progress: Called with the number of samples so far.

    Raises:
        Unusable: A picture's size is not known and cannot be read; never for samples whose pictures were checked.
    """
    counts: list[Tokens] = []
    cut: list[Broken] = []
    refused: list[Broken] = []
    for number, sample in enumerate(samples, 1):
        tokens = counter.count(sample)
        counts.append(tokens)
        if tokens.total > cutoff_len:
            too_long = Broken(sample.origin, f"{tokens.total:,} tokens, {tokens.pictures:,} of them of pictures")
            (cut if counter.fate(sample, cutoff_len) == "cut" else refused).append(too_long)
        if progress is not None:
            progress(number)
    whole, pictures = Spread.of([n.total for n in counts]), Spread.of([n.pictures for n in counts])
    answers = Spread.of([n.answer for n in counts])
    if whole is None or pictures is None or answers is None:
        return None
    return TokenReport(model, cutoff_len, whole, pictures, answers, cut, refused)


def duplicates_of(samples: Sequence[Sample]) -> list[Broken]:
    """Return the samples whose messages are those of an earlier one, with that one's place as the reason."""
    first: dict[object, Sample] = {}
    found = []
    for sample in samples:
        same = first.setdefault(sample.messages, sample)
        if same is not sample:
            found.append(Broken(sample.origin, f"the same as {same.origin}"))
    return found


def _size(dataset: Dataset, path: Path) -> tuple[int, int] | None:
    if path in dataset.sizes:
        return dataset.sizes[path]
    try:
        return picture_size(path)
    except Unusable:  # pictures were not asked to be checked
        return None
