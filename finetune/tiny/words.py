"""The words of the drawn world in all their forms, so that the tokenizer gives each of them one token."""

from finetune.data.drawn.chinese import CHINESE
from finetune.data.drawn.wording import ALSO_CALLED, COLORS, SHAPES, SIZES, plural

_PLACES = [word for words in (*CHINESE.sides.values(), *CHINESE.edges.values()) for word in words]


def forms(name: str) -> list[str]:
    """Return how a colour, a shape or a size is written: at a text's beginning, within it, as many, in Chinese."""
    chinese = (COLORS | SHAPES | SIZES)[name]
    many = [f" {plural(name)}", plural(name)] if name in SHAPES else []
    return [name, f" {name}", *many, chinese, *([ALSO_CALLED[chinese]] if chinese in ALSO_CALLED else [])]


def vocabulary() -> list[str]:
    """Return every form of every word, and the other Chinese words that stand beside them without a space."""
    return [form for name in (*COLORS, *SHAPES, *SIZES) for form in forms(name)] + [*CHINESE.anything, *_PLACES]


def breaks() -> list[str]:
    """Return the Chinese words and marks that the tokenizer must cut apart, the longest first."""
    words = {word for word in vocabulary() if not word.isascii()}
    return sorted(words | set("小大：、，。？和的"), key=len, reverse=True)
