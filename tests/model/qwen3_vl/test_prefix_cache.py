"""The shared prefix: what was read once is not read again, and nothing but time tells the difference."""

import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from PIL import Image

from model.call_options import Cancelled
from model.pictures.open import open_picture
from model.pictures.picture import Picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import Loaded
from model.qwen3_vl.prefix_cache import Layer, PrefixCache

pytestmark = pytest.mark.heavy


@pytest.fixture
def forgetful(loaded: Loaded) -> Iterator[ChatQwen3VL]:
    chat = ChatQwen3VL(loaded=loaded, max_new_tokens=12, prefix_cache_mib=0)
    yield chat
    chat.close()


@pytest.fixture
def other(tmp_path: Path) -> Picture:
    Image.new("RGB", (120, 100), "blue").save(tmp_path / "other.png")
    return open_picture(str(tmp_path / "other.png"), (tmp_path,))


def opening(text: str, *pictures: Picture, system: str = "You see pictures.") -> list[BaseMessage]:
    blocks: list[Any] = [{"type": "image", "image": p} for p in pictures]
    return [SystemMessage(system), HumanMessage([*blocks, {"type": "text", "text": text}])]


def cached(message: AIMessage) -> int:
    assert message.usage_metadata is not None
    return message.usage_metadata["input_token_details"]["cache_read"]


def read(message: AIMessage) -> int:
    assert message.usage_metadata is not None
    return message.usage_metadata["input_tokens"]


def test_planner_responder_and_reviewer_say_the_same_with_and_without_a_shared_prefix(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture
) -> None:
    conversation = opening("How many objects are there?", picture)
    for text in ("Plan the answer as JSON", "How many objects are there?"):
        assert chat.invoke(opening(text, picture)).text == forgetful.invoke(opening(text, picture)).text
    draft = chat.invoke(conversation)
    review = [*conversation, AIMessage(draft.text), HumanMessage("Look again.")]
    reviewed, anew = chat.invoke(review), forgetful.invoke(review)
    assert reviewed.text == anew.text
    assert cached(anew) == 0
    # Question and draft, but for the draft's last token, which was written and never read.
    assert cached(reviewed) >= read(draft) + draft.usage_metadata["output_tokens"] - 1  # type: ignore[index]


def test_another_question_about_a_picture_reads_only_the_question(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture
) -> None:
    first = chat.invoke(opening("How many objects are there?", picture))
    second = chat.invoke(opening("What color is the square?", picture))
    without = chat.invoke(opening("What color is the square?"))
    assert cached(first) <= 3  # the beginning of any prompt
    assert read(second) - cached(second) <= read(without) - 10
    assert second.text == forgetful.invoke(opening("What color is the square?", picture)).text


def test_two_pictures_of_one_size_are_not_taken_for_each_other(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture, other: Picture
) -> None:
    chat.invoke(opening("Describe the picture.", picture))
    seen = chat.invoke(opening("Describe the picture.", other))
    assert seen.text == forgetful.invoke(opening("Describe the picture.", other)).text
    assert cached(seen) < read(chat.invoke(opening("", other))) - 10


def test_a_picture_that_comes_later_in_a_conversation_stands_at_its_own_place(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture, other: Picture
) -> None:
    first = opening("How many objects are there?", picture)
    talk = [*first, chat.invoke(first), *opening("Describe the second picture.", other)[1:]]
    reply = chat.invoke(talk)
    assert cached(reply) >= read(chat.invoke(first)) - 1
    assert reply.text == forgetful.invoke(talk).text


def test_frames_of_a_video_are_shared_too(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture, other: Picture
) -> None:
    def talk(text: str) -> list[BaseMessage]:
        video = {"type": "video", "frames": [picture, other, picture, other]}
        return [HumanMessage([video, {"type": "text", "text": text}])]

    first, second = chat.invoke(talk("What happens?")), chat.invoke(talk("How does it end?"))
    assert cached(second) > read(first) - 20
    assert second.text == forgetful.invoke(talk("How does it end?")).text


