"""Captions by a scripted chat model, and who gets any."""

import threading
import time
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import Field

from common.errors import LorgnetteError
from graph import prompts
from graph.agent import Agent
from graph.model_captioner import ChatCaptioner, wants_captions
from graph.settings import AgentSettings
from model.call_options import Cancelled
from model.open import ModelIdentity
from retrieval.sync.captions import Caption, CaptionerUnavailable, CaptionFailed

IDENTITY = ModelIdentity("eyes-1", None, "none")


class Chat(BaseChatModel):
    """Says one line, or raises it."""

    line: Any
    asked: list[tuple[list[BaseMessage], dict[str, Any]]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def _generate(self, messages: list[BaseMessage], *_: Any, **options: Any) -> ChatResult:
        self.asked.append((messages, options))
        if isinstance(self.line, Exception):
            raise self.line
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.line))])


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (8, 8), "red")


def test_the_model_is_asked_about_the_picture_and_named(picture: Image.Image) -> None:
    chat, cancel = Chat(line="a red square"), threading.Event()
    captioner = ChatCaptioner(lambda: (chat, IDENTITY))
    assert captioner.caption(picture, "abc", cancel) == Caption("a red square", "eyes-1")
    ((messages, options),) = chat.asked
    assert messages[0].content == prompts.SYSTEM
    content = messages[1].content
    assert isinstance(content, list)
    shown, text = content
    assert isinstance(shown, dict) and shown["image"].image is picture and shown["image"].sha256 == "abc"
    assert isinstance(text, dict) and text["text"] == prompts.ENGLISH.caption
    # It ends when the user says so, and by itself.
    assert options["cancel"] is cancel and options["deadline"] > time.monotonic() and options["max_new_tokens"] <= 128


def test_the_agent_captions_with_its_own_model(picture: Image.Image) -> None:
    captioner = Agent(Chat(line="a red square"), IDENTITY, AgentSettings()).captioner
    assert captioner.caption(picture, "abc", threading.Event()).model == "eyes-1"


def test_the_model_is_opened_for_the_first_picture_and_kept(picture: Image.Image) -> None:
    opened: list[int] = []

    def open_model() -> tuple[Chat, ModelIdentity]:
        opened.append(1)
        return Chat(line="x"), IDENTITY

    captioner = ChatCaptioner(open_model)
    assert opened == []
    for _ in range(2):
        captioner.caption(picture, "abc", threading.Event())
    assert opened == [1]


def test_a_model_that_fails_at_a_picture_fails_at_that_one(picture: Image.Image) -> None:
    with pytest.raises(CaptionFailed, match="cancelled"):
        ChatCaptioner(lambda: (Chat(line=Cancelled()), IDENTITY)).caption(picture, "abc", threading.Event())


def test_a_model_that_is_not_there_captions_nothing(picture: Image.Image) -> None:
    def fail() -> Any:
        raise LorgnetteError("there is no such model")

    with pytest.raises(CaptionerUnavailable, match="no such model"):
        ChatCaptioner(fail).caption(picture, "abc", threading.Event())


@pytest.mark.parametrize(
    ("captions", "model", "wanted"),
    [
        ("auto", "tiny", False),
        ("auto", "Qwen/Qwen3-VL-2B-Instruct", True),
        ("auto", "http://localhost:8000/v1#m", True),
        ("auto", "http://[::1]:8000/v1#m", True),
        # All pictures of a folder are not sent away because one question was.
        ("auto", "https://api.example.org/v1#m", False),
        ("auto", "http://localhost.example.org/v1#m", False),
        ("on", "tiny", True),
        ("on", "https://api.example.org/v1#m", True),
        ("off", "Qwen/Qwen3-VL-2B-Instruct", False),
    ],
)
def test_captions_are_wanted_from_a_real_model_on_this_machine_or_by_the_users_word(
    captions: Any, model: str, wanted: bool
) -> None:
    assert wants_captions(AgentSettings(captions=captions, model=model)) is wanted
