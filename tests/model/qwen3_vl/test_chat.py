"""The bundled model as a LangChain chat model."""

import asyncio
import dataclasses
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from typing import Annotated, Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from pydantic import BaseModel, Field

from model.call_options import Call, Cancellation, Cancelled, InvalidCall, metadata
from model.messages import UnsupportedContent, parse_messages
from model.pictures.picture import Picture, to_data_url
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.generation import GenerationRequest, OutOfMemory, PromptTooLong, generate
from model.qwen3_vl.load import Loaded
from model.qwen3_vl.prefill import PrefixReader
from model.qwen3_vl.processor import encode
from model.qwen3_vl.token_stream import TextFollower
from model.worker import ModelBusy

pytestmark = pytest.mark.heavy

CAPTION = "Describe the picture."


class Long(BaseModel):
    """Keeps the model writing: a call with it lasts as long as a test wants."""

    text: Annotated[str, Field(min_length=2000, max_length=2000)]


def question(picture: Picture, text: str = CAPTION) -> list[HumanMessage]:
    return [HumanMessage([{"type": "image", "image": picture}, {"type": "text", "text": text}])]


def count_steps(loaded: Loaded) -> tuple[list[None], Any]:
    steps: list[None] = []
    return steps, loaded.model.register_forward_pre_hook(lambda module, args: steps.append(None))


@pytest.fixture
def busy(chat: ChatQwen3VL) -> Iterator[Any]:
    """A stream that is being written, and goes on until it is closed."""
    stream = chat.stream("Write.", output_schema=Long, max_new_tokens=3000)
    next(stream)
    yield stream
    assert isinstance(stream, Generator)
    stream.close()


def test_a_conversation_with_pictures_is_answered_as_by_plain_generate(
    chat: ChatQwen3VL, loaded: Loaded, picture: Picture
) -> None:
    chat.invoke(question(picture))  # leaves rope_deltas behind
    image, text = {"type": "image", "image": picture}, {"type": "text", "text": "Compare them."}
    answer = chat.invoke(
        [SystemMessage("Look."), HumanMessage([image, image, text]), AIMessage("Two."), HumanMessage("So?")]
    )
    block = {"type": "image", "image": picture.image}
    inputs = encode(
        loaded.processor,
        [
            {"role": "system", "content": "Look."},
            {"role": "user", "content": [block, block, text]},
            {"role": "assistant", "content": "Two."},
            {"role": "user", "content": "So?"},
        ],
    )
    loaded.model.model.rope_deltas = None
    tokens = loaded.model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert answer.content == loaded.processor.tokenizer.decode(tokens, skip_special_tokens=True).rstrip("�")
    assert answer.usage_metadata == {
        "input_tokens": inputs["input_ids"].shape[1],
        "output_tokens": len(tokens),
        "total_tokens": inputs["input_ids"].shape[1] + len(tokens),
        "input_token_details": {"cache_read": 1},  # <|im_start|>, with which every prompt begins
    }


def test_a_question_after_a_picture_is_answered_as_if_it_were_the_first(
    chat: ChatQwen3VL, loaded: Loaded, picture: Picture
) -> None:
    loaded.model.model.rope_deltas = None
    first = chat.invoke("What is red?", temperature=1.0, seed=5).content
    chat.invoke(question(picture))
    assert chat.invoke("What is red?", temperature=1.0, seed=5).content == first


@pytest.mark.parametrize("options", [{}, {"temperature": 2.0, "seed": 4}], ids=["greedy", "sampled"])
def test_the_chunks_of_a_stream_add_up_to_the_answer(
    chat: ChatQwen3VL, picture: Picture, options: dict[str, Any]
) -> None:
    whole = chat.invoke(question(picture), **options)
    chunks = list(chat.stream(question(picture), **options))
    total: Any = sum(chunks[1:], chunks[0])
    assert total.content == whole.content
    assert total.usage_metadata["total_tokens"] == whole.usage_metadata["total_tokens"]  # type: ignore[index]
    assert total.response_metadata["finish_reason"] == whole.response_metadata["finish_reason"]
    assert total.response_metadata["model_name"] == "tiny"


def test_an_answer_that_is_cut_at_its_length_is_streamed_in_pieces_until_there(
    chat: ChatQwen3VL, picture: Picture
) -> None:
    chunks = list(chat.stream(question(picture), max_new_tokens=5))
    assert len(chunks) > 2
    assert chunks[-1].response_metadata["finish_reason"] == "length"


