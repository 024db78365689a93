"""The reviewer: looks again, says whether the draft is right, and chooses where there are several."""

from typing import Literal

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.runtime import Runtime

from graph.answer import Choice, Review, ReviewResult
from graph.errors import Undecided
from graph.evidence.citations import cite
from graph.judging.verdict import Verdict, published
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import PROBABILITY_KEY


def reviewer(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Continue the responder's conversation with a second look; without one, say that nothing was checked."""
    context, before = runtime.context, state.get("review")
    if context.pass_floor is not None and context.fields:
        return {"review": None, "degraded": noted(state, "review: skipped, the bundled checkpoint was taught no forms")}
    if state["effort"] == "thorough" and len(state["drafts"]) > 1 and before is None:
        return _chosen(state, context, rewrites=0)
    asked = HumanMessage(_review_of(state, context))
    try:
        review, message = context.decide("reviewer", Review, [*state["messages"], asked])
    except Undecided as error:
        return {"review": None, "degraded": noted(state, f"review: skipped, {error.reason}")}
    rewrites = 0 if before is None else 1
    if review.verdict == "RETRY" and rewrites:  # neither draft convinced: the better one is kept
        return _chosen(state, context, rewrites=rewrites)
    verdict = _published(state, context, review.verdict, state["draft"], review.feedback)
    result = ReviewResult(verdict=verdict.word, feedback=review.feedback, rewrites=rewrites)
    notes = [verdict.note] if verdict.note else []
    return {
        "messages": [*state["messages"], asked, message], "review": result, "degraded": noted(state, *notes),
    }  # fmt: skip


def _published(
    state: AgentState, context: RunContext, verdict: Literal["PASS", "RETRY"], draft: str, seen: str
) -> Verdict:
    """Return what may be said for the draft; a model tells its probability of the last one that it wrote alone."""
    probability = next(
        (
            message.response_metadata.get(PROBABILITY_KEY)
            for message in reversed(state["messages"])
            if isinstance(message, AIMessage) and message.text.strip() == draft
        ),
        None,
    )
    evidence = state.get("evidence") or []
    missing = bool(cite(draft, evidence, look_for=False).missing)
    return published(
        verdict, draft, seen, probability=probability, floor=context.pass_floor, cites_nothing_there=missing
    )


def _review_of(state: AgentState, context: RunContext) -> str:
    """Return what is asked, with what is to be looked at in an answer of this task."""
    criteria, plan = context.prompts.review_criteria, state.get("plan")
    if state.get("evidence"):
        found = criteria.get("documents", "")
    elif state["pictures"]:
        found = criteria.get(plan.task if plan else "pictures", criteria.get("pictures", ""))
    else:
        found = criteria.get("words", "")
    return context.prompts.review.format(question=state["question"], criteria=found)


def _chosen(state: AgentState, context: RunContext, rewrites: int) -> AgentState:
    """Keep the draft that the model prefers; PASS where drafts were many, RETRY where a rewrite did not help."""
    drafts, notes = state["drafts"], []
    listed = "\n".join(f"[{number}] {draft}" for number, draft in enumerate(drafts, 1))
    asked = HumanMessage(context.prompts.choose.format(drafts=listed, question=state["question"]))
    try:
        choice, _ = context.decide("reviewer", Choice, [*state["messages"], asked])
    except Undecided as error:
        kept = state.get("review")
        doubtful = kept.model_copy(update={"rewrites": rewrites}) if kept and rewrites else None
        which = "the latest" if rewrites else "the first"
        note = f"review: nothing was chosen among the drafts and {which} was kept, {error.reason}"
        return {"review": doubtful, "degraded": noted(state, note)}
    if choice.best > len(drafts):
        notes.append("review: it chose a draft that does not exist, the latest was kept")
    draft = drafts[choice.best - 1] if choice.best <= len(drafts) else drafts[-1]
    verdict = _published(state, context, "RETRY" if rewrites else "PASS", draft, choice.feedback)
    notes += [verdict.note] if verdict.note else []
    result = ReviewResult(verdict=verdict.word, feedback=choice.feedback, rewrites=rewrites)
    return {"draft": draft, "review": result, "degraded": noted(state, *notes)}
