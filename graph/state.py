"""The state that flows through the graph. Only the finished turns are saved with a session."""

import operator
from typing import Annotated, Any, TypedDict

from langchain_core.messages import BaseMessage
from langgraph.channels import UntrackedValue

from graph.answer import Passage, Plan, ReviewResult
from graph.settings import Effort


class AgentState(TypedDict, total=False):
    """One question on its way to an answer.

    What belongs to this question alone is untracked: it is in no checkpoint, so that a kill in mid-answer leaves the
    session as it was after the last finished turn.
    """

    turns: Annotated[list[dict[str, Any]], operator.add]
    """`graph.answer.Turn` as JSON, the oldest first; the finisher adds one."""
    question: Annotated[str, UntrackedValue]
    """As the user typed it."""
    effort: Annotated[Effort, UntrackedValue]
    """Decides which nodes run."""
    search: Annotated[bool, UntrackedValue]
    """Whether there are documents and they may be searched."""
    whole: Annotated[bool, UntrackedValue]
    """Whether the whole of a document is asked for, as for a summary."""
    pictures: Annotated[int, UntrackedValue]
    """How many pictures the conversation is about."""
    plan: Annotated[Plan | None, UntrackedValue]
    """The planner's decision, none where there was no time for one."""
    evidence: Annotated[list[Passage] | None, UntrackedValue]
    """What the retriever found to help, numbered from 1 in this order; none where nothing was searched."""
    messages: Annotated[list[BaseMessage], UntrackedValue]
    """The responder's conversation, which the reviewer continues."""
    drafts: Annotated[list[str], UntrackedValue]
    """What the responder has written, the latest last."""
    draft: Annotated[str, UntrackedValue]
    """The one that becomes the answer."""
    review: Annotated[ReviewResult | None, UntrackedValue]
    """The reviewer's latest verdict."""
    degraded: Annotated[list[str], UntrackedValue]
    """What was missing or skipped, in words for the user."""
    truncated: Annotated[bool, UntrackedValue]
    """Whether time or length cut the draft."""


def noted(state: AgentState, *notes: str) -> list[str]:
    """Return the notes so far with these behind them, none twice."""
    return list(dict.fromkeys([*state.get("degraded", []), *notes]))
