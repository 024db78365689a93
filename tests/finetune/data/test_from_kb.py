"""Documents become rows whose answers cite their passage; what does not pass is left out and counted."""

import json
import threading
from collections.abc import Iterator
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import Field

from finetune.data.from_kb import Excerpt, Writer, harvest
from finetune.data.sample import Sample
from graph.answer import Passage
from graph.prompts import CHINESE, ENGLISH, SYSTEM
from model.call_options import Cancelled
from model.open import ModelIdentity

TEXTS = {
    "lamp.md": "# Lamp\nThe lamp raises ERR_42 when the fan stands still. Wait two minutes, then press reset once. "
    "The code goes out by itself afterwards.",
    "pump.md": "# Pump\nThe pump runs dry after nine hours without water. Fill the tank up to the upper red mark. "
    "Never run it while the lid is open.",
}


def excerpt(source: str, text: str, *headings: str) -> Excerpt:
    passage = Passage(id=f"id-{source}", source=source, page=None, start=0, end=len(text), text=text, score=1.0)
    return Excerpt(passage, headings)


def documents() -> dict[str, list[Excerpt]]:
    return {source: [excerpt(source, text, text[2:6])] for source, text in TEXTS.items()}


class Scripted(BaseChatModel):
    """Says the next line of its script, in which {n} is the number of the passage that was asked about."""

    script: list[Any]
    asked: list[list[BaseMessage]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self.asked.append(messages)
        line = self.script.pop(0)
        if isinstance(line, Exception):
            raise line
        shown = next((m.text for m in messages if "ERR_42" in m.text and "[2]" in m.text), "")
        number = next((row[1] for row in shown.splitlines() if "ERR_42" in row), "1")
        return ChatResult(generations=[ChatGeneration(message=AIMessage(line.replace("{n}", number)))])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        text = self._generate(messages).generations[0].message.text
        yield ChatGenerationChunk(message=AIMessageChunk(content=text, response_metadata={"finish_reason": "stop"}))

    def with_structured_output(self, schema: Any, **_: Any) -> Runnable[Any, Any]:
        def run(messages: list[BaseMessage], **kwargs: Any) -> dict[str, Any]:
            raw = self._generate(messages).generations[0].message
            return {"raw": raw, "parsed": schema.model_validate_json(raw.text), "parsing_error": None}

        return RunnableLambda(run)


ASKED = json.dumps({"question": "When does the lamp raise ERR_42?"})
PASS = json.dumps({"feedback": "fan", "verdict": "PASS"})
RETRY = json.dumps({"feedback": "no", "verdict": "RETRY"})


def write(*script: Any) -> tuple[Any, Scripted]:
    chat = Scripted(script=list(script))
    one = {"lamp.md": documents()["lamp.md"], "pump.md": [excerpt("pump.md", TEXTS["pump.md"][:100])]}
    return harvest(one, Writer(chat, ModelIdentity("scripted", None, "none"))), chat


def test_a_reviewed_answer_with_its_citation_becomes_a_row_in_the_agents_own_words() -> None:
    made, chat = write(ASKED, "When the fan stands still [{n}].", PASS)
    (sample,) = made.samples
    assert sample.generated and sample.category == "documents written" and sample.id.startswith("lamp.md#")
    system, user, assistant = sample.messages
    assert system.text == SYSTEM and assistant.text.startswith("When the fan stands still [")
    evidence = user.text.removeprefix("Evidence:\n").partition("\nAnswer from it")[0]
    question = "When does the lamp raise ERR_42?"
    assert user.text == ENGLISH.answer_from_evidence.format(evidence=evidence, question=question)
    cited = int(assistant.text[-3])
    assert "ERR_42" in evidence.splitlines()[cited - 1]
    assert chat.asked[2][-1].text == ENGLISH.review  # the reviewer went on with the responder's conversation
    assert made.left_out == {"too short to ask about": 1}


def test_rows_that_fail_are_left_out_and_counted() -> None:
    for script, reason in (
        ((ASKED, "When the fan stands still [{n}].", RETRY), "the reviewer asked for a better answer"),
        ((ASKED, "When the fan stands still."), "the answer cites no passage, or one that does not exist"),
        ((ASKED, "When the fan stands still [7]."), "the answer cites no passage, or one that does not exist"),
        ((ASKED, " "), "the answer is empty or was cut off"),
    ):
        made, _ = write(*script)
        assert made.samples == [] and made.left_out[reason] == 1


def test_an_answer_that_cites_another_passage_is_left_out() -> None:
    class Wrong(Scripted):
        def _generate(self, messages: list[BaseMessage], *rest: Any, **__: Any) -> ChatResult:
            result = super()._generate(messages)
            text = result.generations[0].message.text
            for number, other in (("1", "2"), ("2", "1")):
                if text.endswith(f"[{number}]."):
                    return ChatResult(generations=[ChatGeneration(message=AIMessage(f"So it is [{other}]."))])
            return result

    chat = Wrong(script=[ASKED, "So it is [{n}]."])
    one = {"lamp.md": documents()["lamp.md"], "pump.md": [excerpt("pump.md", TEXTS["pump.md"][:100])]}
    made = harvest(one, Writer(chat, ModelIdentity("scripted", None, "none")))
    assert made.left_out["the answer cites other passages than the one asked about"] == 1


def test_cancelling_keeps_the_rows_that_are_done() -> None:
    answer = "When the fan stands still [{n}]."
    chat = Scripted(script=[ASKED, answer, PASS, Cancelled()])
    parts = {"lamp.md": documents()["lamp.md"] * 2, "pump.md": [excerpt("pump.md", TEXTS["pump.md"][:100])]}
    made = harvest(parts, Writer(chat, ModelIdentity("scripted", None, "none")))
    assert len(made.samples) == 1
    stopped = threading.Event()
    stopped.set()
    assert harvest(documents(), None, cancel=stopped).samples == []


def test_without_a_writer_headings_are_asked_about_and_sentences_are_quoted() -> None:
    made = harvest(documents(), None)
    assert made.kind == "quoted" and not made.left_out
    for sample, (source, text) in zip(made.samples, TEXTS.items(), strict=True):
        assert sample.generated and sample.category == "documents quoted"
        user, answer = sample.messages[1].text, sample.answer
        assert user.endswith(f"Question: What does {source} say about {text[2:6]}?")
        number = int(answer[-2])
        assert text[2:6] in user.splitlines()[number]
        first, second = answer.removeprefix(ENGLISH.quoted).split(f" [{number}]")[:2]
        assert first.strip("“”") in text and second.strip(" “”") in text and "# " not in answer


def test_a_passage_without_a_heading_or_a_sentence_is_counted() -> None:
    made = harvest({"a.txt": [excerpt("a.txt", TEXTS["lamp.md"])], "b.txt": [excerpt("b.txt", "short")]}, None)
    assert made.left_out == {"no heading to make a question of": 1, "too short to ask about": 1}
    table = excerpt("c.md", "| 1 | 2 |\n" * 30, "Table")
    assert harvest({"c.md": [table]}, None).left_out == {"no whole sentence to quote": 1}


def test_a_chinese_heading_is_asked_about_in_chinese() -> None:
    text = "台灯的风扇停止转动超过两分钟以后,面板上就会显示错误代码 ERR_42,请先断电。" * 4
    made = harvest({"灯.md": [excerpt("灯.md", text, "错误代码")]}, None)
    (sample,) = made.samples
    assert sample.messages[1].text.endswith("问题:灯.md里关于“错误代码”是怎么说的?")
    assert sample.answer.startswith(CHINESE.quoted)


def test_passages_are_taken_evenly_and_the_seed_decides_their_company() -> None:
    many = {"m.md": [excerpt("m.md", TEXTS["lamp.md"].replace("42", str(n)), "Lamp") for n in range(10)]}
    for number, each in enumerate(many["m.md"]):
        many["m.md"][number] = Excerpt(each.passage.model_copy(update={"id": f"id{number}"}), each.headings)
    made = harvest(many, None, per_document=4, seed=1)
    assert [sample.id for sample in made.samples] == ["m.md#id0", "m.md#id2", "m.md#id5", "m.md#id7"]
    assert made.samples == harvest(many, None, per_document=4, seed=1).samples
    assert made.samples != harvest(many, None, per_document=4, seed=2).samples


def test_a_resumed_run_makes_the_rows_that_are_missing_as_the_whole_run_would() -> None:
    excerpts = [excerpt("m.md", TEXTS["lamp.md"].replace("42", str(number)), "Lamp") for number in range(10)]
    many = {
        "m.md": [
            Excerpt(each.passage.model_copy(update={"id": f"id{number}"}), each.headings)
            for number, each in enumerate(excerpts)
        ]
    }
    whole = harvest(many, None, per_document=10, seed=3).samples
    told: list[Sample] = []
    rest = harvest(many, None, per_document=10, seed=3, done={whole[0].id, whole[4].id}, on_row=told.append).samples
    assert rest == told
    assert [each.messages for each in rest] == [each.messages for each in (*whole[1:4], *whole[5:])]


def test_an_answer_in_another_form_costs_its_own_row_only() -> None:
    class Formless(Scripted):
        def with_structured_output(self, schema: Any, **_: Any) -> Runnable[Any, Any]:
            whole = super().with_structured_output(schema)

            def run(messages: list[BaseMessage], **kwargs: Any) -> dict[str, Any]:
                if self.script[0] == "Gladly!":
                    return {"raw": AIMessage(self.script.pop(0)), "parsed": None, "parsing_error": ValueError()}
                return dict(whole.invoke(messages))

            return RunnableLambda(run)

    chat = Formless(script=["Gladly!", ASKED, "When the fan stands still [{n}].", "Gladly!"])
    parts = {source: documents()[source] for source in ("pump.md", "lamp.md")}
    made = harvest(parts, Writer(chat, ModelIdentity("scripted", None, "none")))
    assert chat.script == [] and made.samples == []
    assert made.left_out["the model did not answer in the form that was asked for"] == 2
