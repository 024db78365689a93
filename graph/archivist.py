"""The archivist: saves the session where the user asked for that in words."""

from langgraph.runtime import Runtime

from graph.agent_state import AgentState
from graph.context import Context


def archivist(state: AgentState, runtime: Runtime[Context]) -> AgentState:
    """Write the summary and say where it is."""
    context = runtime.context
    path = context.archive()
    said = context.prompts.saved.format(path=path) if path else context.prompts.nothing_to_save
    return {"drafts": [said], "draft": said, "truncated": False}
