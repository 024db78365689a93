"""A question with everything that may go with it: the one declaration of its arguments, for every door."""

from dataclasses import dataclass
from typing import TypedDict

from graph.settings import Effort


class QuestionOptions(TypedDict, total=False):
    """What may be given beside a question's words and pictures; the meaning stands at `Question`."""

    session_id: str | None
    use_knowledge: bool
    effort: Effort | None
    max_new_tokens: int | None
    fields: tuple[str, ...]
    time_budget_s: float | None


@dataclass(frozen=True)
class Question:
    """What an agent is asked."""

    text: str
    """In the user's words."""
    images: tuple[str, ...] = ()
    """Paths inside the roots, or `data:` URLs."""
    session_id: str | None = None
    """The session to go on with or to begin; None begins one with a new name."""
    use_knowledge: bool = True
    """Whether documents may be searched."""
    effort: Effort | None = None
    """None takes the setting."""
    max_new_tokens: int | None = None
    """None takes the setting."""
    fields: tuple[str, ...] = ()
    """Extract these; the answer is then a JSON object with their values, null for what is not there."""
    time_budget_s: float | None = None
    """Counted from the moment of asking; None takes the setting."""
