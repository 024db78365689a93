"""The server's model for OpenAI clients, asked with OpenAI's own client; the model behind it answers by script."""

import base64
import io
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import openai
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, SystemMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from PIL import Image
from pydantic import Field

from common.errors import LorgnetteError
from graph.answer import Answer
from lorgnette.settings import Settings
from model.call_options import metadata, usage
from model.open import ModelIdentity
from model.worker import ModelBusy, asking

WAIT_S = 300
Serve = Callable[..., Any]


class Scripted(BaseChatModel):
    """Says "A red square." in three pieces, and remembers what it was asked."""

    asked: list[dict[str, Any]] = Field(default_factory=list)
    fails_after: int | None = None
    """Pieces, after which it is busy."""
    waits: bool = False
    """Whether it is silent until it is cancelled, after the first piece."""
    begun: threading.Event = Field(default_factory=threading.Event)
    left: threading.Event = Field(default_factory=threading.Event)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
        raise NotImplementedError

    async def _astream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: Any = None, **options: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        self.asked.append({"messages": messages, "stop": stop, "client": asking.get(), **options})
        self.begun.set()
        try:
            for number, piece in enumerate(("A ", "red ", "square.")):
                if number == self.fails_after:
                    raise ModelBusy(8)
                if number and self.waits:
                    import anyio

                    await anyio.sleep_forever()
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
        finally:
            self.left.set()
        last = AIMessageChunk(
            content="",
            usage_metadata=usage(7, 3, 5),
            response_metadata=metadata("length", 0.1, "tiny"),
            chunk_position="last",
        )
        yield ChatGenerationChunk(message=last)


@pytest.fixture
def chat() -> Scripted:
    return Scripted()


@pytest.fixture
def agent(chat: Scripted, answer: Answer, fake_agent: Any) -> Any:
    class Holds(fake_agent):
        @property
        def chat(self) -> Scripted:
            return chat

        @property
        def identity(self) -> ModelIdentity:
            return ModelIdentity("tiny", None, "none", ("planner",))

    return Holds(answer)


@pytest.fixture
def url(serve: Serve, settings: Settings, agent: Any) -> str:
    return f"{serve(settings, lambda *_: agent).url}/v1"


@pytest.fixture
def client(url: str) -> Any:
    with (
        httpx2.Client(trust_env=False) as http,
        openai.OpenAI(base_url=url, api_key="none", http_client=http, max_retries=20) as client,
    ):
        yield client


def ask(client: Any, **options: Any) -> Any:
    messages = [{"role": "user", "content": "What is it?"}]
    return client.chat.completions.create(**{"model": "tiny", "messages": messages, **options})


def test_an_answer_comes_in_one_piece(client: Any) -> None:
    reply = ask(client)
    assert reply.choices[0].message.content == "A red square."
    assert reply.choices[0].finish_reason == "length"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (7, 3)
    assert reply.usage.prompt_tokens_details.cached_tokens == 5
    assert reply.model == "tiny"


def test_an_answer_is_streamed_as_it_is_written(client: Any) -> None:
    chunks = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert [chunk.choices[0].delta.content for chunk in chunks[:3]] == ["A ", "red ", "square."]
    assert chunks[3].choices[0].finish_reason == "length"
    assert chunks[4].choices == [] and chunks[4].usage.prompt_tokens_details.cached_tokens == 5
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in ask(client, stream=True))


def test_the_models_are_listed(client: Any) -> None:
    assert [model.id for model in client.models.list()] == ["tiny", "lorgnette"]


def test_every_option_reaches_the_model(client: Any, chat: Scripted) -> None:
    schema = {"type": "object", "properties": {"side": {"type": "integer"}}, "required": ["side"]}
    ask(
        client, max_tokens=9, temperature=0.5, top_p=0.25, seed=3, stop=["\n"], user="me",
        response_format={"type": "json_schema", "json_schema": {"name": "square", "schema": schema, "strict": True}},
        extra_body={"lorgnette": {"node_adapter": "planner"}},
    )  # fmt: skip
    (asked,) = chat.asked
    assert isinstance(asked.pop("cancel"), threading.Event)
    assert [message.content for message in asked.pop("messages")] == ["What is it?"]
    assert asked == {
        "stop": ["\n"], "max_new_tokens": 9, "temperature": 0.5, "top_p": 0.25, "seed": 3, "node_adapter": "planner",
        "output_schema": {"title": "square", **schema}, "client": "127.0.0.1 me",
    }  # fmt: skip


def test_what_is_left_out_leaves_the_choice_to_the_settings(client: Any, chat: Scripted) -> None:
    ask(client, stop=None)
    assert set(chat.asked[0]) == {"messages", "stop", "cancel", "client"}