def test_a_stop_string_across_tokens_is_cut_and_never_streamed(chat: ChatQwen3VL, picture: Picture) -> None:
    text = str(chat.invoke(question(picture)).content)
    stop = text[2:9]
    chunks = list(chat.stream(question(picture), stop=["never written", stop]))
    assert "".join(str(chunk.content) for chunk in chunks) == text[: text.index(stop)]
    assert isinstance(chunks[-1], AIMessageChunk)
    assert chunks[-1].response_metadata["finish_reason"] == "stop"


def test_the_same_seed_gives_the_same_answer_and_leaves_the_global_generator_alone(chat: ChatQwen3VL) -> None:
    before = torch.random.get_rng_state()
    first, again, *others = [chat.invoke("Say it.", temperature=2.0, seed=seed).content for seed in (1, 1, 2, 3, 4)]
    assert first == again
    assert any(other != first for other in others)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_narrow_nucleus_is_greedy(chat: ChatQwen3VL) -> None:
    greedy = chat.invoke("Say it.").content
    assert chat.invoke("Say it.", temperature=2.0, top_p=1e-6, seed=9).content == greedy


def test_max_new_tokens_ends_the_answer_and_says_so(chat: ChatQwen3VL) -> None:
    answer = chat.invoke("Say it.", max_new_tokens=1)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["output_tokens"] == 1
    assert answer.response_metadata["finish_reason"] == "length"


