"""What a node did, for traces: in words, and as an OpenTelemetry span where the user has that installed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from common.safe_text import shortened

if TYPE_CHECKING:
    from graph.state import AgentState

Attributes = Callable[[Mapping[str, int]], None]


@contextmanager
def span(node: str) -> Iterator[Attributes]:
    """Make the body a span named for the node; yields what sets its attributes.

    Without a provider that the process has set up, the API's own spans go nowhere and cost nothing.
    """
    try:
        from opentelemetry import trace
    except ImportError:
        yield lambda _: None
        return
    with trace.get_tracer("lorgnette").start_as_current_span(f"lorgnette.{node}") as current:
        yield lambda values: current.set_attributes(dict(values))


def details_of(update: "AgentState") -> list[str]:
    """Return what a node decided, a line each."""
    lines = []
    if (plan := update.get("plan")) is not None:
        needs = "documents" if plan.needs_knowledge else "no documents"
        lines.append(f"task {plan.task}, {needs}: {'; '.join(plan.steps) or 'no steps'}")
        lines += [f"search: {query}" for query in plan.queries]
    for number, passage in enumerate(update.get("evidence") or [], 1):
        lines.append(f"[{number}] {passage.source}, characters {passage.start} to {passage.end}")
    if "drafts" in update:
        lines += [f"draft: {shortened(draft, 100)}" for draft in update["drafts"]]
    if (review := update.get("review")) is not None:
        lines.append(f"{review.verdict}, it saw: {shortened(review.feedback, 100)}")
    return lines
