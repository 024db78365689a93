"""The responder: answers from the pictures; after a RETRY it answers once more."""

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from graph import prompts
from graph.agent_state import AgentState
from graph.context import Context


def responder(state: AgentState, runtime: Runtime[Context]) -> AgentState:
    """Draft the answer, or write it again with the reviewer's feedback."""
    context = runtime.context
    review = state.get("review")
    if review is None:
        new = context.opening(prompts.ANSWER.format(question=state["question"]))
    else:
        new = [HumanMessage(prompts.REWRITE.format(feedback=review.feedback))]
    message = context.write("responder", [*state.get("messages", []), *new])
    return {
        "messages": [*new, message],
        "draft": message.text.strip(),
        "rewrites": state.get("rewrites", 0) + (review is not None),
        "truncated": message.response_metadata.get("finish_reason") in ("length", "deadline"),
    }
