"""The archivist: saves the session where the user asked for that in words."""

from langgraph.runtime import Runtime

from graph.errors import ReportsOff
from graph.run_context import RunContext
from graph.state import AgentState, noted


def archivist(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Write the summary and say where it is, or that nothing may be written."""
    context = runtime.context
    notes = []
    try:
        path = context.archive()
        said = context.prompts.saved.format(path=path) if path else context.prompts.nothing_to_save
    except ReportsOff as error:
        said = context.prompts.saving_off
        notes.append(f"archive: {error}")
    return {"drafts": [said], "draft": said, "truncated": False, "degraded": noted(state, *notes)}
