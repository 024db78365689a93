"""The reviewer: looks again and says whether the draft is right."""

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from graph import prompts
from graph.agent_state import AgentState
from graph.context import Context
from graph.state import Review, ReviewResult
from model.call import DeadlineExceeded


def reviewer(state: AgentState, runtime: Runtime[Context]) -> AgentState:
    """Continue the responder's conversation with a second look; out of time, say that nothing was checked."""
    context = runtime.context
    asked = HumanMessage(prompts.REVIEW)
    try:
        review, message = context.decide(Review, [*state["messages"], asked])
    except DeadlineExceeded:
        return {"degraded": ["review: skipped, the time budget was spent"]}
    result = ReviewResult(verdict=review.verdict, feedback=review.feedback, rewrites=state["rewrites"])
    return {"messages": [asked, message], "review": result}
