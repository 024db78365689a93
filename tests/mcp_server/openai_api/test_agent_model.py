"""The agent under the model name `lorgnette`, asked with OpenAI's own client."""

from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest

from graph.answer import Answer
from lorgnette.settings import Settings

PICTURE = "data:image/png;base64,iVBORw0KGgo="
EVIDENCE = "[1] shapes.md, page 2: “A circle is round.”"


@pytest.fixture
def agent(answer: Answer, fake_agent: Any) -> Any:
    return fake_agent(answer)


@pytest.fixture
def client(serve: Callable[..., Any], settings: Settings, agent: Any) -> Any:
    url = f"{serve(settings, lambda *_: agent).url}/v1"
    with (
        httpx2.Client(trust_env=False) as http,
        openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=20) as client,
    ):
        yield client


def user(text: str, *pictures: str) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": picture}} for picture in pictures]
    return {"role": "user", "content": [{"type": "text", "text": text}, *parts]}


def ask(client: Any, *messages: dict[str, Any], **options: Any) -> Any:
    return client.chat.completions.create(model="lorgnette", messages=list(messages), **options)


def test_it_answers_with_its_evidence_in_the_text_and_as_data(client: Any, agent: Any) -> None:
    reply = ask(client, user("How many?", PICTURE))
    choice = reply.choices[0]
    assert choice.message.content.startswith("Three circles [1].\n\n- [1] shapes.md, page 2")
    assert EVIDENCE in choice.message.content and "Box: circle, x 1 to 30" in choice.message.content
    told = choice.model_extra["lorgnette"]
    assert told["citations"][0]["quote"] == "A circle is round." and told["boxes"][0]["x2"] == 30
    assert told["degraded"] == ["search: lexical only"] and told["session_id"] == "s-1"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (33, 33)
    assert agent.asked[0].text == "How many?" and agent.asked[0].images == (PICTURE,)


def test_its_words_are_streamed_and_the_data_come_with_the_end(client: Any) -> None:
    chunks = list(ask(client, user("How many?"), stream=True, stream_options={"include_usage": True}))
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert words[0] == "Three" and "".join(words).startswith("Three circles [1].\n\n")
    end = chunks[-2].choices[0]
    assert end.finish_reason == "stop" and end.model_extra["lorgnette"]["session_id"] == "s-1"
    assert chunks[-1].usage.completion_tokens == 33


def test_a_conversation_that_is_sent_again_goes_on_in_its_session(client: Any, agent: Any) -> None:
    first = user("How many?", PICTURE)
    said = ask(client, first).choices[0].message.content
    ask(client, first, {"role": "assistant", "content": said}, user("And squares?"))
    assert agent.asked[1].session_id == "s-1" and agent.asked[1].images == ()


def test_a_conversation_that_is_not_known_says_so_and_looks_at_its_pictures_again(client: Any, agent: Any) -> None:
    before = user("How many?", PICTURE), {"role": "assistant", "content": "Nine."}
    reply = ask(client, {"role": "system", "content": "Be brief."}, *before, user("And squares?"))
    assert agent.asked[0].session_id is None and agent.asked[0].images == (PICTURE,)
    notes = reply.choices[0].model_extra["lorgnette"]["degraded"]
    assert any("what was said before" in note for note in notes) and any("system text" in note for note in notes)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"role": "assistant", "content": "x"}, "the last message is not the user's"),
        (user("What is it?", "https://example.org/a.png"), "data: URLs"),
        (user(" "), "no text"),
    ],
)
def test_what_the_agent_cannot_be_asked_is_refused(message: dict[str, Any], sentence: str, client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence):
        ask(client, message)


def test_a_failing_question_has_the_agents_own_sentence(client: Any, agent: Any) -> None:
    from graph.errors import PictureMissing

    agent.error = PictureMissing()
    with pytest.raises(openai.BadRequestError, match=str(PictureMissing())[:20]):
        ask(client, user("How many?"))
