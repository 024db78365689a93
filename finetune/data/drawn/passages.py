"""Short reading: numbered passages of made-up names and values, questions with cited answers."""

from dataclasses import dataclass
from random import Random

SYLLABLES = [
    "ba",
    "ko",
    "mi",
    "ta",
    "ru",
    "shi",
    "le",
    "no",
    "va",
    "dor",
    "pel",
    "gan",
    "ser",
    "lin",
    "mo",
    "zu",
    "ka",
    "fe",
    "wo",
    "hin",
]
TOPICS = (
    "price", "color", "owner", "height", "opening time", "code", "author", "temperature", "address",
    "weight", "year", "number", "limit", "deadline", "phone", "fee", "warranty", "speed",
)  # fmt: skip
FACTS = (
    "The {topic} of {name} is {value}.",
    "The {topic} for {name} is {value}.",
    "We know that {name} has the {topic} {value}.",
)
QUESTIONS = (
    "What is the {topic} of {name}?",
    "What is the {topic} of {name}?",
    "What is the {topic} for {name}?",
    "Tell me the {topic} of {name}.",
    "Which {topic} does {name} have?",
)
NOT_SAID = "The evidence does not say."


@dataclass(frozen=True)
class Fact:
    """A made-up thing has a value under a topic; names begin with a space's token wherever they stand."""

    topic: str
    name: str
    value: str

    def sentence(self, rng: Random) -> str:
        """Say the fact in one of a few ways; the name never opens the line, so its tokens stay the same."""
        return rng.choice(FACTS).format(topic=self.topic, name=self.name, value=self.value)

    def question(self, rng: Random) -> str:
        """Ask for the value."""
        return rng.choice(QUESTIONS).format(topic=self.topic, name=self.name)


def made_up_name(rng: Random) -> str:
    """Return a capitalised name of two or three syllables."""
    return "".join(rng.choices(SYLLABLES, k=rng.choice((2, 2, 3)))).capitalize()


def sample_facts(rng: Random, most: int) -> list[Fact]:
    """Return 1 to `most` facts with different names; some share a topic, so that the name must decide."""
    names = list(dict.fromkeys(made_up_name(rng) for _ in range(rng.randint(1, most))))
    topics = rng.choices(TOPICS, k=rng.choice((1, len(names) + 1)))
    values = (
        lambda: made_up_name(rng),
        lambda: str(rng.randint(2, 999)),
        lambda: f"{rng.randint(1, 12)}:{rng.randint(10, 59)}",
    )
    return [Fact(rng.choice(topics), n, rng.choice(values)()) for n in names]


def numbered(rng: Random, facts: list[Fact]) -> str:
    """Write the facts as numbered passages, one a line."""
    return "\n".join(f"[{i}] {f.sentence(rng)}" for i, f in enumerate(facts, 1))
