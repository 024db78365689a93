"""Captions of the documents' pictures, by the chat model. It keeps none: `retrieval.sync.captions` does."""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from common.errors import LorgnetteError
from graph.prompts import ENGLISH, SYSTEM
from graph.settings import AgentSettings
from model.open import is_remote
from model.pictures.picture import Picture
from retrieval.sync.captions import Caption, CaptionerUnavailable, CaptionFailed

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from PIL import Image

    from model.open import ModelIdentity

CAPTION_S = 60.0
CAPTION_TOKENS = 96
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


def wants_captions(settings: AgentSettings) -> bool:
    """Tell whether pictures are to be captioned.

    With `auto` by a real model on this machine alone: the bundled one cannot describe photographs, and who asks a
    server about one picture has not asked to send it all.
    """
    if settings.captions != "auto":
        return settings.captions == "on"
    if is_remote(settings.model):
        return urlsplit(settings.model).hostname in _THIS_MACHINE
    return settings.model != "tiny"


class ChatCaptioner:
    """Describes pictures with a chat model, which is opened for the first one."""

    def __init__(self, open_chat: "Callable[[], tuple[BaseChatModel, ModelIdentity]]") -> None:
        self._open = open_chat
        self._opened: tuple[BaseChatModel, ModelIdentity] | None = None

    def caption(self, picture: "Image.Image", sha256: str, cancel: threading.Event) -> Caption:
        """Describe a picture; as `retrieval.sync.captions.Captioner`."""
        from langchain_core.messages import HumanMessage, SystemMessage
        from langsmith import tracing_context

        try:
            self._opened = self._opened or self._open()
        except LorgnetteError as error:
            raise CaptionerUnavailable(str(error)) from error
        chat, identity = self._opened
        shown = Picture(f"sha256={sha256}", None, picture, sha256)
        question: list[str | dict[str, object]] = [
            {"type": "image", "image": shown},
            {"type": "text", "text": ENGLISH.caption},
        ]
        try:
            # A tracing key in the user's environment must not send pictures away (LangChain would).
            with tracing_context(enabled=False):
                said = chat.invoke(
                    [SystemMessage(SYSTEM), HumanMessage(question)],
                    cancel=cancel,
                    deadline=time.monotonic() + CAPTION_S,
                    max_new_tokens=CAPTION_TOKENS,
                )
        except LorgnetteError as error:
            raise CaptionFailed(str(error)) from error
        return Caption(said.text, identity.name)