def test_roles_and_pictures_arrive_as_they_were_sent(client: Any, chat: Scripted) -> None:
    sent = Image.effect_noise((1200, 1000), 90).convert("RGB")  # above a megapixel
    buffer = io.BytesIO()
    sent.save(buffer, "PNG")
    address = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    messages = [
        {"role": "developer", "content": "You see."},
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": "?"}],
        },
        {"role": "assistant", "content": "Noise."},
        {"role": "user", "content": "Sure?"},
    ]
    ask(client, messages=messages)
    system, user, assistant, _ = chat.asked[0]["messages"]
    assert isinstance(system, SystemMessage) and isinstance(assistant, AIMessage)
    image, text = user.content
    assert image["image"].image.tobytes() == sent.tobytes()
    assert text == {"type": "text", "text": "?"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "option 'tools'"),
        ({"n": 2}, "option 'n' cannot be 2"),
        ({"logprobs": True}, "option 'logprobs'"),
        ({"temperature": -1}, "temperature: "),
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "1"}]}, r"messages\.0\.role: "),
        ({"response_format": {"type": "json_object"}}, "needs type 'json_schema'"),
        ({"extra_body": {"lorgnette": {"node_adapter": "nobody"}}}, "no node adapter 'nobody'"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text,x"}}]}]},
            "is not an image",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(options: dict[str, Any], said: str, client: Any) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        ask(client, **options)


def test_values_that_change_nothing_are_passed_over(client: Any) -> None:
    assert ask(client, n=1, tools=[], frequency_penalty=0, logprobs=False, store=True, service_tier="auto").choices


def test_whatever_model_a_client_names_the_one_that_is_here_answers_under_its_own_name(client: Any) -> None:
    assert ask(client, model="gpt-4o-mini").model == "tiny"


def test_a_model_can_be_looked_up_and_another_is_not_found(client: Any) -> None:
    assert client.models.retrieve("tiny").id == "tiny"
    with pytest.raises(openai.NotFoundError, match="no model 'org/gpt' here; ask for 'tiny'"):
        client.models.retrieve("org/gpt")


def test_what_is_not_served_is_refused_in_the_clients_own_form(client: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="POST /v1/embeddings is not served here") as caught:
        client.embeddings.create(model="tiny", input="x")
    assert caught.value.code == "route_unknown"


@pytest.mark.parametrize(
    ("options", "said"),
    [({"min_p": 0.1}, "'min_p'.*top_p"), ({"guided_regex": "a+"}, "'guided_regex'.*json_schema"),
     ({"best_of": 3}, "'best_of'"), ({"ignore_eos": True}, "'ignore_eos'")],
)  # fmt: skip
def test_what_other_servers_have_and_would_change_the_answer_is_refused_by_name(
    options: dict[str, Any], said: str, client: Any
) -> None:
    with pytest.raises(openai.BadRequestError, match=said):
        ask(client, extra_body=options)
    with pytest.raises(openai.BadRequestError, match="'tool_choice'"):
        ask(client, tool_choice="required")


def test_options_under_the_names_of_other_servers_are_honoured(client: Any, chat: Scripted) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    ask(client, extra_body={"guided_json": schema, "repeat_penalty": 1.2, "min_p": 0}, stop="")
    assert chat.asked[0]["output_schema"] == {"title": "object", **schema}
    assert chat.asked[0]["repetition_penalty"] == 1.2
    assert not chat.asked[0]["stop"]


def test_a_question_before_its_picture_is_asked_as_one_behind_it(client: Any, chat: Scripted) -> None:
    picture = {"type": "image_url", "image_url": {"url": data_url(Image.new("RGB", (4, 4), "red"), "PNG")}}
    text = {"type": "text", "text": "What is it?"}
    for parts in ([text, picture], [picture, text], [text, picture, text, picture]):
        ask(client, messages=[{"role": "user", "content": parts}])
    kinds = [[part["type"] for part in asked["messages"][0].content] for asked in chat.asked]
    assert kinds == [["image", "text"], ["image", "text"], ["text", "image", "text", "image"]]


def test_films_and_pdfs_are_looked_at(client: Any, chat: Scripted) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    film = {"url": data_url(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=500)}
    page = {"file_data": data_url(frames[0], "PDF"), "filename": "a.pdf"}
    ask(client, messages=[{"role": "user", "content": [
        {"type": "video_url", "video_url": film}, {"type": "file", "file": page}, {"type": "text", "text": "What?"},
    ]}])  # fmt: skip
    video, picture, _ = chat.asked[0]["messages"][0].content
    assert video["type"] == "video" and video["times_s"] == [0.0, 0.5]
    assert picture["type"] == "image" and str(picture["image"].part) == ""
    with pytest.raises(openai.BadRequestError, match="as a data: URL"):
        far = {"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}}
        ask(client, messages=[{"role": "user", "content": [far]}])


def data_url(image: Image.Image, form: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return f"data:application/octet-stream;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def test_a_page_on_this_machine_may_read_the_answers_and_another_may_not(url: str) -> None:
    ask_first = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    for origin, allowed in (("http://localhost:3000", True), ("http://evil.example", False)):
        reply = httpx2.request(
            "OPTIONS", f"{url}/chat/completions", headers={"Origin": origin, **ask_first}, trust_env=False
        )
        assert (reply.headers.get("access-control-allow-origin") == origin) == allowed
        reply = httpx2.get(f"{url}/models", headers={"Origin": origin}, trust_env=False)
        assert (reply.status_code == 200) == allowed
        assert (reply.headers.get("access-control-allow-origin") == origin) == allowed


def test_a_host_may_be_written_in_any_case(url: str) -> None:
    port = httpx2.URL(url).port
    assert httpx2.get(f"{url}/models", headers={"Host": f"LocalHost:{port}"}, trust_env=False).status_code == 200


def test_a_connection_that_says_nothing_is_closed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.transport.prompt_protocol.HEADERS_S", 0.1)
    place = httpx2.URL(url)
    with socket.create_connection((place.host, place.port or 80)) as connection:
        connection.sendall(b"GET /v1/models HTTP/1.1\r\nHos")
        connection.settimeout(WAIT_S)
        assert connection.recv(100) == b""


def test_a_body_that_is_no_json_is_refused(url: str) -> None:
    reply = httpx2.post(f"{url}/chat/completions", content=b"{", trust_env=False)
    assert reply.status_code == 400
    assert reply.json()["error"]["code"] == "request_invalid"


def test_too_large_a_body_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcp_server.openai_api.endpoint.BODY_BYTES", 10)
    for much in (11, 40):
        reply = httpx2.post(f"{url}/chat/completions", content=b" " * much, trust_env=False)
        assert (reply.status_code, reply.json()["error"]["code"]) == (413, "body_too_large")


def test_a_full_queue_is_too_many_requests(url: str, chat: Scripted) -> None:
    chat.fails_after = 0
    for stream in (False, True):
        body = {"model": "tiny", "messages": [{"role": "user", "content": "?"}], "stream": stream}
        reply = httpx2.post(f"{url}/chat/completions", json=body, trust_env=False)
        assert reply.status_code == 429
        assert reply.headers["Retry-After"] == "10"
        assert "busy" in reply.json()["error"]["message"]


def test_a_failure_amid_the_stream_is_told_in_the_stream(client: Any, chat: Scripted) -> None:
    chat.fails_after = 2
    stream = ask(client, stream=True)
    assert [next(stream).choices[0].delta.content for _ in range(2)] == ["A ", "red "]
    with pytest.raises(openai.APIError, match="busy"):
        next(stream)


def test_a_client_that_leaves_a_stream_frees_the_model(url: str, chat: Scripted, client: Any) -> None:
    chat.waits = True
    with ask(client, stream=True) as pieces:
        next(pieces)
    assert chat.left.wait(WAIT_S)
    assert chat.asked[0]["cancel"].wait(WAIT_S)


def test_a_client_that_does_not_wait_for_the_whole_answer_frees_the_model(url: str, chat: Scripted) -> None:
    chat.waits = True
    body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "?"}]}).encode()
    place = httpx2.URL(url)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.host}:{place.port}\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection((place.host, place.port)) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n\r\n".encode() + body)
        assert chat.begun.wait(WAIT_S)
    assert chat.left.wait(WAIT_S)
    assert chat.asked[0]["cancel"].wait(WAIT_S)


