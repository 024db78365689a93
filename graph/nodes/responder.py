"""The responder: answers from pictures and passages, or quotes these; after a RETRY it answers once more."""

import json
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.runtime import Runtime

from graph.answer import Extraction, Moderation
from graph.errors import Undecided
from graph.evidence.page_pictures import with_pages
from graph.evidence.passages import leading, listed, quoted
from graph.run_context import REPETITION, RunContext
from graph.state import AgentState, noted
from model.call_options import LEFT_OUT_KEY, Cancelled, DeadlineExceeded
from model.errors import ModelError

DRAFTS = 3  # of effort thorough
SPREAD = 0.8  # temperature of all drafts but the first
FIELD_CHARS = 200
UNFINISHED = "answer: the server did not say that it had finished; the end may be missing"
QUOTED = "answer: not in the form that was asked for, documents are quoted as they are (answering)"
TIME_UP = "time or length was up before the first word; ask again, or allow more with time_budget_s"


def responder(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Draft the answer, or write it again with the reviewer's feedback."""
    context, review = runtime.context, state.get("review")
    if (said := _without_model(state, context)) is not None:
        notes = [QUOTED] if context.fields and state.get("evidence") else []
        return {"drafts": [said], "draft": said, "truncated": False, "degraded": noted(state, *notes)}
    if review is not None:
        feedback = context.prompts.rewrite.format(feedback=review.feedback, question=state["question"])
        new: list[BaseMessage] = [HumanMessage(feedback)]
    else:
        new = context.opening(_question(state, context))
    conversation = [*state.get("messages", []), *new]
    notes = []
    try:
        message, conversation = _seen_and_written(state, context, conversation, notes)
    except Cancelled:
        raise
    except ModelError as error:
        if review is None:
            raise
        # There is an answer already; without messages nobody reviews it again.
        note = f"answer: not written again as the review wished, {str(error).rstrip('.')}"
        return {"messages": [], "degraded": noted(state, note)}
    drafts = [*state.get("drafts", []), message.text.strip()]
    end = message.response_metadata.get("finish_reason")
    truncated = end in ("length", "deadline", REPETITION)
    if end == REPETITION:
        notes.append("answer: it began to repeat itself without end and was cut there")
    # A draft that is chosen must have the form too.
    others = state["effort"] == "thorough" and review is None and not truncated and _task(state, context) != "extract"
    if left_out := message.response_metadata.get(LEFT_OUT_KEY):
        notes.append(f"answer: the server does not take {', '.join(left_out)}, it was written without")
    if end == "unknown":
        notes.append(UNFINISHED)
    if not drafts[-1]:
        why = TIME_UP if truncated else "the model wrote nothing; ask in other words or try a larger model"
        notes.append(f"answer: {why}")
    return {
        "messages": [*conversation, message],
        "draft": drafts[-1],
        "drafts": [*drafts, *(_more(context, conversation, drafts, notes) if others else [])],
        "truncated": truncated,
        "degraded": noted(state, *notes),
    }


def _without_model(state: AgentState, context: RunContext) -> str | None:
    """Return what is said where the model is not to write: quotations, or that it cannot read the question."""
    evidence = state.get("evidence")
    if evidence is None:
        return context.unable or None
    if not (context.quotes if evidence else not state["pictures"]):
        return None
    if not evidence and context.fields:
        return json.dumps(dict.fromkeys(context.fields), ensure_ascii=False)
    words = leading(evidence) if context.whole else quoted(state["question"], evidence)
    return context.prompts.quoted + words if words else context.prompts.not_said


def _written(state: AgentState, context: RunContext, conversation: list[BaseMessage], notes: list[str]) -> AIMessage:
    """Let the model write, in the form of its task where that has one; in words where it does not find the form."""
    task = _task(state, context)
    if task != "extract" and (task != "moderate" or state.get("evidence")):
        return context.write("responder", conversation)
    try:
        return _filled(context, conversation, task)
    except Undecided as error:
        if context.late:
            return AIMessage("", response_metadata={"finish_reason": "deadline"})
        notes.append(f"answer: not in the form that was asked for, {error.reason}")
        return context.write("responder", conversation)


def _seen_and_written(
    state: AgentState, context: RunContext, conversation: list[BaseMessage], notes: list[str]
) -> tuple[AIMessage, list[BaseMessage]]:
    """Let the model write, its first draft with the pages before it that it answers from, if it takes pictures."""
    pages = context.pages(state.get("evidence") or []) if state.get("review") is None else []
    seen = with_pages(conversation, pages)
    try:
        return _written(state, context, seen, notes), seen
    except (Cancelled, DeadlineExceeded):
        raise
    except ModelError as error:
        if not pages:
            raise
        reason = str(error).rstrip(".")
        notes.append(f"pages: answered from the words alone, the model did not take the page's picture ({reason})")
        return _written(state, context, conversation, notes), conversation


def _question(state: AgentState, context: RunContext) -> str:
    words, evidence, task = context.prompts, state.get("evidence"), _task(state, context)
    form = words.tasks.get(task, words.answer) if state["pictures"] or task == "extract" else words.answer
    asked = form.format(question=state["question"])
    if context.fields:
        asked = words.fields.format(question=state["question"], fields=", ".join(context.fields))
    if not evidence:
        return asked
    from_evidence = words.extract_from_evidence if task == "extract" else words.answer_from_evidence
    return from_evidence.format(
        question=asked if words.names_sources or task == "extract" else state["question"],
        evidence=listed(words, evidence),
        and_pictures=words.and_pictures if state["pictures"] else "",
    )


def _task(state: AgentState, context: RunContext) -> str:
    plan = state.get("plan")
    return plan.task if plan else "extract" if context.fields else "answer"


def _more(context: RunContext, conversation: list[BaseMessage], drafts: list[str], notes: list[str]) -> list[str]:
    """Return further drafts that say something else; without their words as events, since one of all is chosen."""
    others: list[str] = []
    for seed in range(1, DRAFTS):
        if context.late:
            break
        try:
            draft = context.silent().write("responder", conversation, temperature=SPREAD, seed=seed).text.strip()
        except Cancelled:
            raise
        except ModelError as error:
            notes.append(f"answer: fewer drafts than wanted, {str(error).rstrip('.')}")
            break
        if draft and draft not in (*drafts, *others):
            others.append(draft)
    return others


def _filled(context: RunContext, conversation: list[BaseMessage], task: str) -> AIMessage:
    """Let the model fill in the task's form; the answer is a JSON object in one line.

    Raises:
        Undecided: What it writes has no such form.
    """
    if task == "moderate":
        judgement, raw = context.decide("responder", Moderation, conversation)
        text = judgement.model_dump_json()
    elif context.fields:
        values, raw = _fields(context, conversation)
        text = json.dumps(values, ensure_ascii=False)
    else:
        found, raw = context.decide("responder", Extraction, conversation)
        text = json.dumps({item.name: item.value for item in found.items}, ensure_ascii=False)
    return AIMessage(text, response_metadata=raw.response_metadata)


def _fields(context: RunContext, conversation: list[BaseMessage]) -> tuple[dict[str, Any], AIMessage]:
    try:
        values, raw = context.fill("responder", _schema_of(context.fields), conversation)
    except DeadlineExceeded:
        raise Undecided("fields", "the model took too long over it") from None
    if values is None:
        raise Undecided("fields", "the model wrote no object with them")
    return values, raw


def _schema_of(fields: tuple[str, ...]) -> dict[str, Any]:
    value = {"anyOf": [{"type": "string", "maxLength": FIELD_CHARS}, {"type": "null"}]}
    return {
        "title": "Fields", "type": "object", "properties": dict.fromkeys(fields, value),
        "required": list(fields), "additionalProperties": False,
    }  # fmt: skip
