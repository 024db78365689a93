"""The newer of OpenAI's two forms, `/v1/responses`: texts, pictures and streaming, for the bare model and the agent.

A request is read as one for chat completions, so that both forms mean the same; what comes back is told in the newer
form's events. Responses are not stored: with the agent, `previous_response_id` goes on with its session.
"""

import json
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from common.errors import LorgnetteError
from mcp_server.openai_api.protocol import RequestInvalid
from mcp_server.openai_api.until_left import UntilLeft, error_of

logger = logging.getLogger(__name__)

KEPT = 500
PASSED_ON = ("temperature", "top_p", "user", "stream", "tools", "tool_choice", "seed")
"""Options that both forms call alike."""


@dataclass(frozen=True)
class Ended:
    """What is known at the end of an answer."""

    finish_reason: str
    usage: Mapping[str, Any]
    """In LangChain's words."""
    extra: dict[str, Any] | None = None
    """The agent's evidence."""
    session_id: str | None = None


Pieces = AsyncGenerator[str | Ended]


class ResponsesRequest(BaseModel):
    """What a client sends; what it may leave out, or sends for other servers, is passed over."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: str | list[dict[str, Any]]
    instructions: str | None = None
    stream: bool = False
    max_output_tokens: int | None = None
    previous_response_id: str | None = None


class Responses:
    """Which session a response belongs to."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, str] = OrderedDict()

    def session(self, response_id: str | None) -> str | None:
        """Return the session of a response.

        Raises:
            RequestInvalid: It is not known.
        """
        if response_id is None:
            return None
        if response_id not in self._sessions:
            raise RequestInvalid("previous_response_id is not known here; send the whole conversation as input")
        return self._sessions[response_id]

    def remember(self, response_id: str, session_id: str) -> None:
        """Note it."""
        self._sessions[response_id] = session_id
        while len(self._sessions) > KEPT:
            self._sessions.popitem(last=False)


def read_request(body: bytes) -> tuple[ResponsesRequest, bytes]:
    """Return the request, and the same as one for chat completions.

    Raises:
        RequestInvalid: It is not of this form.
    """
    try:
        request = ResponsesRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise RequestInvalid(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from None
    items = [{"role": "user", "content": request.input}] if isinstance(request.input, str) else request.input
    messages = [_message(item) for item in items]
    if request.instructions:
        messages.insert(0, {"role": "system", "content": request.instructions})
    given = {**(request.model_extra or {}), "stream": request.stream}
    chat = {key: given[key] for key in PASSED_ON if given.get(key) is not None}
    if (form := (given.get("text") or {}).get("format")) and form.get("type") == "json_schema":
        chat["response_format"] = {"type": "json_schema", "json_schema": {k: form.get(k) for k in ("name", "schema")}}
    chat |= {"model": request.model, "messages": messages, "max_tokens": request.max_output_tokens}
    return request, json.dumps(chat).encode()


def _message(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("type", "message") != "message":
        raise RequestInvalid(f"an input of type {item['type']!r} is not taken; there are messages alone")
    content = item.get("content")
    if isinstance(content, list):
        content = [_part(part) for part in content]
    return {"role": item.get("role", "user"), "content": content}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    match part.get("type"):
        case "input_text" | "output_text":
            return {"type": "text", "text": part.get("text", "")}
        case "input_image":
            return {"type": "image_url", "image_url": {"url": part.get("image_url")}}
        case "input_file":
            return {"type": "file", "file": {"file_data": part.get("file_data")}}
    return part


@dataclass
class ResponsesAnswer:
    """The answer in the form's words."""

    model: str
    number: str = field(default_factory=lambda: f"resp_{uuid.uuid4().hex}")
    item: str = field(default_factory=lambda: f"msg_{uuid.uuid4().hex}")
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, text: str | None, end: Ended | None) -> dict[str, Any]:
        """Return the response; without an end it is in progress."""
        status = "in_progress" if end is None else "incomplete" if end.finish_reason == "length" else "completed"
        cut = {"reason": "max_output_tokens"} if status == "incomplete" else None
        body: dict[str, Any] = {
            "id": self.number, "object": "response", "created_at": self.created, "status": status, "model": self.model,
            "error": None, "incomplete_details": cut, "instructions": None, "metadata": {},
            "parallel_tool_calls": False, "tool_choice": "none", "tools": [], "store": False, "temperature": None,
            "top_p": None,
            "output": [] if text is None else [self.message(text, status)],
            "usage": None if end is None else _usage(end.usage),
        }  # fmt: skip
        return body if end is None or end.extra is None else {**body, "lorgnette": end.extra}

    def message(self, text: str | None, status: str) -> dict[str, Any]:
        """Return the one message of the output."""
        content = [] if text is None else [self.part(text)]
        return {"id": self.item, "type": "message", "role": "assistant", "status": status, "content": content}

    def part(self, text: str) -> dict[str, Any]:
        """Return the one part of the message."""
        return {"type": "output_text", "text": text, "annotations": []}


class ResponsesReply(UntilLeft):
    """The response to one request."""

    def __init__(self, pieces: Pieces, model: str, *, stream: bool, responses: Responses) -> None:
        super().__init__()
        self._pieces, self._streams, self._responses = pieces, stream, responses
        self._form = ResponsesAnswer(model)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._pieces) as pieces:
            if self._streams:
                await self._stream(pieces, send)
                return
            text, end = "", None
            async for piece in pieces:
                if isinstance(piece, Ended):
                    end = piece
                else:
                    text += piece
        assert end is not None, "an answer ends, or raises"
        self._remember(end)
        await JSONResponse(self._form.whole(text, end))(scope, receive, send)

    async def _stream(self, pieces: Pieces, send: Send) -> None:
        first: str | Ended | None = await anext(pieces)  # so that a refusal has a status of its own
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        number, text, form = 0, "", self._form
        place = {"item_id": form.item, "output_index": 0, "content_index": 0}

        async def tell(kind: str, **values: Any) -> None:
            nonlocal number
            data = json.dumps({"type": kind, "sequence_number": number, **values})
            number += 1
            body = f"event: {kind}\ndata: {data}\n\n".encode()
            await send({"type": "http.response.body", "body": body, "more_body": True})

        await tell("response.created", response=form.whole(None, None))
        await tell("response.in_progress", response=form.whole(None, None))
        await tell("response.output_item.added", output_index=0, item=form.message(None, "in_progress"))
        await tell("response.content_part.added", **place, part=form.part(""))
        try:
            while first is not None:
                if isinstance(first, Ended):
                    self._remember(first)
                    whole = form.whole(text, first)
                    await tell("response.output_text.done", **place, text=text, logprobs=[])
                    await tell("response.content_part.done", **place, part=form.part(text))
                    await tell("response.output_item.done", output_index=0, item=whole["output"][0])
                    await tell(f"response.{whole['status']}", response=whole)
                elif first:
                    text += first
                    await tell("response.output_text.delta", **place, delta=first, logprobs=[])
                first = await anext(pieces, None)
        except LorgnetteError as error:
            await tell("error", **error_of(str(error), error.code))
        except Exception:  # the process edge: the status has been sent, so that the client gets a sentence here
            logger.exception("unexpected failure of the endpoint")
            text = "The answer broke off; the server's log on stderr says why."
            await tell("error", **error_of(text, "unexpected"))
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _remember(self, end: Ended) -> None:
        if end.session_id is not None:
            self._responses.remember(self._form.number, end.session_id)


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "input_tokens": usage["input_tokens"],
        "input_tokens_details": {"cached_tokens": usage.get("input_token_details", {}).get("cache_read", 0)},
        "output_tokens": usage["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }
