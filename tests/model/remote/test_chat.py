"""A model behind an address, asked over real HTTP: a server in a thread that answers by script."""

import asyncio
import json
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from pydantic import BaseModel

from graph.agent import Agent
from lorgnette.settings import Settings
from model.call_options import Cancelled, DeadlineExceeded, InvalidCall, InvalidOutput
from model.errors import ModelError
from model.open import ModelIdentity, open_chat
from model.pictures.picture import Picture, to_data_url
from model.remote import errors
from model.remote.chat import remote_chat
from model.settings import ModelSettings

WAIT_S = 300
KEY = "sk-only-for-the-server"


class Square(BaseModel):
    colour: str
    side: int


SQUARE = '{"colour": "red", "side": 40}'


def check_whole(answer: Any) -> None:
    assert answer.content == "A red square."
    assert answer.usage_metadata == {
        "input_tokens": 1,
        "output_tokens": 3,
        "total_tokens": 4,
        "input_token_details": {"cache_read": 1},
    }
    assert answer.response_metadata["finish_reason"] == "stop"
    assert answer.response_metadata["model_name"] == "seer"
    assert answer.response_metadata["seconds"] >= 0


def test_an_answer_carries_its_text_its_usage_and_why_it_ended(server: Any) -> None:
    chat, identity = open_chat(ModelSettings(model=f"{server.address}#seer"))
    assert identity == ModelIdentity("seer", None, "remote")
    check_whole(chat.invoke("What is it?"))
    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].model == "seer"


def test_the_pieces_come_while_the_server_still_writes(server: Any) -> None:
    gate = threading.Event()
    server.will_write("A ", gate, "red ", "square.")
    stream = server.chat().stream("What is it?")
    pieces = [next(stream)]
    assert pieces[0].content == "A "
    gate.set()
    pieces += stream
    assert [piece.content for piece in pieces if piece.content] == ["A ", "red ", "square."]
    check_whole(sum(pieces[1:], pieces[0]))


def test_async_answers_are_the_same_in_one_event_loop_after_another(server: Any) -> None:
    chat = server.chat()

    async def streamed() -> Any:
        pieces = [piece async for piece in chat.astream("What is it?")]
        return sum(pieces[1:], pieces[0])

    check_whole(asyncio.run(chat.ainvoke("What is it?")))
    check_whole(asyncio.run(streamed()))
    check_whole(chat.invoke("What is it?"))


def test_a_plain_call_works_inside_a_running_event_loop(server: Any) -> None:
    async def ask() -> Any:
        return server.chat().invoke("What is it?")

    check_whole(asyncio.run(ask()))


def test_a_batch_is_answered_in_order(server: Any) -> None:
    for text in ("one", "two", "three"):
        server.will_write(text)
    answers = server.chat().batch(["1", "2", "3"], config={"max_concurrency": 1})
    assert [answer.content for answer in answers] == ["one", "two", "three"]


def test_a_server_that_counts_nothing_gives_zeros_and_length_is_passed_on(server: Any) -> None:
    event = {"choices": [{"index": 0, "delta": {"content": "A"}, "finish_reason": "length"}]}
    body = f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n"
    server.will_send(body, content_type="text/event-stream")
    answer = server.chat().invoke("?")
    assert answer.response_metadata["finish_reason"] == "length"
    assert answer.usage_metadata["total_tokens"] == 0


def test_pictures_and_turns_are_sent_in_their_order(server: Any, picture: Picture) -> None:
    image, url = {"type": "image", "image": picture}, to_data_url(picture)
    given = {"type": "image_url", "image_url": {"url": url}}
    frames = {"type": "video", "frames": [picture, picture]}
    server.chat().invoke(
        [
            SystemMessage("Look."),
            HumanMessage(
                [image, {"type": "text", "text": "This"}, given, frames, {"type": "text", "text": "or that?"}]
            ),
            AIMessage("That."),
            HumanMessage("Why?"),
        ]
    )
    sent = {"type": "image_url", "image_url": {"url": url}}
    assert url.startswith("data:image/png;base64,")
    assert server.requests[0].messages == [
        {"role": "system", "content": "Look."},
        {
            "role": "user",
            "content": [sent, {"type": "text", "text": "This"}, sent, sent, sent, {"type": "text", "text": "or that?"}],
        },
        {"role": "assistant", "content": "That."},
        {"role": "user", "content": "Why?"},
    ]


