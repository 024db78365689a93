"""The finisher: makes the draft an answer, checks what it cites, and writes the turn into the session."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from langgraph.runtime import Runtime

from common.safe_text import shortened
from graph.answer import Answer, Box, Citation, FieldValue, PageRegion, Passage, Task, Turn
from graph.evidence.citations import Cited, cite
from graph.evidence.values import cite_values
from graph.fields.proof import prove_all
from graph.fields.sources import ocr_sheets, page_sheets, passage_sheets
from graph.fields.values import boxes_of, values_of
from graph.run_context import RunContext
from graph.state import AgentState, noted
from model.call_options import Cancelled
from model.pictures.boxes import GroundedBox, read_boxes
from model.pictures.picture import Picture

SHOWN_CHARS = 120
"""So much of a sentence stands in a note."""


def finisher(state: AgentState, runtime: Runtime[RunContext]) -> AgentState:
    """End the run."""
    context, draft, evidence = runtime.context, state["draft"], state.get("evidence") or []
    if context.cancel.is_set():
        raise Cancelled
    cited = _cited(state, context, draft)
    notes = [*_citation_notes(cited)]
    boxes, unread = _boxes(_task(state, context), draft, context.own_pictures)
    notes += [f"boxes: {note}" for note in unread]
    fields = _fields(state, context, cited.text, notes)
    answer = Answer(
        answer=_in_words(cited.text, boxes),
        citations=[_located(citation, evidence, context) for citation in cited.citations],
        boxes=[*boxes, *boxes_of(fields, context.own_pictures)],
        fields=fields,
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


def _task(state: AgentState, context: RunContext) -> Task:
    plan = state.get("plan")
    return "extract" if context.fields else plan.task if plan else "answer"


def _cited(state: AgentState, context: RunContext, draft: str) -> Cited:
    evidence, look_for = state.get("evidence") or [], not context.quotes and not context.own_pictures
    if evidence and _task(state, context) == "extract":
        values = cite_values(draft, evidence, look_for=look_for)
        if values is not None:
            return values
    return cite(draft, evidence, look_for=look_for)


def _fields(state: AgentState, context: RunContext, text: str, notes: list[str]) -> list[FieldValue]:
    """Hold what was extracted against the words of pictures, pages and passages."""
    if _task(state, context) != "extract":
        return []
    values = values_of(text, context.fields)
    own = context.full if context.pictures else context.own_pictures
    sheets, unread = page_sheets(own, notes) if any(value for _, value in values) else ([], [])
    return prove_all(
        values,
        (
            lambda: sheets,
            lambda: ocr_sheets(unread, lambda: context.late, notes),
            lambda: passage_sheets(state.get("evidence") or [], context.words),
        ),
        state["question"],
    )


def _located(citation: Citation, evidence: Sequence[Passage], context: RunContext) -> Citation:
    """Add where the passage can be seen."""
    passage = next((one for one in evidence if one.id == citation.id), None)
    if context.locate is None or passage is None:
        return citation
    where = context.locate(passage)
    regions = [PageRegion(**asdict(region)) for region in where.regions]
    return citation.model_copy(update={"place": where.place, "regions": regions})


def _citation_notes(cited: Cited) -> Iterator[str]:
    for number in cited.missing:
        yield f"citation: there is no passage [{number}]"
    for sentence in cited.unsupported:
        yield f"citation: no passage was found that says {shortened(sentence, SHOWN_CHARS)!r}"
    if cited.unchecked:
        yield "citation: sentences in another script than the documents were not held against them"


def _boxes(task: Task, draft: str, pictures: Sequence[Picture]) -> tuple[list[Box], list[str]]:
    """Return the boxes of the draft, and what it names that is none; data that was extracted holds no boxes."""
    if task in ("extract", "moderate"):
        return [], []
    read = read_boxes(draft, [(p.image.width, p.image.height) for p in pictures], wanted=task == "locate")
    return [_in_file(box, pictures[box.image]) for box in read.boxes], read.notes


def _in_file(box: GroundedBox, picture: Picture) -> Box:
    """Return the box in pixels of the file: people have the file, and what was looked at may be a part of it."""
    x1, y1, x2, y2 = picture.in_file(box.x1, box.y1, box.x2, box.y2)
    return Box(label=box.label, image=box.image, picture=_name(picture), x1=x1, y1=y1, x2=x2, y2=y2)


def _name(picture: Picture) -> str:
    return picture.path.name if picture.path is not None else ""


def _in_words(draft: str, boxes: Sequence[Box]) -> str:
    """Return the draft, or the boxes in words where the draft is nothing but their JSON."""
    if not boxes or not draft.startswith(("[", "{", "```")):
        return draft
    places = [f"{b.label}: x {b.x1} to {b.x2}, y {b.y1} to {b.y2}" for b in boxes]
    return "; ".join(places) + " (pixels)"
