"""The retriever: searches the documents, lets the model say what helps, and asks once more in other words."""

from langgraph.runtime import Runtime

from graph.answer import Grade, Passage, Query
from graph.errors import Undecided
from graph.evidence.passages import listed, passage_of
from graph.evidence.whole import whole_evidence
from graph.run_context import RunContext
from graph.state import AgentState, noted
from retrieval.errors import RetrievalError

PASSAGES = 5
CLEAR = 0.5
"""Relevance from which a passage needs no judge, where it is the only one."""


def retriever(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Find passages; what cannot be searched or graded is said and not guessed.

    A document whose whole is asked for is not searched but read, as far as the budget goes.
    """
    context, question = runtime.context, state["question"]
    plan = state.get("plan")
    notes: list[str] = []
    if context.whole:
        read = whole_evidence(context.whole, context.document_tokens, notes)
        return {"evidence": read, "degraded": noted(state, *notes)}
    found = _search(context, [question, *(plan.queries if plan else [])], notes)
    if context.quotes:  # who cannot write about documents cannot judge them either
        # Beside a picture, what may not answer is not quoted in place of what is seen.
        found = [passage for passage in found if not (context.is_taught and state["pictures"] and passage.weak)]
    elif context.late:
        notes.append("knowledge base: the passages were not graded, the time budget was spent")
    else:
        found = _graded(context, question, found, notes)
    if not found:
        notes.append("knowledge base: nothing relevant was found")
    elif all(passage.weak for passage in found):
        notes.append("knowledge base: only weak matches were found, which may not answer the question")
    return {"evidence": found, "degraded": noted(state, *notes)}


def _graded(context: RunContext, question: str, found: list[Passage], notes: list[str]) -> list[Passage]:
    """Return the passages that help; where none does, of a second search with the model's better words.

    One passage that is clearly relevant is not graded, and what cannot be graded keeps the search's own order.
    """
    for attempt in range(2):
        clear = [passage for passage in found if not passage.weak and passage.relevance >= CLEAR]
        if len(clear) == 1:
            return clear
        if found:
            text = context.prompts.grade.format(evidence=listed(context.prompts, found), question=question)
            try:
                grade, _ = context.decide("retriever", Grade, context.opening(text))
            except Undecided as error:
                notes.append(f"knowledge base: the passages were not graded, {error.reason}")
                return found
            if relevant := [found[n - 1] for n in grade.relevant if n <= len(found)]:
                return relevant
        if attempt == 0:
            text = context.prompts.rewrite_query.format(question=question, documents=context.documents_in_words)
            try:
                query, _ = context.decide("retriever", Query, context.opening(text))
            except Undecided as error:
                notes.append(f"knowledge base: it was not searched in other words, {error.reason}")
                return []
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
            passages.setdefault(hit.id, passage_of(hit))
    return list(passages.values())[:PASSAGES]
