"""The model of another Lorgnette process on this machine as the same chat model: same answers, no weights here.

It knows the other process by an address and a key; who finds and trusts it is `lorgnette/model_sharing/attach.py`.
"""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import httpx2
import openai
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field, SecretStr

from model.call_options import PROBABILITY_KEY, Call, Cancellation, Cancelled
from model.errors import ModelError
from model.remote.chat import CONNECT_TIMEOUT_S, RemoteChat, openai_messages
from model.remote.errors import RemoteBrokeOff, RemoteError, RemoteUnavailable, RemoteUnreadable
from model.served import ServedModel
from model.settings import SAMPLING, ModelSettings
from model.worker import asking

EXTENSION = "lorgnette"
"""Field of a request that holds what the OpenAI protocol has no words for."""
SILENCE_S = 3600.0
"""Longest wait for the next piece: a long prompt is read in silence. Who waits has a deadline, and the end of the other
process ends the connection."""


class HolderRefused(RemoteError):
    """The process that holds the model says why it does not answer; its text is the model's own."""

    def __init__(self, address: str, text: str) -> None:
        super().__init__(address, text)


class HolderGone(ModelError):
    """The process that holds the model ended during the answer."""

    def __init__(self, address: str) -> None:
        super().__init__(
            f"The Lorgnette at {address!r}, whose model answered, has ended; ask again, the model is then loaded here."
        )
        self.address = address


class AttachedChat(ServedModel, RemoteChat):
    """Same messages, call options, answers and `choice_probabilities` as the `ChatQwen3VL` at the other end.

    Calls raise HolderGone and HolderRefused beside those of `RemoteChat`.
    """

    gives_probabilities: ClassVar[bool] = True

    lossless: bool = True
    negotiates: bool = False
    lost: Callable[[], bool] = Field(exclude=True, repr=False)
    """Says whether the other process has ended."""

    def is_lost(self) -> bool:
        """Return whether the model must be opened anew; takes a message to the other process and back."""
        return self.lost()

    def choice_probabilities(
        self, messages: list[BaseMessage], words: Sequence[str], *, cancel: threading.Event | None = None
    ) -> list[float]:
        """Return how likely each of the words begins the answer; see `ChatQwen3VL.choice_probabilities`."""
        if Cancellation(cancel).is_set():
            raise Cancelled
        turns = openai_messages(messages, lossless=True)
        body = {
            "messages": [{"role": _ROLES[turn.type], "content": turn.content} for turn in turns],
            "words": list(words),
            "user": _client(),
        }
        key = self.openai_api_key.get_secret_value() if isinstance(self.openai_api_key, SecretStr) else ""
        try:
            with httpx2.Client(
                trust_env=False, timeout=httpx2.Timeout(self.silence_s, connect=CONNECT_TIMEOUT_S)
            ) as http:
                reply = http.post(
                    f"{self._address}/lorgnette/choice_probabilities",
                    json=body,
                    headers={"Authorization": f"Bearer {key}"},
                )
            if reply.status_code != 200:
                raise HolderRefused(self._address, _said(reply.text) or f"HTTP {reply.status_code}")
            found: list[float] = reply.json()["probabilities"]
        except (httpx2.HTTPError, ValueError, KeyError) as error:  # ValueError: no JSON
            raise HolderGone(self._address) from error
        return found

    def _options(self, call: Call) -> dict[str, Any]:
        options = super()._options(call)
        extension: dict[str, Any] = {}
        if call.node_adapter is not None:
            extension["node_adapter"] = call.node_adapter
        if call.deadline is not None:
            extension["deadline_s"] = max(call.deadline - time.monotonic(), 0.0)
        options["extra_body"] = {**options.get("extra_body", {}), EXTENSION: extension, "user": _client()}
        return options

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], default_chunk_class: type, base_generation_info: dict[str, Any] | None
    ) -> ChatGenerationChunk | None:
        piece = super()._convert_chunk_to_generation_chunk(chunk, default_chunk_class, base_generation_info)
        told = chunk.get(EXTENSION)
        if piece is not None and isinstance(told, dict) and isinstance(told.get(PROBABILITY_KEY), float):
            piece.message.additional_kwargs[PROBABILITY_KEY] = told[PROBABILITY_KEY]
        return piece

    def _refusal(self, error: openai.APIStatusError) -> RemoteError:
        text = _said(error.response.text)
        return HolderRefused(self._address, text) if text else super()._refusal(error)

    @contextmanager
    def _translated(self, answer: Any) -> Iterator[None]:
        try:
            with super()._translated(answer):
                yield
        except (RemoteUnavailable, RemoteBrokeOff, RemoteUnreadable) as error:
            raise HolderGone(self._address) from error


_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def attached_chat(settings: ModelSettings, address: str, key: str, name: str, lost: Callable[[], bool]) -> AttachedChat:
    """Return the chat model; nothing is sent before the first question.

    Args:
        settings: How to generate; which model is the other process's business.
        address: Of the other process, ending in /v1.
        key: That it takes.
        name: Of its model.
        lost: Says whether the other process has ended.
    """
    timeout = openai.Timeout(SILENCE_S, connect=CONNECT_TIMEOUT_S)
    return AttachedChat(
        model=name,
        base_url=address,
        api_key=SecretStr(key),
        max_tokens=settings.max_new_tokens,
        **{option: getattr(settings, option) for option in SAMPLING},
        timeout=timeout,
        silence_s=SILENCE_S,
        default_headers={"Connection": "close"},
        # A proxy of the user's environment must not see pictures that go from this machine to itself.
        http_client=httpx2.Client(trust_env=False, timeout=timeout),
        http_async_client=httpx2.AsyncClient(trust_env=False, timeout=timeout),
        lost=lost,
    )


def _client() -> str:
    """Name who asks, so that the other process's clients take turns."""
    return f"pid {os.getpid()} {asking.get()}"


def _said(body: str) -> str:
    """Return the text of an error that Lorgnette itself has written; nothing where it is somebody else's."""
    try:
        error = json.loads(body)["error"]
        return str(error["message"]) if error["type"] == EXTENSION else ""
    except (ValueError, KeyError, TypeError):
        return ""
