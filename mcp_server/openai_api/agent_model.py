"""The agent as a model of the OpenAI protocol, named `lorgnette`: with documents, citations, boxes and a check.

A client of that protocol sends the whole conversation each time; which session it is, is known by the digest of what
was said. `endpoint` knows the routes, `protocol` the forms.
"""

import asyncio
import hashlib
import json
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from common.errors import LorgnetteError
from graph.answer import Answer, Event
from graph.question import Question
from lorgnette.answer_text import fit
from lorgnette.people_text import for_people, in_language, standing
from mcp_server.openai_api.protocol import ChatRequest, Message, Reply, RequestInvalid
from mcp_server.openai_api.responses import Ended
from mcp_server.openai_api.until_left import UntilLeft, error_of
from mcp_server.progress import in_thread
from mcp_server.state.agent_loader import AgentLoader

logger = logging.getLogger(__name__)

NAME = "lorgnette"
LOADING_S = 600.0
"""So long a question waits for the model; a client that does not leaves."""
KEPT = 500
"""Conversations that are recognised; an older one is answered without what was said before."""
FORGOTTEN = "session: what was said before is not known here any more; only its pictures were looked at again"
NOT_TOLD = "system: the request's system text is not told to the agent; the setting system is"
AGAIN = "\n\nAfter a second look: "


class Conversations:
    """Which session goes on, by what was said in it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()

    def find(self, said: Sequence[Message]) -> str | None:
        """Return the session in which exactly this was said."""
        return self._known.get(_digest(said)) if said else None

    def remember(self, said: Sequence[Message], session_id: str) -> None:
        """Note what has been said in a session, its last answer included."""
        self._known[_digest(said)] = session_id
        while len(self._known) > KEPT:
            self._known.popitem(last=False)


def question_of(request: ChatRequest, conversations: Conversations) -> tuple[Question, list[str]]:
    """Return what the agent is asked, and what it is not told.

    Raises:
        RequestInvalid: The last message is not the user's, or holds nothing that can be asked.
        OptionMissing: An option is not to be had.
    """
    request.options()  # refuses what is not to be had
    talk = [message for message in request.messages if message.role in ("user", "assistant")]
    if not talk or talk[-1].role != "user":
        raise RequestInvalid("the last message is not the user's")
    *said, last = talk
    text, images = parts_of(last)
    if not text:
        raise RequestInvalid("the last message has no text")
    session = conversations.find(said)
    notes = [NOT_TOLD] if any(message.role in ("system", "developer") for message in request.messages) else []
    if said and session is None:
        notes.append(FORGOTTEN)
        images = images or tuple(image for message in said for image in parts_of(message)[1])[-8:]
    limit = request.max_completion_tokens or request.max_tokens
    return Question(text, images, session, max_new_tokens=limit), notes


def parts_of(message: Message) -> tuple[str, tuple[str, ...]]:
    """Return a message's text, and the addresses of what is to be looked at.

    Raises:
        RequestInvalid: A part is of another kind, or no data: URL.
    """
    if not isinstance(message.content, list):
        return (message.content or "").strip(), ()
    texts, images = [], []
    for part in message.content:
        kind = part.get("type")
        if kind in ("text", "input_text", "output_text"):
            texts.append(str(part.get("text", "")))
            continue
        given: Any = part.get(kind) if kind in ("image_url", "video_url", "file") else None
        address = given.get("file_data" if kind == "file" else "url") if isinstance(given, dict) else given
        if not isinstance(address, str) or not address.startswith("data:"):
            raise RequestInvalid(f"a part of type {kind!r} is not taken; send pictures as data: URLs in base64")
        images.append(address)
    return "\n".join(texts).strip(), tuple(images)


def evidence_text(answer: Answer, question: str) -> str:
    """Return what stands under the answer's words: sources, boxes, the check, notes; empty where there is nothing."""
    lines = [*for_people(answer, question), *in_language(standing(answer), question)]
    return "\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def extra_of(answer: Answer) -> dict[str, Any]:
    """Return the field `lorgnette` of the choice: everything that the answer rests on, as data."""
    return answer.model_dump(mode="json", exclude={"answer"})


def usage_of(answer: Answer) -> dict[str, Any]:
    """Return what it cost in the chat model's words."""
    read, new = answer.usage.prefill_tokens + answer.usage.cached_tokens, answer.usage.new_tokens
    details = {"cache_read": answer.usage.cached_tokens}
    return {"input_tokens": read, "output_tokens": new, "total_tokens": read + new, "input_token_details": details}


