"""The retriever: searches the documents, lets the model say what helps, and asks once more in other words."""

from langgraph.runtime import Runtime

from graph.answer import Grade, Passage, Query
from graph.evidence import numbered
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import DeadlineExceeded
from retrieval.errors import RetrievalError

PASSAGES = 5


def retriever(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Find passages; what cannot be searched or graded in time is said and not guessed."""
    context, question = runtime.context, state["question"]
    plan = state.get("plan")
    notes: list[str] = []
    found = _search(context, [question, *(plan.queries if plan else [])], notes)
    if not context.quotes and not context.late:  # who cannot write about documents cannot judge them either
        try:
            found = _graded(context, question, found, notes)
        except DeadlineExceeded:
            notes.append("knowledge base: the passages were not graded, the time budget was spent")
    if not found:
        notes.append("knowledge base: nothing relevant was found")
    return {"evidence": found, "degraded": noted(state, *notes)}


def _graded(context: RunContext, question: str, found: list[Passage], notes: list[str]) -> list[Passage]:
    """Return the passages that help; where none does, of a second search with the model's better words."""
    for attempt in range(2):
        if found:
            text = context.prompts.grade.format(evidence=numbered(found), question=question)
            grade, _ = context.decide("retriever", Grade, context.opening(text))
            if relevant := [found[n - 1] for n in grade.relevant if n <= len(found)]:
                return relevant
        if attempt == 0:
            query, _ = context.decide(
                "retriever", Query, context.opening(context.prompts.rewrite_query.format(question=question))
            )
            found = _search(context, [query.query], notes)
    return []


def _search(context: RunContext, queries: list[str], notes: list[str]) -> list[Passage]:
    """Search for each query; the first one's hits come first."""
    passages: dict[str, Passage] = {}
    for query in dict.fromkeys(query for query in queries if query.strip()):
        try:
            found = context.search(query, PASSAGES)
        except RetrievalError as error:
            notes.append(f"knowledge base: {error}")
            break
        notes += [f"knowledge base: {note}" for note in found.degraded]
        for hit in found.hits:
            if hit.stale:
                notes.append(f"knowledge base: {hit.source} has changed since it was indexed")
            passages.setdefault(
                hit.id,
                Passage(
                    id=hit.id,
                    source=hit.source,
                    page=hit.page,
                    start=hit.start,
                    end=hit.end,
                    text=hit.text,
                    score=hit.score,
                ),
            )
    return list(passages.values())[:PASSAGES]
