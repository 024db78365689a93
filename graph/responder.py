"""The responder: answers from pictures and passages, or quotes these; after a RETRY it answers once more."""

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from graph import prompts
from graph.agent_state import AgentState
from graph.context import Context
from graph.evidence import numbered, quoted

NOTHING_FOUND = "The documents do not say."


def responder(state: AgentState, runtime: Runtime[Context]) -> AgentState:
    """Draft the answer, or write it again with the reviewer's feedback."""
    context, evidence = runtime.context, state.get("evidence")
    review = state.get("review")
    if evidence is not None and not state["pictures"] and (context.quotes or not evidence):
        return {"draft": quoted(state["question"], evidence) or NOTHING_FOUND, "truncated": False}
    if review is None:
        form = prompts.ANSWER_FROM_EVIDENCE if evidence else prompts.ANSWER
        new = context.opening(form.format(question=state["question"], evidence=numbered(evidence or [])))
    else:
        new = [HumanMessage(prompts.REWRITE.format(feedback=review.feedback))]
    message = context.write("responder", [*state.get("messages", []), *new])
    return {
        "messages": [*new, message],
        "draft": message.text.strip(),
        "rewrites": state.get("rewrites", 0) + (review is not None),
        "truncated": message.response_metadata.get("finish_reason") in ("length", "deadline"),
    }