def test_the_settings_are_sent_and_a_call_overrides_them_for_itself(server: Any) -> None:
    chat = server.chat(max_new_tokens=7, temperature=0.5, top_p=0.9, seed=3)
    chat.invoke("?")
    chat.invoke("?", max_new_tokens=9, temperature=0.0, top_p=0.1, seed=4, stop=["END"])
    chat.invoke("?")
    names = ("max_tokens", "temperature", "top_p", "seed", "stop")
    sent = [tuple(getattr(request, name, None) for name in names) for request in server.requests]
    assert sent == [(7, 0.5, 0.9, 3, None), (9, 0.0, 0.1, 4, ["END"]), (7, 0.5, 0.9, 3, None)]
    assert server.requests[0].stream_options == {"include_usage": True}


def test_a_bad_call_option_is_refused_before_anything_is_sent(server: Any) -> None:
    with pytest.raises(InvalidCall, match="temprature"):
        server.chat().invoke("?", temprature=1)
    assert server.requests == []


def test_the_key_goes_to_the_server_and_nowhere_else(server: Any) -> None:
    chat = server.chat(api_key=KEY)
    chat.invoke("?")
    assert server.requests[0].key == f"Bearer {KEY}"
    shown = [repr(chat), str(chat), repr(chat.asdict()), repr(chat._identifying_params)]
    for status in (400, 401, 500):
        body = json.dumps({"error": {"message": f"not with {KEY}"}})
        server.will_send(body, status, content_type="application/json", x_should_retry="false")
        with pytest.raises(ModelError) as caught:
            chat.invoke("?")
        shown.append(str(caught.value))
    assert not [text for text in shown if KEY in text]