def test_a_model_that_is_loading_is_said_to_be(
    serve: Serve, settings: Settings, agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcp_server.openai_api.endpoint.LOADING_S", 0.1)
    loaded = threading.Event()

    def open_agent(_: Settings, progress: Callable[[str, float], None]) -> Any:
        progress("weights", 0.5)
        assert loaded.wait(WAIT_S)
        return agent

    url = f"{serve(settings, open_agent).url}/v1"
    body = {"model": "tiny", "messages": [{"role": "user", "content": "?"}]}
    reply = httpx2.post(f"{url}/chat/completions", json=body, trust_env=False)
    assert reply.status_code == 503
    assert "still loading" in reply.json()["error"]["message"]
    with openai.OpenAI(
        base_url=url, api_key="none", http_client=httpx2.Client(trust_env=False), max_retries=20
    ) as client:
        loaded.set()
        assert ask(client).choices  # it asks again by itself


def test_a_model_that_cannot_be_loaded_is_said_and_tried_again(serve: Serve, settings: Settings, agent: Any) -> None:
    failed, tries = threading.Event(), []

    def open_agent(*_: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            failed.set()
            raise LorgnetteError("There is no such model; pull it.")
        return agent

    url = f"{serve(settings, open_agent).url}/v1"
    body = {"model": "tiny", "messages": [{"role": "user", "content": "?"}]}
    assert failed.wait(WAIT_S)
    replies = [httpx2.post(f"{url}/chat/completions", json=body, trust_env=False) for _ in range(2)]
    while replies[-1].status_code != 200:
        replies.append(httpx2.post(f"{url}/chat/completions", json=body, trust_env=False))
    assert any("There is no such model; pull it." in reply.text for reply in replies)


def test_a_server_whose_model_is_an_address_has_no_endpoint(serve: Serve, settings: Settings, agent: Any) -> None:
    remote = settings.model_copy(update={"model": "http://127.0.0.1:1/v1#seer"})
    server = serve(remote, lambda *_: agent)
    assert httpx2.get(f"{server.url}/v1/models", trust_env=False).status_code == 404
