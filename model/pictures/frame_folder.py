"""A film as a folder of pictures: which of them are looked at. It opens none."""

from collections.abc import Sequence


def frames_of(names: Sequence[str]) -> list[str]:
    """Return a folder's pictures in their order, without the depth pictures that OpenEQA's export lays beside."""
    names = sorted(names)
    return [name for name in names if "-rgb." in name] or names


def evenly(names: Sequence[str], most: int) -> list[str]:
    """Return at most so many evenly spaced names, the first and the last among them; of one alone the first."""
    last, count = len(names) - 1, min(most, len(names))
    places = [round(k * last / (count - 1)) for k in range(count)] if count > 1 else range(count)
    return [names[place] for place in places]
