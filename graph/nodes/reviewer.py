"""The reviewer: looks again, says whether the draft is right, and chooses where there are several."""

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from graph.answer import Choice, Review, ReviewResult
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import DeadlineExceeded


def reviewer(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Continue the responder's conversation with a second look; out of time, say that nothing was checked."""
    context = runtime.context
    try:
        if state["effort"] == "thorough" and len(state["drafts"]) > 1 and state.get("review") is None:
            return _chosen(state, context, rewrites=0)
        asked = HumanMessage(context.prompts.review)
        review, message = context.decide("reviewer", Review, [*state["messages"], asked])
        rewrites = 0 if state.get("review") is None else 1
        if review.verdict == "RETRY" and rewrites:  # neither draft convinced: the better one is kept
            return _chosen(state, context, rewrites=rewrites)
    except DeadlineExceeded:
        return {"degraded": noted(state, "review: skipped, the time budget was spent")}
    result = ReviewResult(verdict=review.verdict, feedback=review.feedback, rewrites=rewrites)
    return {"messages": [*state["messages"], asked, message], "review": result}


def _chosen(state: AgentState, context: RunContext, rewrites: int) -> AgentState:
    """Keep the draft that the model prefers; PASS where drafts were many, RETRY where a rewrite did not help."""
    drafts = state["drafts"]
    listed = "\n".join(f"[{number}] {draft}" for number, draft in enumerate(drafts, 1))
    asked = HumanMessage(context.prompts.choose.format(drafts=listed))
    choice, _ = context.decide("reviewer", Choice, [*state["messages"], asked])
    notes = []
    if choice.best > len(drafts):
        notes.append("review: it chose a draft that does not exist, the latest was kept")
    draft = drafts[choice.best - 1] if choice.best <= len(drafts) else drafts[-1]
    verdict = "RETRY" if rewrites else "PASS"
    result = ReviewResult(verdict=verdict, feedback=choice.feedback, rewrites=rewrites)
    return {"draft": draft, "review": result, "degraded": noted(state, *notes)}
