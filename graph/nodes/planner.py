"""The planner: decides what kind of answer is wanted and whether documents are needed."""

from langchain_core.messages import HumanMessage, SystemMessage
from langgraph.runtime import Runtime

from graph.answer import Plan
from graph.prompts import SYSTEM
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import DeadlineExceeded


def planner(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Plan the answer; out of time, go on without a plan and say so."""
    context = runtime.context
    text = context.prompts.plan.format(question=state["question"])
    try:
        plan, _ = context.decide("planner", Plan, context.opening(text))
        if plan.task == "archive":
            # It writes a file: only the user's own words may want that, never those in a picture or an earlier answer.
            again, _ = context.decide("planner", Plan, [SystemMessage(SYSTEM), HumanMessage(text)])
            if again.task != "archive":
                plan = again
    except DeadlineExceeded:
        return {"plan": None, "degraded": noted(state, "plan: skipped, the time budget was spent")}
    notes = []
    if context.fields:
        plan = plan.model_copy(update={"task": "extract"})
    if plan.needs_knowledge and not state["search"]:
        notes.append("knowledge base: the plan wants it, but it is empty or was not to be used")
    elif plan.needs_knowledge and not any(query.strip() for query in plan.queries):
        notes.append("plan: it names nothing to search for, the question itself was searched")
    return {"plan": plan, "degraded": noted(state, *notes)}
