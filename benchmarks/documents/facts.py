"""Made-up facts, each of which one file holds. It writes no files."""

from dataclasses import dataclass
from random import Random

_FIRST = ("Alder", "Birch", "Cedar", "Dover", "Elgin", "Fenton", "Garrow", "Hollin", "Ivel", "Jarrow", "Kelso", "Lorne",
          "Marlow", "Norton", "Otley", "Penrith", "Quorn", "Ripley", "Selby", "Tarn")  # fmt: skip
_SECOND = ("pump", "lathe", "crane", "kiln", "turbine", "loom", "press", "ferry", "boiler", "printer")
_TOPICS = (
    "serial number", "inspection code", "order reference", "contract file", "spare part", "warranty card",
    "repair slip", "customs form", "insurance policy", "test report", "drawing index", "storage bin", "supplier mark",
    "batch label",
    "service plan", "delivery note", "tax class", "rental permit", "safety sheet", "calibration record",
)  # fmt: skip
FILLER = "This page holds what has been agreed upon, and nobody has to read it twice to see what was meant."


@dataclass(frozen=True)
class Fact:
    """What one file says and no other."""

    topic: str
    name: str
    value: str
    other: str
    """The name of something else, of which the file says nothing that is asked."""

    @property
    def sentence(self) -> str:
        """Say it."""
        return f"The {self.topic} of the {self.name} is {self.value}."

    @property
    def question(self) -> str:
        """Ask for it."""
        return f"What is the {self.topic} of the {self.name}?"


def facts(count: int, seed: int) -> list[Fact]:
    """Return facts about different things."""
    rng = Random(seed)
    names = [f"{first} {second}" for first in _FIRST for second in _SECOND]
    rng.shuffle(names)
    return [
        Fact(rng.choice(_TOPICS), names[n], f"{rng.choice('ABCDEFGH')}{rng.randint(10, 99)}-{rng.randint(1000, 9999)}",
             names[(n + count) % len(names)])
        for n in range(count)
    ]  # fmt: skip
