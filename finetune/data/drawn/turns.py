"""A turn of a training conversation: what the user says, what the assistant answers. It draws nothing."""

from dataclasses import dataclass

KINDS = (
    "count", "color", "shape", "exist", "caption", "relation", "size", "word", "locate", "unknown",
    "compare", "read", "plan", "grade", "review", "choose", "rewrite", "query", "draft",
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """One exchange.

    `kind` is one of `KINDS`, for the report by task. `learn` is False where the answer is a wrong draft
    that must be read but not learned. A `bare` turn stands without the chat's marks: the answer follows at once.
    """

    kind: str
    text: str
    answer: str
    learn: bool = True
    bare: bool = False
