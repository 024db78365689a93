"""The newer form, asked with OpenAI's own client: the agent, and the bare model behind the same form."""

import base64
import io
from collections.abc import Callable
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.language_models import FakeListChatModel
from PIL import Image

from graph.answer import Answer
from lorgnette.settings import Settings
from model.open import ModelIdentity


@pytest.fixture
def agent(answer: Answer, fake_agent: Any) -> Any:
    class Holds(fake_agent):
        @property
        def chat(self) -> FakeListChatModel:
            return FakeListChatModel(responses=["Red."])

        @property
        def identity(self) -> ModelIdentity:
            return ModelIdentity("tiny", None, "none", ())

    return Holds(answer)


@pytest.fixture
def client(serve: Callable[..., Any], settings: Settings, agent: Any) -> Any:
    url = f"{serve(settings, lambda *_: agent).url}/v1"
    with (
        httpx2.Client(trust_env=False) as http,
        openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=20) as client,
    ):
        yield client


def picture() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def test_the_agent_answers_about_a_picture_and_goes_on_by_the_responses_id(client: Any, agent: Any) -> None:
    content = [{"type": "input_text", "text": "How many?"}, {"type": "input_image", "image_url": picture()}]
    first = client.responses.create(model="lorgnette", input=[{"role": "user", "content": content}])
    assert first.output_text.startswith("Three circles [1].\n\n- [1] shapes.md")
    assert first.status == "completed" and first.usage.output_tokens == 33
    assert first.model_extra["lorgnette"]["boxes"][0]["label"] == "circle"
    client.responses.create(model="lorgnette", input="And squares?", previous_response_id=first.id)
    assert agent.asked[0].images == (picture(),) and agent.asked[1].session_id == "s-1"


def test_the_agents_words_are_streamed(client: Any) -> None:
    events = list(client.responses.create(model="lorgnette", input="How many?", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created", "response.in_progress", "response.output_item.added", "response.content_part.added",
    ]  # fmt: skip
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert deltas[0] == "Three" and "".join(deltas) == events[-1].response.output_text
    assert kinds[-1] == "response.completed" and [e.sequence_number for e in events] == list(range(len(events)))


def test_the_bare_model_answers_in_the_same_form(client: Any) -> None:
    assert client.responses.create(model="tiny", input="Which colour?").output_text == "Red."
    with pytest.raises(openai.BadRequestError, match="send the whole conversation"):
        client.responses.create(model="tiny", input="And now?", previous_response_id="resp_1")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "messages alone"),
        ({"input": "x", "previous_response_id": "resp_1"}, "not known here"),
    ],
)
def test_what_is_not_to_be_had_is_refused_with_a_sentence(given: dict[str, Any], sentence: str, client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match=sentence):
        client.responses.create(model="lorgnette", **given)
