"""The planner: decides what kind of answer is wanted and whether documents are needed."""

from langgraph.runtime import Runtime

from graph import prompts
from graph.agent_state import AgentState
from graph.context import Context
from graph.state import Plan
from model.call import DeadlineExceeded


def planner(state: AgentState, runtime: Runtime[Context]) -> AgentState:
    """Plan the answer; out of time, go on without a plan and say so."""
    context = runtime.context
    try:
        plan, _ = context.decide(Plan, context.opening(prompts.PLAN.format(question=state["question"])))
    except DeadlineExceeded:
        return {"plan": None, "degraded": ["plan: skipped, the time budget was spent"]}
    if plan.needs_knowledge and not state["search"]:
        note = "knowledge base: the plan wants it, but it is empty or was not to be used"
        return {"plan": plan, "degraded": [note]}
    return {"plan": plan}
