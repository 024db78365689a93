"""Makes question/answer rows with citations out of passages of documents, so that an adapter can learn to answer so.

A model writes the question; the agent's own responder answers it from numbered passages; the agent's own reviewer
judges the answer. What fails is left out and counted. Where the model cannot write about documents (the bundled one),
headings are turned into questions and answered by quotations, and nothing is called written or reviewed. It opens no
knowledge base and loads no model.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

from pydantic import Field

from finetune.data.sample import Message, Origin, Sample
from graph.answer import Decision, Passage, ReviewResult
from graph.prompts import CHINESE, SYSTEM
from graph.wording.language import prompts_for

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.run_context import RunContext
    from model.open import ModelIdentity

Kind = Literal["written", "quoted"]
MIN_CHARS = 120  # of a passage: in less there is little to ask about
MIN_QUOTE_CHARS = 25
SHOWN = 3  # passages in a row, one of which answers
QUOTED_SENTENCES = 2
ASKING = """Evidence:
[1] {passage}
Write one question as JSON that this passage answers, with the names that it needs to be understood alone."""
ASKING_CHINESE = """资料:
[1] {passage}
请用 JSON 写一个这段资料能回答的问题,问题里要写明所需的名称,单独看也能看懂。"""
ABOUT = "What does {name} say about {heading}?"
ABOUT_CHINESE = "{name}里关于“{heading}”是怎么说的?"
_CITED = re.compile(r"\[(\d{1,2})\]")


class Asked(Decision):
    """A question that a passage answers."""

    question: Annotated[str, Field(min_length=8, max_length=200)]


@dataclass(frozen=True)
class Excerpt:
    """A passage of a document with the headings above it."""

    passage: Passage
    headings: tuple[str, ...] = ()


@dataclass
class Harvest:
    """What came of the documents."""

    kind: Kind
    samples: list[Sample] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many passages gave no row, by reason."""


@dataclass(frozen=True)
class Writer:
    """The model that writes, and its limits."""

    chat: "BaseChatModel"
    identity: "ModelIdentity"
    max_new_tokens: int = 256
    time_budget_s: float = 120.0
    """For one row."""


