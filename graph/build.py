"""The compiled graph: nodes, edges and the rules by which a run moves. The nodes live in modules of their own."""

import time
from typing import TYPE_CHECKING, Protocol

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime

from graph.answer import Event
from graph.nodes.archivist import archivist
from graph.nodes.finisher import finisher
from graph.nodes.planner import planner
from graph.nodes.responder import responder
from graph.nodes.retriever import retriever
from graph.nodes.reviewer import reviewer
from graph.run_context import RunContext
from graph.state import AgentState
from graph.telemetry import details_of, span

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver
    from langgraph.graph.state import CompiledStateGraph

MAX_REWRITES = 1


class Node(Protocol):
    """A step of the graph: reads the state, returns what changes."""

    def __call__(self, state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
        """Run the step."""
        ...


def build_graph(
    checkpointer: "BaseCheckpointSaver[str] | None" = None,
) -> "CompiledStateGraph[AgentState, RunContext, AgentState, AgentState]":
    """Compile START -> planner -> (retriever) -> responder -> reviewer -> finisher -> END.

    The reviewer goes back to the responder at most once; a plan to archive goes to the archivist instead.
    """
    graph = StateGraph(AgentState, context_schema=RunContext)
    nodes: dict[str, Node] = {
        "planner": planner, "retriever": retriever, "responder": responder, "reviewer": reviewer,
        "archivist": archivist, "finisher": finisher,
    }  # fmt: skip
    for name, node in nodes.items():
        graph.add_node(name, _reported(name, node))
    graph.add_conditional_edges(START, after_start, ["planner", "retriever", "responder"])
    graph.add_conditional_edges("planner", after_planner, ["retriever", "responder", "archivist"])
    graph.add_edge("retriever", "responder")
    graph.add_conditional_edges("responder", after_responder, ["reviewer", "finisher"])
    graph.add_conditional_edges("reviewer", after_reviewer, ["responder", "finisher"])
    graph.add_edge("archivist", "finisher")
    graph.add_edge("finisher", END)
    return graph.compile(checkpointer=checkpointer)


def after_start(state: AgentState) -> str:
    """Skip the plan where one look must do."""
    return after_planner(state) if state["effort"] == "quick" else "planner"


def after_planner(state: AgentState) -> str:
    """Search where the plan wants documents, where there is none, or where nothing else could answer.

    A document that the question asks for as a whole is always looked at.
    """
    plan = state.get("plan")
    if plan is not None and plan.task == "archive":
        return "archivist"
    needed = state.get("whole", False) or (not state["pictures"] and not state.get("turns"))
    wanted = needed or (plan.needs_knowledge if plan is not None else state["effort"] != "quick")
    return "retriever" if state["search"] and wanted else "responder"


def after_responder(state: AgentState) -> str:
    """Skip the review where one look must do, and of a draft that was cut off, is empty or only quotes."""
    skipped = state["effort"] == "quick" or state["truncated"] or not state.get("messages") or not state["draft"]
    return "finisher" if skipped else "reviewer"


def after_reviewer(state: AgentState) -> str:
    """Rewrite on RETRY, once."""
    review = state.get("review")
    return "responder" if review and review.verdict == "RETRY" and review.rewrites < MAX_REWRITES else "finisher"


def _reported(name: str, node: Node) -> Node:
    """Wrap a node so that its start and its end, with seconds and tokens, become events."""

    def run(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
        context, began = runtime.context, time.monotonic()
        before = context.meter.copy()
        context.on_event(Event(node=name, kind="start"))
        with span(name) as attributes:
            update = node(state, runtime)
            spent = context.meter.since(before)
            end = Event(
                node=name,
                kind="end",
                seconds=round(time.monotonic() - began, 3),
                read_tokens=spent.input_tokens - spent.cached_tokens,
                cached_tokens=spent.cached_tokens,
                new_tokens=spent.new_tokens,
                details=details_of(update),
            )
            attributes(
                {
                    "gen_ai.usage.input_tokens": spent.input_tokens,
                    "gen_ai.usage.output_tokens": spent.new_tokens,
                    "lorgnette.cached_tokens": spent.cached_tokens,
                }
            )
        context.on_event(end)
        return update

    return run