def test_a_key_for_another_service_is_not_sent(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.chat().invoke("?")
    assert server.requests[0].key == "Bearer none"


def test_structured_output_asks_for_the_schema_and_is_parsed(server: Any) -> None:
    for _ in range(3):
        server.will_write(SQUARE)
    chat = server.chat()
    assert chat.with_structured_output(Square).invoke("?", max_new_tokens=50) == Square(colour="red", side=40)
    assert server.requests[0].max_tokens == 50
    assert server.requests[0].response_format == {
        "type": "json_schema",
        "json_schema": {"name": "Square", "schema": Square.model_json_schema(), "strict": True},
    }
    both = chat.with_structured_output(Square, include_raw=True).invoke("?")
    assert both["parsed"] == Square(colour="red", side=40)
    assert both["raw"].usage_metadata["output_tokens"] == 1
    answer = asyncio.run(chat.with_structured_output(Square.model_json_schema()).ainvoke("?"))
    assert answer == {"colour": "red", "side": 40}


@pytest.mark.parametrize("text", ["It is red.", '{"colour": "red"', '{"colour": "red", "side": "long"}', ""])
def test_what_is_not_the_schema_is_an_error_that_shows_it(server: Any, text: str) -> None:
    server.will_write(text)
    server.will_write(text)
    chat = server.chat()
    with pytest.raises(InvalidOutput, match="is no 'Square'") as caught:
        chat.with_structured_output(Square).invoke("?")
    assert caught.value.text == text
    both = chat.with_structured_output(Square, include_raw=True).invoke("?")
    assert (both["raw"].content, both["parsed"]) == (text, None)
    assert isinstance(both["parsing_error"], InvalidOutput)


def test_cancel_ends_a_stream_while_the_server_is_silent_and_closes_the_connection(server: Any) -> None:
    server.will_write("A ", None)
    cancel = threading.Event()
    stream = server.chat().stream("?", cancel=cancel)
    assert next(stream).content == "A "
    cancel.set()
    with pytest.raises(Cancelled):
        next(stream)
    assert server.left.wait(WAIT_S)


def test_cancel_ends_an_async_stream_and_closes_the_connection(server: Any) -> None:
    server.will_write("A ", None)
    cancel = threading.Event()

    async def ask() -> None:
        async for piece in server.chat().astream("?", cancel=cancel):
            assert piece.content == "A "
            cancel.set()

    with pytest.raises(Cancelled):
        asyncio.run(ask())
    assert server.left.wait(WAIT_S)


def test_a_stream_that_is_left_early_closes_the_connection(server: Any) -> None:
    server.will_write("A ", None)
    stream = server.chat().stream("?")
    next(stream)
    stream.close()
    assert server.left.wait(WAIT_S)


def test_a_call_that_was_cancelled_before_or_is_too_late_sends_nothing(server: Any) -> None:
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        server.chat().invoke("?", cancel=cancel)
    answer = server.chat().invoke("?", deadline=time.monotonic())
    assert (answer.content, answer.response_metadata["finish_reason"]) == ("", "deadline")
    assert server.requests == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The clock that deadlines are read from."""
    clock = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr("model.call_options.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_a_deadline_ends_an_answer_that_stopped_coming_with_what_there_is(server: Any, clock: Any) -> None:
    server.will_write("A ", None)
    stream = server.chat().stream("?", deadline=clock.now + 1000)
    assert next(stream).content == "A "
    clock.now += 2000
    (last,) = stream
    assert (last.content, last.response_metadata["finish_reason"]) == ("", "deadline")
    assert server.left.wait(WAIT_S)


def test_a_deadline_ends_an_answer_that_never_began(server: Any, clock: Any) -> None:
    server.will_write(lambda: setattr(clock, "now", clock.now + 2000), None)
    answer = server.chat().invoke("?", deadline=clock.now + 1000)
    assert (answer.content, answer.response_metadata["finish_reason"]) == ("", "deadline")
    assert server.left.wait(WAIT_S)


def test_a_deadline_in_a_structured_answer_is_an_error(server: Any, clock: Any) -> None:
    server.will_write(SQUARE[:9], lambda: setattr(clock, "now", clock.now + 2000), None)
    with pytest.raises(DeadlineExceeded, match="'Square' half written"):
        server.chat().with_structured_output(Square).invoke("?", deadline=clock.now + 1000)


def test_a_server_that_is_silent_for_too_long_is_named(server: Any) -> None:
    server.will_write(None)
    with pytest.raises(errors.RemoteTimeout, match=r"was silent for 0 s; try again or raise time_budget_s\.$"):
        server.chat(time_budget_s=0.1).invoke("?")


REFUSALS = [
    (401, errors.RemoteRefused, "refused the key (HTTP 401); set LORGNETTE_API_KEY to a valid one."),
    (403, errors.RemoteRefused, "refused the key (HTTP 403); set LORGNETTE_API_KEY to a valid one."),
    (
        404,
        errors.RemoteModelNotFound,
        "has no model 'seer' (HTTP 404); see {}/models and name one of those after the #.",
    ),
    (429, errors.RemoteBusy, "is busy (HTTP 429); try again later."),
    (503, errors.RemoteBusy, "is busy (HTTP 503); try again later."),
    (400, errors.RemoteFailed, "failed (HTTP 400: the prompt is too long); see its log, or ask for less."),
    (500, errors.RemoteFailed, "failed (HTTP 500: the prompt is too long); see its log, or ask for less."),
]


@pytest.mark.parametrize(("status", "error", "sentence"), REFUSALS)
def test_a_refusal_says_what_to_do_and_is_tried_twice_at_most(
    server: Any, status: int, error: type[ModelError], sentence: str
) -> None:
    body = json.dumps({"error": {"message": "the prompt is too long"}})
    for _ in range(3):
        server.will_send(body, status, content_type="application/json", retry_after_ms="1")
    with pytest.raises(error) as caught:
        server.chat().invoke("?")
    assert str(caught.value) == f"The server at {server.address!r} " + sentence.format(server.address)
    assert len(server.requests) == (2 if status >= 429 else 1)


def test_a_server_that_is_busy_once_is_asked_again(server: Any) -> None:
    server.will_send("later", 503, retry_after_ms="1")
    check_whole(server.chat().invoke("?"))


def test_cancel_does_not_wait_for_the_time_that_a_busy_server_asks_for(server: Any) -> None:
    cancel = threading.Event()

    def put_off(handler: Any) -> None:
        handler.reply(503, b"later", {"retry-after": "50"})
        cancel.set()

    server.scripts.append(put_off)
    server.will_write("never asked for")
    with pytest.raises(Cancelled):
        server.chat().invoke("?", cancel=cancel)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("<html><body>Welcome</body></html>", "text/html"),
        ('{"choices": [{"message": {"content": "A"}}]}', "application/json"),
        ("", "text/event-stream"),
        ("data: <p>\n\n", "text/event-stream"),
        ('data: {"choices": [{}]}\n\n', "text/event-stream"),
        ("data: [1]\n\n", "text/event-stream"),
    ],
)
def test_a_server_of_another_kind_is_named(server: Any, body: str, content_type: str) -> None:
    server.will_send(body, content_type=content_type)
    with pytest.raises(errors.RemoteUnreadable, match=r"check the address, which ends in /v1\.$"):
        server.chat().invoke("?")


def test_an_error_inside_the_stream_is_the_servers(server: Any) -> None:
    body = 'data: {"error": {"message": "out of memory"}}\n\n'
    server.will_send(body, content_type="text/event-stream")
    with pytest.raises(errors.RemoteFailed, match=r"failed \(out of memory\)"):
        server.chat().invoke("?")


def test_an_answer_that_breaks_off_is_no_answer(server: Any) -> None:
    server.will_write("A ", "red ", end="cut")
    stream = server.chat().stream("?")
    assert [next(stream).content, next(stream).content] == ["A ", "red "]
    with pytest.raises(errors.RemoteBrokeOff, match="in the middle of the answer; ask again"):
        next(stream)
    assert len(server.requests) == 1


def test_an_answer_whose_end_has_no_reason_is_kept_and_the_reason_is_unknown(server: Any) -> None:
    server.will_write("A ", "red ", end="unfinished")
    answer = server.chat().invoke("?")
    assert (answer.content, answer.response_metadata["finish_reason"]) == ("A red ", "unknown")


def test_a_server_that_is_down_is_named_with_the_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    chat, _ = open_chat(ModelSettings(model=f"http://127.0.0.1:{port}/v1#seer"))
    with pytest.raises(errors.RemoteUnavailable, match=r"cannot be reached \(Connection refused\); start it or mend"):
        chat.invoke("?")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("http://#m", "names no server"),
        ("http:///v1#m", "names no server"),
        ("http://a b/v1#m", "names no server"),
        ("http://host/v1", "does not name the model"),
        ("http://host/v1# ", "does not name the model"),
        ("http://host/v1?key=1#m", "has a query"),
        ("http://[::1/v1#m", "cannot be read"),
        ("http://host:99999/v1#m", "cannot be read"),
        ("http://host:x/v1#m", "cannot be read"),
        ("ftp://host/v1#m", "names no server"),
    ],
)
def test_a_wrong_address_is_refused_at_once(address: str, reason: str) -> None:
    with pytest.raises(errors.RemoteAddressInvalid, match=f"{reason}.*write it as http://host:port/v1#model-name"):
        remote_chat(ModelSettings(model=address))


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(errors.RemoteAddressInvalid, match="holds a user or a password") as caught:
        open_chat(ModelSettings(model=f"http://me:{KEY}@host/v1#m"))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(("option", "value"), [("adapter", "an/adapter"), ("quantization", "nf4")])
def test_what_only_a_local_model_has_is_refused(server: Any, option: str, value: str) -> None:
    with pytest.raises(errors.RemoteOptionRefused, match=f"{option} '{value}' is for a local model") as caught:
        server.chat(**{option: value})
    assert caught.value.option == option


def test_a_sampling_option_that_the_server_refuses_is_said_under_the_answer(server: Any, picture: Picture) -> None:
    body = json.dumps({"error": {"message": "unrecognized field: top_k"}})
    server.will_send(body, 400, content_type="application/json")
    server.will_write("A red square.")
    settings = Settings(model=f"{server.address}#seer", top_k=7, roots=(Path(picture.source).parent,), effort="quick")
    chat, identity = open_chat(settings)
    answer = Agent(chat, identity, settings).ask("What is red?", [picture.source])
    assert answer.answer == "A red square."
    assert "answer: the server does not take top_k, it was written without" in answer.degraded
    assert [hasattr(request, "top_k") for request in server.requests] == [True, False]
