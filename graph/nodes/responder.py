"""The responder: answers from pictures and passages, or quotes these; after a RETRY it answers once more."""

import json
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.runtime import Runtime

from graph.answer import Event, Extraction, Moderation
from graph.evidence import numbered, quoted
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import DeadlineExceeded

DRAFTS = 3  # of effort thorough
SPREAD = 0.8  # temperature of all drafts but the first
FIELD_CHARS = 200
TIME_UP = "time or length was up before the first word; ask again, or allow more with time_budget_s"


def responder(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """Draft the answer, or write it again with the reviewer's feedback."""
    context, evidence, review = runtime.context, state.get("evidence"), state.get("review")
    if evidence is not None and (context.quotes if evidence else not state["pictures"]):
        words = quoted(state["question"], evidence)
        said = context.prompts.quoted + words if words else context.prompts.not_said
        return {"drafts": [said], "draft": said, "truncated": False}
    if review is not None:
        new: list[BaseMessage] = [HumanMessage(context.prompts.rewrite.format(feedback=review.feedback))]
    else:
        new = context.opening(_question(state, context))
    conversation = [*state.get("messages", []), *new]
    plan = state.get("plan")
    task = plan.task if plan else "answer"
    if task in ("extract", "moderate") and not evidence:
        message = _filled(context, conversation, task)
    else:
        message = context.write("responder", conversation)
    drafts = [*state.get("drafts", []), message.text.strip()]
    update: AgentState = {
        "messages": [*conversation, message],
        "drafts": drafts,
        "draft": drafts[-1],
        "truncated": message.response_metadata.get("finish_reason") in ("length", "deadline"),
    }
    if state["effort"] == "thorough" and review is None and not update["truncated"]:
        update["drafts"] = drafts + _more(context, conversation, drafts)
    if not drafts[-1]:
        why = TIME_UP if update["truncated"] else "the model wrote nothing; ask in other words or try a larger model"
        update["degraded"] = noted(state, f"answer: {why}")
    return update


def _question(state: AgentState, context: RunContext) -> str:
    words, evidence, plan = context.prompts, state.get("evidence"), state.get("plan")
    if evidence:
        return words.answer_from_evidence.format(question=state["question"], evidence=numbered(evidence))
    if context.fields:
        return words.fields.format(question=state["question"], fields=", ".join(context.fields))
    form = words.tasks.get(plan.task, words.answer) if plan and state["pictures"] else words.answer
    return form.format(question=state["question"])


def _more(context: RunContext, conversation: list[BaseMessage], drafts: list[str]) -> list[str]:
    """Return further drafts that say something else; without their words as events, since one of all is chosen."""
    others: list[str] = []
    for seed in range(1, DRAFTS):
        if context.late:
            break
        draft = context.silent().write("responder", conversation, temperature=SPREAD, seed=seed).text.strip()
        if draft and draft not in (*drafts, *others):
            others.append(draft)
    return others


def _filled(context: RunContext, conversation: list[BaseMessage], task: str) -> AIMessage:
    """Let the model fill in the task's form; the answer is a JSON object in one line."""
    try:
        if task == "moderate":
            judgement, raw = context.decide("responder", Moderation, conversation)
            text = judgement.model_dump_json()
        elif context.fields:
            values, raw = context.fill("responder", _schema_of(context.fields), conversation)
            text = json.dumps(values, ensure_ascii=False)
        else:
            found, raw = context.decide("responder", Extraction, conversation)
            text = json.dumps({item.name: item.value for item in found.items}, ensure_ascii=False)
    except DeadlineExceeded:
        return AIMessage("", response_metadata={"finish_reason": "deadline"})
    context.on_event(Event(node="responder", kind="text", text=text))
    return AIMessage(text, response_metadata=raw.response_metadata)


def _schema_of(fields: tuple[str, ...]) -> dict[str, Any]:
    value = {"anyOf": [{"type": "string", "maxLength": FIELD_CHARS}, {"type": "null"}]}
    return {
        "title": "Fields", "type": "object", "properties": dict.fromkeys(fields, value),
        "required": list(fields), "additionalProperties": False,
    }  # fmt: skip