def harvest(
    documents: Mapping[str, Sequence[Excerpt]],
    writer: Writer | None,
    *,
    per_document: int = 5,
    seed: int = 0,
    done: Collection[str] = (),
    on_row: Callable[[Sample], None] | None = None,
    cancel: threading.Event | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Harvest:
    """Return the rows of the documents; a row is the same whatever rows are made before it.

    Args:
        documents: The passages of each document in their order, by its path.
        writer: Who writes; None to quote.
        per_document: Passages at most of each document, evenly spaced over it.
        seed: Decides which other passages stand beside the one that answers, and where.
        done: Ids of rows that are there from an earlier run; their passages are left alone.
        on_row: Told each row as soon as it is made.
        cancel: Set it to stop after the row at hand.
        progress: Called with the passages done and in all.

    Raises:
        ModelError: The model failed.
    """
    result = Harvest("quoted" if writer is None else "written")
    chosen: list[Excerpt] = []
    for excerpts in documents.values():
        long_enough = [excerpt for excerpt in excerpts if len(excerpt.passage.text) >= MIN_CHARS]
        result.left_out["too short to ask about"] += len(excerpts) - len(long_enough)
        chosen += _evenly(long_enough, per_document)
    everything = [excerpt.passage for excerpts in documents.values() for excerpt in excerpts]
    for number, excerpt in enumerate(chosen, 1):
        if cancel is not None and cancel.is_set():
            break
        if _id(excerpt.passage) in done:
            continue
        rng = Random(f"{seed} {excerpt.passage.id}")
        evidence = _evidence(rng, excerpt.passage, everything)
        row = _quoted(excerpt, evidence) if writer is None else _written(excerpt, evidence, writer, cancel)
        if row is None:
            break
        if isinstance(row, str):
            result.left_out[row] += 1
        else:
            result.samples.append(_sample(excerpt.passage, row, result.kind, len(result.samples) + 1))
            if on_row is not None:
                on_row(result.samples[-1])
        if progress is not None:
            progress(number, len(chosen))
    result.left_out += Counter()  # drops what was counted zero times
    return result


Exchange = tuple[str, str]
"""What the user says, evidence included, and the answer."""


def _written(
    excerpt: Excerpt, evidence: list[Passage], writer: Writer, cancel: threading.Event | None
) -> Exchange | str | None:
    """Return the row that was written and passed, or why there is none; None where it was cancelled."""
    from graph.errors import GraphError
    from model.call_options import Cancelled, DeadlineExceeded

    context = _context(writer, excerpt.passage.text, cancel)
    try:
        return _reviewed(excerpt, evidence, context)
    except DeadlineExceeded:
        return "there was no time to ask"
    except GraphError:
        return "the model did not answer in the form that was asked for"
    except Cancelled:
        return None


def _reviewed(excerpt: Excerpt, evidence: list[Passage], context: "RunContext") -> Exchange | str:
    from langchain_core.messages import HumanMessage
    from langgraph.runtime import Runtime

    from graph.evidence.citations import cite
    from graph.nodes.responder import responder
    from graph.nodes.reviewer import reviewer
    from graph.state import AgentState

    form = ASKING_CHINESE if context.prompts is CHINESE else ASKING
    passage = " ".join(excerpt.passage.text.split())
    asked, _ = context.decide("responder", Asked, context.opening(form.format(passage=passage)))
    state: AgentState = {"question": asked.question, "effort": "normal", "pictures": 0, "evidence": evidence}
    runtime = Runtime(context=context)
    state |= responder(state, runtime)
    answer = state["draft"]
    cited = cite(answer, evidence, look_for=False)
    reason = None
    if not answer or state["truncated"]:
        reason = "the answer is empty or was cut off"
    elif cited.missing or not cited.citations:
        reason = "the answer cites no passage, or one that does not exist"
    elif excerpt.passage.id not in {citation.id for citation in cited.citations}:
        reason = "the answer cites other passages than the one asked about"
    if reason is not None:
        return reason
    state |= reviewer(state, runtime)
    review: ReviewResult | None = state.get("review")
    if review is None:
        return "the answer was not reviewed"
    if review.verdict != "PASS":
        return "the reviewer asked for a better answer"
    said = next(m for m in state["messages"] if isinstance(m, HumanMessage))
    return str(said.text), answer


def _quoted(excerpt: Excerpt, evidence: list[Passage]) -> Exchange | str:
    """Return a question made of the heading and an answer made of the passage's own first sentences."""
    from graph.evidence.passages import numbered, sentences

    if not excerpt.headings:
        return "no heading to make a question of"
    heading, number = excerpt.headings[-1], evidence.index(excerpt.passage) + 1
    shown = numbered([excerpt.passage])
    body = [line for line in excerpt.passage.text.splitlines() if line.strip("# \t=-") not in excerpt.headings]
    found = [s for s in sentences("\n".join(body)) if len(s) >= MIN_QUOTE_CHARS and s in shown][:QUOTED_SENTENCES]
    if not found:
        return "no whole sentence to quote"
    words = prompts_for(heading)
    about = ABOUT_CHINESE if words is CHINESE else ABOUT
    question = about.format(name=Path(excerpt.passage.source).name, heading=heading)
    answer = words.quoted + " ".join(f"“{sentence}” [{number}]" for sentence in found)
    return words.answer_from_evidence.format(evidence=numbered(evidence), question=question), answer


def _context(writer: Writer, text: str, cancel: threading.Event | None) -> "RunContext":
    from graph.answer import ModelResult
    from graph.run_context import RunContext

    def closed(*_: object) -> NoReturn:
        raise AssertionError("the responder and the reviewer search nothing and save nothing")

    began, identity = time.monotonic(), writer.identity
    return RunContext(
        chat=writer.chat,
        model=ModelResult(name=identity.name, adapter=identity.adapter, quantization=identity.quantization),
        prompts=prompts_for(text),
        pictures=(),
        began=began,
        deadline=began + writer.time_budget_s,
        cancel=cancel or threading.Event(),
        max_new_tokens=writer.max_new_tokens,
        on_event=lambda _: None,
        search=closed,
        archive=closed,
        session_id="",
        node_adapters=frozenset(identity.node_adapters),
    )


def _evidence(rng: Random, passage: Passage, everything: Sequence[Passage]) -> list[Passage]:
    """Return the passage among a few others, in a place that the seed decides; no other has its words."""
    others: dict[str, Passage] = {}
    for _ in range(4 * SHOWN):
        other = rng.choice(everything)
        if other.id != passage.id and len(others) < SHOWN - 1:
            others[other.id] = other
    shown = [passage, *others.values()]
    rng.shuffle(shown)
    return shown


def _evenly(excerpts: Sequence[Excerpt], count: int) -> list[Excerpt]:
    if len(excerpts) <= count:
        return list(excerpts)
    return [excerpts[k * len(excerpts) // count] for k in range(count)]


def _sample(passage: Passage, exchange: Exchange, kind: Kind, number: int) -> Sample:
    said, answer = exchange
    messages = (Message("system", (SYSTEM,)), Message("user", (said,)), Message("assistant", (answer,)))
    origin = Origin(Path(passage.source), number)
    return Sample(_id(passage), messages, origin, f"documents {kind}", generated=True)


def _id(passage: Passage) -> str:
    return f"{passage.source}#{passage.id[:12]}"