def test_a_deadline_ends_the_answer_with_what_there_is(chat: ChatQwen3VL, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        ticks = 0

        def monotonic(self) -> float:
            self.ticks += 1
            return self.ticks

    monkeypatch.setattr("model.call_options.time", Clock())  # looked at a dozen times a token
    answer = chat.invoke("Say it.", max_new_tokens=500, temperature=100.0, seed=1, deadline=60)
    assert answer.response_metadata["finish_reason"] == "deadline"
    assert answer.usage_metadata is not None
    assert 0 < answer.usage_metadata["output_tokens"] < 60


def test_a_deadline_that_is_past_gives_an_empty_answer_without_reading_the_prompt(
    chat: ChatQwen3VL, loaded: Loaded, picture: Picture
) -> None:
    layers: list[None] = []
    hook = loaded.model.model.language_model.layers[0].register_forward_hook(lambda *_: layers.append(None))
    answer = chat.invoke(question(picture), deadline=time.monotonic())
    hook.remove()
    assert answer.content == ""
    assert answer.response_metadata["finish_reason"] == "deadline"
    assert layers == []


def test_cancel_stops_at_the_token_that_is_being_written(loaded: Loaded) -> None:
    steps, hook = count_steps(loaded)
    cancel = threading.Event()
    call = Call(max_new_tokens=500, temperature=2.0, top_p=1.0, seed=1, cancel=cancel)
    request = GenerationRequest(
        loaded,
        parse_messages([HumanMessage("Say it.")]),
        call,
        reader=PrefixReader(loaded.model, 0),
        grammars=lambda: pytest.fail("no schema"),
        cancellation=Cancellation(cancel),
        emit=lambda piece: cancel.set(),
        max_pixels=None,
    )
    with pytest.raises(Cancelled):
        generate(request)
    hook.remove()
    assert len(steps) < 10  # the first token whose text is complete


def test_a_call_that_was_cancelled_before_never_reaches_the_model(chat: ChatQwen3VL, loaded: Loaded) -> None:
    steps, hook = count_steps(loaded)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        chat.invoke("Say it.", cancel=cancel)
    hook.remove()
    assert steps == []


def test_cancel_during_a_stream_raises_and_frees_the_model(chat: ChatQwen3VL) -> None:
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        for _ in chat.stream("Write.", output_schema=Long, max_new_tokens=3000, cancel=cancel):
            cancel.set()
    assert chat.invoke("Say it.").content


def in_background(work: Any) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        except Cancelled as error:
            results.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


def until(true: Any) -> None:
    while not true():
        threading.Event().wait(0.001)


def test_a_waiting_question_that_is_cancelled_leaves_the_queue_at_once(chat: ChatQwen3VL, busy: Any) -> None:
    cancel = threading.Event()
    thread, results = in_background(lambda: chat.invoke("Say it.", cancel=cancel))
    until(lambda: chat.waiting == 1)
    cancel.set()
    thread.join()
    assert isinstance(results[0], Cancelled)
    assert chat.waiting == 0
    assert next(busy).content  # the one that runs was not disturbed


def test_a_waiting_question_whose_time_is_up_gives_an_empty_answer(chat: ChatQwen3VL, busy: Any) -> None:
    answer = chat.invoke("Say it.", deadline=time.monotonic())
    assert answer.content == ""
    assert answer.response_metadata["finish_reason"] == "deadline"
    assert next(busy).content


def test_a_full_queue_is_busy_at_once(loaded: Loaded) -> None:
    chat = ChatQwen3VL(loaded=loaded, queue_size=1)
    busy = chat.stream("Write.", output_schema=Long, max_new_tokens=3000)
    next(busy)
    cancel = threading.Event()
    thread, _ = in_background(lambda: chat.invoke("Say it.", cancel=cancel))
    until(lambda: chat.waiting == 1)
    with pytest.raises(ModelBusy, match="1 question waits"):
        chat.invoke("Say it.")
    cancel.set()
    thread.join()
    assert isinstance(busy, Generator)
    busy.close()
    chat.close()


def test_a_stream_that_is_left_early_frees_the_model(chat: ChatQwen3VL, loaded: Loaded, busy: Any) -> None:
    busy.close()
    steps, hook = count_steps(loaded)
    chat.invoke("Say it.", max_new_tokens=3)
    hook.remove()
    assert len(steps) <= 5  # its own three, and what was under way


def test_async_calls_give_the_same_answer(chat: ChatQwen3VL, picture: Picture) -> None:
    async def ask() -> tuple[str, str]:
        answer = await chat.ainvoke(question(picture))
        pieces = [str(chunk.content) async for chunk in chat.astream(question(picture))]
        return str(answer.content), "".join(pieces)

    expected = chat.invoke(question(picture)).content
    assert asyncio.run(ask()) == (expected, expected)


@pytest.mark.parametrize("streamed", [False, True])
def test_cancelling_an_async_task_frees_the_model_and_leaves_the_callers_event_alone(
    chat: ChatQwen3VL, loaded: Loaded, streamed: bool
) -> None:
    cancel = threading.Event()
    steps, hook = count_steps(loaded)

    async def ask() -> None:
        async def consume() -> None:
            async for _ in chat.astream("Write.", output_schema=Long, max_new_tokens=3000, cancel=cancel):
                pass

        long = chat.ainvoke("Write.", output_schema=Long, max_new_tokens=3000, cancel=cancel)
        if streamed:
            long.close()
            task = asyncio.create_task(consume())
        else:
            task = asyncio.create_task(long)  # type: ignore[arg-type]
        while not steps:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await chat.ainvoke("Say it.", max_new_tokens=1)

    asyncio.run(ask())
    hook.remove()
    assert len(steps) < 100
    assert not cancel.is_set()


def test_a_batch_longer_than_the_queue_is_answered_in_order(chat: ChatQwen3VL) -> None:
    questions = [f"Say {number}." for number in range(12)]
    answers = chat.batch(questions, max_new_tokens=2)
    assert [a.content for a in answers] == [chat.invoke(q, max_new_tokens=2).content for q in questions]
    assert len(asyncio.run(chat.abatch(questions, max_new_tokens=1))) == 12


def test_a_prompt_that_does_not_fit_is_refused_with_both_numbers(chat: ChatQwen3VL, loaded: Loaded) -> None:
    steps, hook = count_steps(loaded)
    with pytest.raises(PromptTooLong, match="at most 4084 fit") as caught:
        chat.invoke("word " * 5000)
    hook.remove()
    assert caught.value.limit == 4096 - 12
    assert str(caught.value.prompt_tokens) in str(caught.value)
    assert steps == []


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["cuda", "python", "cpu"],
)
def test_no_memory_is_an_error_that_names_the_fix(loaded: Loaded, picture: Picture, error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    chat = ChatQwen3VL(loaded=loaded, max_pixels=20_000)
    hook = loaded.model.register_forward_pre_hook(fail)
    with pytest.raises(OutOfMemory, match=r"max_pixels 20000.*nf4"):
        chat.invoke(question(picture))
    hook.remove()
    chat.close()


def test_another_error_of_the_model_reaches_the_caller_as_it_is(chat: ChatQwen3VL, loaded: Loaded) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("shapes differ")

    hook = loaded.model.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        chat.invoke("Say it.")
    hook.remove()


def test_a_data_url_is_the_same_picture(chat: ChatQwen3VL, picture: Picture) -> None:
    url = to_data_url(picture)
    text = {"type": "text", "text": CAPTION}
    expected = chat.invoke(question(picture)).content
    for block in (
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image", "base64": url.partition(",")[2], "mime_type": "image/png"},
    ):
        assert chat.invoke([HumanMessage([block, text])]).content == expected


def test_frames_of_a_video_are_read(chat: ChatQwen3VL, picture: Picture) -> None:
    video = {"type": "video", "frames": [picture] * 4}
    answer = chat.invoke([HumanMessage([video, {"type": "text", "text": CAPTION}])])
    words_alone = chat.invoke([HumanMessage(CAPTION)])
    assert answer.usage_metadata is not None and words_alone.usage_metadata is not None
    assert answer.usage_metadata["input_tokens"] > words_alone.usage_metadata["input_tokens"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (HumanMessage([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]), "data: URL"),
        (HumanMessage([{"type": "image", "image": "a.png"}]), "open_picture"),
        (HumanMessage([{"type": "audio", "audio": "x"}]), "'audio'"),
        (ToolMessage("done", tool_call_id="1"), "tool results"),
    ],
)
def test_what_the_model_cannot_read_is_refused(chat: ChatQwen3VL, message: Any, reason: str) -> None:
    with pytest.raises(UnsupportedContent, match=reason):
        chat.invoke([message])


