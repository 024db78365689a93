"""The state that flows through the graph. It holds nothing that could not be saved."""

import operator
from typing import Annotated, TypedDict

from langchain_core.messages import BaseMessage

from graph.settings import Effort
from graph.state import Passage, Plan, ReviewResult


class AgentState(TypedDict, total=False):
    """One question on its way to an answer; lists marked with `operator.add` grow, the rest is replaced."""

    question: str
    """As the user typed it."""
    effort: Effort
    """Decides which nodes run."""
    search: bool
    """Whether there are documents and they may be searched."""
    pictures: int
    """How many pictures the question is about."""
    plan: Plan | None
    """The planner's decision, none where there was no time for one."""
    evidence: list[Passage]
    """What the retriever found to help, numbered from 1 in this order."""
    messages: Annotated[list[BaseMessage], operator.add]
    """The responder's conversation, which the reviewer continues."""
    draft: str
    """The responder's latest answer."""
    review: ReviewResult | None
    """The reviewer's latest verdict."""
    rewrites: int
    """How often the responder wrote again."""
    degraded: Annotated[list[str], operator.add]
    """What was missing or skipped, in words for the user."""
    truncated: bool
    """Whether time or length cut the draft."""
