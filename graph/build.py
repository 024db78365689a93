"""The compiled graph: nodes, edges and the rules by which a run moves. The nodes live in modules of their own."""

import time
from typing import TYPE_CHECKING, Protocol

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graph.agent_state import AgentState
from graph.context import Context
from graph.planner import planner
from graph.responder import responder
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
    """Compile START -> planner -> responder -> reviewer -> END, with at most one way back to the responder."""
    graph = StateGraph(AgentState, context_schema=Context)
    for name, node in (("planner", planner), ("responder", responder), ("reviewer", reviewer)):
        graph.add_node(name, _reported(name, node))
    graph.add_conditional_edges(START, after_start, ["planner", "responder"])
    graph.add_edge("planner", "responder")
    graph.add_conditional_edges("responder", after_responder, ["reviewer", END])
    graph.add_conditional_edges("reviewer", after_reviewer, ["responder", END])
    return graph.compile()


def after_start(state: AgentState) -> str:
    """Skip the plan where one look must do."""
    return "responder" if state["effort"] == "quick" else "planner"


def after_responder(state: AgentState) -> str:
    """Skip the review where one look must do, and of a draft that was cut off."""
    return END if state["effort"] == "quick" or state["truncated"] else "reviewer"


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