@pytest.mark.parametrize("options", [{"max_new_tokens": 0}, {"temperature": -1.0}, {"top_p": 0.0}, {"top_q": 1}])
def test_a_bad_call_option_is_named(chat: ChatQwen3VL, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidCall, match=next(iter(options))):
        chat.invoke("Say it.", **options)


def test_traces_show_the_settings_and_not_the_weights(chat: ChatQwen3VL) -> None:
    assert chat._identifying_params["model_name"] == "tiny"
    assert "Loaded" not in repr(chat)
    assert chat.get_num_tokens("one") >= 1


def test_a_wrapped_model_is_asked_through_its_wrapper(loaded: Loaded) -> None:
    class Wrapper:  # as PeftModel: attributes come from the base model, which get_base_model returns
        def __init__(self, base: Any) -> None:
            self.base = base
            self.generated = 0

        def __getattr__(self, name: str) -> Any:
            return getattr(self.base, name)

        def get_base_model(self) -> Any:
            return self.base

        def generate(self, **kwargs: Any) -> Any:
            self.generated += 1
            return self.base.generate(**kwargs)

    wrapper = Wrapper(loaded.model)
    chat = ChatQwen3VL(loaded=dataclasses.replace(loaded, model=wrapper), max_new_tokens=2)
    assert chat.invoke("Say it.").response_metadata["finish_reason"] in ("length", "stop")
    assert wrapper.generated == 1
    chat.close()


@given(text=st.text(), stop=st.lists(st.text(min_size=1, max_size=3), max_size=2), tail=st.binary(max_size=3))
def test_followed_text_equals_decoding_at_once(loaded: Loaded, text: str, stop: list[str], tail: bytes) -> None:
    tokenizer = loaded.processor.tokenizer
    tokens = tokenizer(text)["input_ids"]
    follower = TextFollower(tokenizer, stop)
    pieces = [follower.feed(token) for token in tokens]
    pieces.append(follower.finish())
    whole = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    cut = min((whole.find(one) for one in stop if one in whole), default=len(whole))
    assert "".join(pieces) == whole[:cut]
    assert follower.stopped == (cut < len(whole))


def test_a_half_written_character_is_never_shown(loaded: Loaded) -> None:
    tokenizer = loaded.processor.tokenizer
    tokens = tokenizer("🙂")["input_ids"]
    assert len(tokens) > 1
    follower = TextFollower(tokenizer)
    assert [follower.feed(token) for token in tokens[:-1]] == [""] * (len(tokens) - 1)
    assert follower.finish() == ""
    assert follower.feed(tokens[-1]) == "🙂"


def test_metadata_has_the_contracts_keys() -> None:
    assert metadata("stop", 1.5, "tiny") == {"finish_reason": "stop", "seconds": 1.5, "model_name": "tiny"}


def test_importing_the_doors_loads_nothing_heavy() -> None:
    code = (
        "import sys, model.open, model.worker, model.pictures.boxes\n"
        "heavy = {'torch', 'transformers', 'langchain_core', 'langchain_openai', 'openai', 'llguidance', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "import model.qwen3_vl.chat\n"
        "heavy -= {'langchain_core', 'PIL'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