class AgentAnswer(UntilLeft):
    """A chat completion by the agent."""

    def __init__(
        self, loader: AgentLoader, request: ChatRequest, conversations: Conversations, question: Question,
        notes: Sequence[str],
    ) -> None:  # fmt: skip
        super().__init__()
        self._loader, self._request, self._conversations = loader, request, conversations
        self._question, self._notes, self._reply = question, notes, Reply(NAME)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(said_by_agent(self._loader, self._question, self._notes)) as pieces:  # type: ignore[type-var]
            if self._request.stream:
                await self._stream(pieces, send)
                return
            text, answer = "", None
            async for piece in pieces:
                if isinstance(piece, Answer):
                    answer = piece
        assert answer is not None, "the agent answers or raises"
        text = answer.answer + evidence_text(answer, self._question.text)
        self._remember(text, answer)
        body = self._reply.whole(text, _reason(answer), usage_of(answer))
        body["choices"][0]["lorgnette"] = extra_of(answer)
        await JSONResponse(body)(scope, receive, send)

    async def _stream(self, pieces: AsyncIterator[str | Answer], send: Send) -> None:
        first = await anext(pieces)  # so that a refusal has a status of its own
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        text = ""

        async def tell(event: dict[str, Any] | str) -> None:
            data = event if isinstance(event, str) else json.dumps(event)
            await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})

        async def show(piece: str | Answer) -> None:
            nonlocal text
            new = piece if isinstance(piece, str) else _rest(piece, text, self._question.text)
            text += new
            if new:
                await tell(self._reply.piece(new))
            if isinstance(piece, Answer):
                self._remember(text, piece)
                end = self._reply.end(_reason(piece))
                end["choices"][0]["lorgnette"] = extra_of(piece)
                await tell(end)
                if self._request.stream_options and self._request.stream_options.include_usage:
                    await tell(self._reply.usage(usage_of(piece)))

        try:
            await show(first)
            async for piece in pieces:
                await show(piece)
            await tell("[DONE]")
        except LorgnetteError as error:
            await tell({"error": error_of(str(error), error.code)})
        except Exception:  # the process edge: the status has been sent, so that the client gets a sentence here
            logger.exception("unexpected failure of the endpoint")
            await tell({"error": error_of("The answer broke off; the server's log on stderr says why.", "unexpected")})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _remember(self, text: str, answer: Answer) -> None:
        said = [message for message in self._request.messages if message.role in ("user", "assistant")]
        self._conversations.remember([*said, Message(role="assistant", content=text)], answer.session_id)


async def said_by_agent(
    loader: AgentLoader, question: Question, notes: Sequence[str] = ()
) -> AsyncIterator[str | Answer]:
    """Yield the words of the first draft as they come, and then the answer; closing it stops the work.

    Raises:
        LorgnetteError: The question, a picture or the model.
    """
    agent = await loader.agent(LOADING_S)
    words: asyncio.Queue[str | None] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    drafts = 0

    def hear(event: Event) -> None:
        nonlocal drafts
        drafts += event.kind == "withdrawn" or (event.kind == "start" and event.node == "responder")
        if event.kind == "text" and drafts == 1:  # what has been sent cannot be taken back: a second draft waits
            loop.call_soon_threadsafe(words.put_nowait, event.text)

    answering = asyncio.ensure_future(in_thread(lambda cancel: agent.answer(question, on_event=hear, cancel=cancel)))
    answering.add_done_callback(lambda _: words.put_nowait(None))
    try:
        while (one := await words.get()) is not None:
            yield one
        answer = answering.result()
        yield fit(answer.model_copy(update={"degraded": [*answer.degraded, *notes]}))
    finally:
        answering.cancel()


async def pieces_of_agent(loader: AgentLoader, question: Question, notes: Sequence[str]) -> AsyncGenerator[str | Ended]:
    """Yield all that is said, evidence included, and at last what it cost and rests on; as `said_by_agent`."""
    sent = ""
    async with aclosing(said_by_agent(loader, question, notes)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if isinstance(piece, str):
                sent += piece
                yield piece
            else:
                yield _rest(piece, sent, question.text)
                yield Ended(_reason(piece), usage_of(piece), extra_of(piece), piece.session_id)


def _rest(answer: Answer, sent: str, question: str) -> str:
    """Return what is still to be sent: the end of the answer, or all of it where another draft was chosen."""
    if answer.answer.startswith(sent):
        words = answer.answer[len(sent) :]
    else:
        words = "" if answer.answer.strip() == sent.strip() else AGAIN + answer.answer
    return words + evidence_text(answer, question)


def _reason(answer: Answer) -> str:
    return "length" if answer.truncated else "stop"


def _digest(said: Sequence[Message]) -> str:
    parts = [(message.role, *parts_of(message)) for message in said]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
