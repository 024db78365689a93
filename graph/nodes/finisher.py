"""The finisher: makes the draft an answer, checks what it cites, and writes the turn into the session."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from langgraph.runtime import Runtime

from graph.answer import Answer, Box, Turn
from graph.evidence import cite
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import Cancelled
from model.pictures.boxes import parse_boxes
from model.pictures.open import Picture


def finisher(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """End the run."""
    context, draft, evidence = runtime.context, state["draft"], state.get("evidence") or []
    if context.cancel.is_set():
        raise Cancelled
    said, citations, missing = cite(draft, evidence)
    notes = [f"citation: there is no passage [{number}]" for number in missing]
    boxes = _boxes(draft, context.own_pictures)
    answer = Answer(
        answer=_in_words(said, boxes),
        citations=citations,
        boxes=boxes,
        plan=state.get("plan"),
        review=state.get("review"),
        degraded=noted(state, *notes),
        model=context.model,
        usage=context.meter.usage(time.monotonic() - context.began),
        session_id=context.session_id,
        truncated=state["truncated"],
    )
    turn = Turn(
        question=state["question"],
        images=list(context.seen),
        asked_at=datetime.now(UTC).isoformat(timespec="seconds"),
        said=draft,
        evidence=evidence,
        answer=answer,
    )
    context.finished.append(answer)
    return {"turns": [turn.model_dump(mode="json")]}


def _boxes(draft: str, pictures: Sequence[Picture]) -> list[Box]:
    found = parse_boxes(draft, [(p.image.width, p.image.height) for p in pictures])
    return [
        Box(label=b.label, image=b.image, picture=_name(pictures[b.image]), x1=b.x1, y1=b.y1, x2=b.x2, y2=b.y2)
        for b in found
    ]


def _name(picture: Picture) -> str:
    return picture.path.name if picture.path is not None else ""


def _in_words(draft: str, boxes: Sequence[Box]) -> str:
    """Return the draft, or the boxes in words where the draft is nothing but their JSON."""
    if not boxes or not draft.startswith(("[", "{", "```")):
        return draft
    places = [f"{b.label}: x {b.x1} to {b.x2}, y {b.y1} to {b.y2}" for b in boxes]
    return "; ".join(places) + " (pixels)"
