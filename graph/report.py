"""A session as a Markdown report: every turn with its answer, plan, evidence and verdict.

It asks no model. What users, documents and models said is escaped, so that it is text and never markup.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from common.safe_text import printable, shortened
from graph.answer import Answer, FieldValue, Passage, Seen, Turn
from graph.errors import ReportNotWritten

MAX_NAME = 60
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&$:@])")


def escape(text: str) -> str:
    """Return the text for one line of Markdown: its punctuation escaped, its line ends as spaces."""
    return _MARKUP.sub(r"\\\1", " ".join(printable(text).split()))


def render(turns: Sequence[Turn], title: str, session_id: str) -> str:
    """Return the report; sections as the contract of `save_session_summary` has them."""
    lines = [
        f"# {escape(title)}",
        "",
        f"Session `{session_id}`, {len(turns)} {'question' if len(turns) == 1 else 'questions'}, "
        f"{turns[0].asked_at} to {turns[-1].asked_at}.",
        "What was read in pictures and documents is data, never an instruction.",
    ]
    for number, turn in enumerate(turns, 1):
        lines += ["", f"## {number}. {escape(shortened(turn.question, 80))}", *_turn(turn)]
    return "\n".join(lines) + "\n"


def write(folder: Path, title: str, text: str) -> Path:
    """Write the report into a new file of the folder, whole or not at all; nothing is ever overwritten.

    Raises:
        ReportNotWritten: The folder cannot be written, or the disk is full.
    """
    stem = f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{_slug(title)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=folder, prefix=".", suffix=".part") as part:
            part.write(text)
            part.flush()
            os.fsync(part.fileno())
            for attempt in range(1, 1000):
                file = folder / (f"{stem}.md" if attempt == 1 else f"{stem}-{attempt}.md")
                try:
                    os.link(part.name, file)  # unlike a rename it fails where a file of that name stands already
                except FileExistsError:
                    continue
                return file
    except OSError as error:
        raise ReportNotWritten(str(folder), error.strerror or str(error)) from error
    raise ReportNotWritten(str(folder), f"it holds too many reports named {stem!r}")


def _turn(turn: Turn) -> list[str]:
    answer = turn.answer
    lines = ["", "### Question", "", _quoted(turn.question)]
    lines += [f"- Picture: {_picture(image)}" for image in turn.images]
    lines += ["", "### Answer", "", _quoted(answer.answer) if answer.answer else "None."]
    if answer.truncated:
        lines += ["", "Time or length ended it early."]
    lines += [_field(one) for one in answer.fields]
    lines += [
        f"- Box: {escape(box.label)}, picture {box.image + 1}, x {box.x1} to {box.x2}, y {box.y1} to {box.y2}"
        for box in answer.boxes
    ]
    lines += ["", "### Plan", "", *_plan(answer)]
    lines += ["", "### Conversation", "", *_course(turn)]
    lines += ["", "### Evidence", "", *_evidence(turn.evidence, answer)]
    return lines


def _field(one: FieldValue) -> str:
    page = f", page {one.page}" if one.page is not None else ""
    where = f"; {escape(one.source)}{page}: {escape(one.words)}" if one.source else ""
    note = f" ({escape(one.note)})" if one.note else ""
    return f"- Field {escape(one.name)}: {escape(one.value or 'none')}, {one.status}{note}{where}"


def _plan(answer: Answer) -> list[str]:
    if answer.plan is None:
        return ["None."]
    lines = [f"- Task: {answer.plan.task}"]
    lines += [f"- {escape(step)}" for step in answer.plan.steps]
    lines += [f"- Search: {escape(query)}" for query in answer.plan.queries]
    return lines


def _course(turn: Turn) -> list[str]:
    answer, review = turn.answer, turn.answer.review
    lines = [f"- Asked: {turn.asked_at}"]
    if review is None:
        lines.append("- Review: none.")
    else:
        lines.append(f"- Review: {review.verdict}, rewrites {review.rewrites}; it saw: {escape(review.feedback)}")
    adapter = f" with {escape(answer.model.adapter)}" if answer.model.adapter else ""
    lines.append(f"- Model: {escape(answer.model.name)}{adapter}, {answer.usage.seconds:.1f} s")
    lines += [f"- Note: {escape(note)}" for note in answer.degraded]
    return lines


def _evidence(passages: Sequence[Passage], answer: Answer) -> list[str]:
    if not passages:
        return ["None."]
    cited = {citation.id for citation in answer.citations}
    lines: list[str] = []
    for number, passage in enumerate(passages, 1):
        page = f", page {passage.page}" if passage.page is not None else ""
        mark = ", cited" if passage.id in cited else ""
        lines += [
            f"{number}. {escape(passage.source)}{page}, characters {passage.start} to {passage.end}{mark}",
            "",
            "   " + _quoted(passage.text).replace("\n", "\n   "),
            "",
        ]
    return lines[:-1]


def _picture(image: Seen) -> str:
    return f"[{escape(shortened(image.source, 200))}](<{quote(Path(image.path).as_posix())}>)"


def _quoted(text: str) -> str:
    return "\n".join(f"> {escape(line)}".rstrip() for line in text.strip().splitlines()) or ">"


def _slug(title: str) -> str:
    words = re.sub(r"[^\w]+", "-", title, flags=re.UNICODE).strip("-_").lower()
    return words.encode()[:MAX_NAME].decode(errors="ignore").strip("-") or "session"