def test_a_picture_behind_another_text_is_not_looked_at_again(
    chat: ChatQwen3VL, loaded: Loaded, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    visual = loaded.model.model.visual
    look = visual.forward

    def counted(*args: Any, **options: Any) -> Any:
        looks.append(1)
        return look(*args, **options)

    monkeypatch.setattr(visual, "forward", counted)
    chat.invoke(opening("How many objects are there?", picture))
    chat.invoke(opening("How many objects are there?", picture, system="Be brief."))
    assert len(looks) == 1


def test_a_question_cancelled_while_it_is_read_leaves_the_next_one_right(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture, loaded: Loaded
) -> None:
    cancel = threading.Event()
    hook = loaded.model.model.language_model.layers[2].register_forward_pre_hook(lambda *_: cancel.set())
    with pytest.raises(Cancelled):
        chat.invoke(opening("Describe the picture.", picture), cancel=cancel)
    hook.remove()
    after = chat.invoke(opening("Describe the picture.", picture))
    assert after.text == forgetful.invoke(opening("Describe the picture.", picture)).text


def test_an_answer_cancelled_while_it_is_written_leaves_the_next_one_right(
    chat: ChatQwen3VL, forgetful: ChatQwen3VL, picture: Picture
) -> None:
    stream = chat.stream(opening("Describe the picture.", picture))
    next(stream)
    assert isinstance(stream, Generator)
    stream.close()
    after = chat.invoke(opening("Describe the picture.", picture))
    assert after.text == forgetful.invoke(opening("Describe the picture.", picture)).text


def test_memory_stays_within_its_limit_over_many_pictures(loaded: Loaded, tmp_path: Path) -> None:
    chat = ChatQwen3VL(loaded=loaded, max_new_tokens=2, prefix_cache_mib=1)
    for shade in range(12):
        file = tmp_path / f"{shade}.png"
        Image.new("RGB", (200, 200), (shade * 20, 0, 0)).save(file)
        chat.invoke(opening("How many objects are there?", open_picture(str(file), (tmp_path,))))
        reader = chat._reader
        assert reader is not None
        assert reader.prefixes.bytes + reader.features.currsize <= 2**20
    chat.close()
    assert reader is not None and reader.prefixes.bytes > 0
    assert reader.features.currsize > 0


def layers_of(ids: list[int]) -> list[Layer]:
    """Two layers whose keys are the running sums of the ids: they depend on all that stands before, as real ones do."""
    keys = torch.tensor(ids, dtype=torch.float32).cumsum(0).view(1, 1, -1, 1)
    return [(keys, -keys), (keys * 2, -keys * 2)]


PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=9), min_size=1, max_size=12)


@given(PROMPTS)
@settings(max_examples=200)
def test_what_is_matched_comes_back_as_it_was_stored(prompts: list[list[int]]) -> None:
    cache = PrefixCache(10**6)
    for stored, ids in enumerate(prompts):
        array = np.array(ids)
        known = cache.match("family", array)
        before = prompts[:stored]
        assert known == max((_common(ids, other) for other in before), default=0)
        for kept, wanted in zip(cache.layers("family", array[:known]), layers_of(ids[:known]), strict=False):
            assert torch.equal(kept[0], wanted[0])
            assert torch.equal(kept[1], wanted[1])
        cache.store("family", array, layers_of(ids))
        assert cache.match("family", array) == len(ids)
        assert cache.match("another", array) == 0
    distinct = {tuple(ids[:n]) for ids in prompts for n in range(1, len(ids) + 1)}
    assert cache.bytes == len(distinct) * 4 * 4  # each beginning once: four tensors of one float


@given(PROMPTS, st.integers(0, 300))
@settings(max_examples=200)
def test_the_limit_holds_and_the_latest_goes_last(prompts: list[list[int]], limit: int) -> None:
    cache = PrefixCache(limit)
    for ids in prompts:
        cache.store("family", np.array(ids), layers_of(ids))
        assert cache.bytes <= limit
        if len(ids) * 16 <= limit:
            assert cache.match("family", np.array(ids)) == len(ids)
        known = cache.match("family", np.array(ids))
        for kept, wanted in zip(cache.layers("family", np.array(ids[:known])), layers_of(ids[:known]), strict=False):
            assert torch.equal(kept[0], wanted[0])


def _common(a: list[int], b: list[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
