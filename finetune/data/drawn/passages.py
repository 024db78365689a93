"""Short reading: numbered passages of made-up names and values, questions with cited answers, in two languages."""

from dataclasses import dataclass
from random import Random

from finetune.data.drawn.english import ENGLISH
from finetune.data.drawn.wording import Wording

SYLLABLES = (
    "ba", "ko", "mi", "ta", "ru", "shi", "le", "no", "va", "dor", "pel", "gan", "ser", "lin", "mo", "zu", "ka", "fe",
    "wo", "hin",
)  # fmt: skip
TOPICS = {
    "price": "价格", "color": "颜色", "owner": "主人", "height": "高度", "opening time": "开放时间", "code": "代码",
    "author": "作者", "temperature": "温度", "address": "地址", "weight": "重量", "year": "年份", "number": "编号",
    "limit": "上限", "deadline": "期限", "phone": "电话", "fee": "费用", "warranty": "保修期", "speed": "速度",
}  # fmt: skip
FACTS = {
    "en": (
        "The {topic} of {name} is {value}.", "The {topic} for {name} is {value}.",
        "We know that {name} has the {topic} {value}.",
    ),
    "zh": ("这里 {name} 的{topic}是 {value}。", "据说 {name} 的{topic}为 {value}。"),
}  # fmt: skip
QUESTIONS = {
    "en": (
        "What is the {topic} of {name}?", "What is the {topic} of {name}?", "What is the {topic} for {name}?",
        "Tell me the {topic} of {name}.", "Which {topic} does {name} have?",
    ),
    "zh": ("请问 {name} 的{topic}是什么？", "请问 {name} 的{topic}是多少？", "告诉我 {name} 的{topic}。"),
}  # fmt: skip
SEARCHES = {"en": "the {topic} of {name}", "zh": "关于 {name} 的{topic}"}
ABOUT = {"en": "about {name}", "zh": "关于 {name}"}


@dataclass(frozen=True)
class Fact:
    """A made-up thing has a value under a topic; names begin with a space's token wherever they stand."""

    topic: str
    name: str
    value: str

    def sentence(self, rng: Random, words: Wording = ENGLISH) -> str:
        """Say the fact in one of a few ways; the name never opens the line, so its tokens stay the same."""
        return self._filled(rng.choice(FACTS[words.code]), words)

    def question(self, rng: Random, words: Wording = ENGLISH) -> str:
        """Ask for the value."""
        return self._filled(rng.choice(QUESTIONS[words.code]), words)

    def search(self, words: Wording = ENGLISH) -> str:
        """Return what is to be searched for."""
        return self._filled(SEARCHES[words.code], words)

    def _filled(self, form: str, words: Wording) -> str:
        topic = self.topic if words.code == "en" else TOPICS[self.topic]
        return form.format(topic=topic, name=self.name, value=self.value)


def made_up_name(rng: Random) -> str:
    """Return a capitalised name of two or three syllables."""
    return "".join(rng.choices(SYLLABLES, k=rng.choice((2, 2, 3)))).capitalize()


def sample_facts(rng: Random, most: int) -> list[Fact]:
    """Return 1 to `most` facts with different names; some share a topic, so that the name must decide."""
    names = list(dict.fromkeys(made_up_name(rng) for _ in range(rng.randint(1, most))))
    topics = rng.choices(list(TOPICS), k=rng.choice((1, len(names) + 1)))
    values = (
        lambda: made_up_name(rng),
        lambda: str(rng.randint(2, 999)),
        lambda: f"{rng.randint(1, 12)}:{rng.randint(10, 59)}",
    )
    return [Fact(rng.choice(topics), n, rng.choice(values)()) for n in names]


def numbered(rng: Random, facts: list[Fact], words: Wording = ENGLISH) -> str:
    """Write the facts as numbered passages, one a line."""
    return "\n".join(f"[{i}] {f.sentence(rng, words)}" for i, f in enumerate(facts, 1))
