"""The compiled graph: nodes, edges and the rules by which a run moves. The nodes live in modules of their own."""

import time
from typing import TYPE_CHECKING, Protocol

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graph.agent_state import AgentState
from graph.context import Context
from graph.planner import planner
from graph.responder import responder
from graph.retriever import retriever
from graph.reviewer import reviewer
from graph.state import Event

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

MAX_REWRITES = 1


class Node(Protocol):
    """A step of the graph: reads the state, returns what changes."""

    def __call__(self, state: AgentState, runtime: Runtime[Context]) -> AgentState:
        """Run the step."""
        ...


def build_graph() -> "CompiledStateGraph[AgentState, Context, AgentState, AgentState]":
    """Compile START -> planner -> (retriever) -> responder -> reviewer -> END, back to the responder at most once."""
    graph = StateGraph(AgentState, context_schema=Context)
    nodes: dict[str, Node] = {
        "planner": planner, "retriever": retriever, "responder": responder, "reviewer": reviewer
    }  # fmt: skip
    for name, node in nodes.items():
        graph.add_node(name, _reported(name, node))
    graph.add_conditional_edges(START, after_start, ["planner", "retriever", "responder"])
    graph.add_conditional_edges("planner", after_planner, ["retriever", "responder"])
    graph.add_edge("retriever", "responder")
    graph.add_conditional_edges("responder", after_responder, ["reviewer", END])
    graph.add_conditional_edges("reviewer", after_reviewer, ["responder", END])
    return graph.compile()


def after_start(state: AgentState) -> str:
    """Skip the plan where one look must do."""
    return after_planner(state) if state["effort"] == "quick" else "planner"


def after_planner(state: AgentState) -> str:
    """Search where the plan wants documents, or where nothing else could answer."""
    plan = state.get("plan")
    wanted = not state["pictures"] or (plan is not None and plan.needs_knowledge)
    return "retriever" if state["search"] and wanted else "responder"


def after_responder(state: AgentState) -> str:
    """Skip the review where one look must do, and of a draft that was cut off or only quotes."""
    skipped = state["effort"] == "quick" or state["truncated"] or not state.get("messages")
    return END if skipped else "reviewer"


def after_reviewer(state: AgentState) -> str:
    """Rewrite on RETRY, once."""
    review = state.get("review")
    return "responder" if review and review.verdict == "RETRY" and state["rewrites"] < MAX_REWRITES else END


def _reported(name: str, node: Node) -> Node:
    """Wrap a node so that its start and its end, with seconds and tokens, become events."""

    def run(state: AgentState, runtime: Runtime[Context]) -> AgentState:
        context, began = runtime.context, time.monotonic()
        new, cached = context.meter.new_tokens, context.meter.cached_tokens
        context.on_event(Event(node=name, kind="start"))
        update = node(state, runtime)
        context.on_event(
            Event(
                node=name,
                kind="end",
                seconds=round(time.monotonic() - began, 3),
                new_tokens=context.meter.new_tokens - new,
                cached_tokens=context.meter.cached_tokens - cached,
            )
        )
        return update

    return run
