"""The server's own model for OpenAI clients, at /v1, and for other processes of Lorgnette on this machine.

The chat model answers and keeps the queue; `protocol` knows the protocol's forms, `guard` who may ask.
"""

import json
import logging
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server import MCPServer
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from common.errors import LorgnetteError
from lorgnette.model_sharing.handover import ASK_PATH
from lorgnette.model_sharing.registry import MODEL_PATH, NONCE_CHARS, PROOF_PATH, proof
from lorgnette.settings import Settings
from mcp_server.openai_api.agent_model import NAME, AgentAnswer, Conversations, pieces_of_agent, question_of
from mcp_server.openai_api.body import ATTACHED_BODY_BYTES, read_body
from mcp_server.openai_api.errors import MIB, LoadingFailed, ModelUnknown, NoModelHere, RouteUnknown
from mcp_server.openai_api.handed_over import HandedOverEndpoint
from mcp_server.openai_api.protocol import (
    Asked,
    ChatRequest,
    ChoiceRequest,
    OptionMissing,
    Reply,
    RequestInvalid,
    parse,
)
from mcp_server.openai_api.responses import Ended, Responses, ResponsesReply, read_request
from mcp_server.openai_api.until_left import TYPE, UntilLeft, error_of, refusal
from mcp_server.progress import in_thread
from mcp_server.state.agent_loader import AgentLoader
from mcp_server.transport.guard import ATTACHED, ENDPOINT
from model.call_options import PROBABILITY_KEY
from model.pictures.limits import ImageLimits
from model.served import ServedModel, served
from model.worker import asking

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from model.open import ModelIdentity

logger = logging.getLogger(__name__)

LIMITS = ImageLimits(url_chars=64 * MIB)
BODY_BYTES = 64 * MIB
ATTACHED_LIMITS = ImageLimits(bytes=512 * MIB, url_chars=700 * MIB)  # lossless pictures of up to 70 megapixels
LOADING_S = 5.0
"""So long a request waits for a model that is being loaded."""
SETTLE_S = 1.0  # for a change of the adapter; who asks waits for twice as long at most


def add_endpoint(server: MCPServer[Any], settings: Settings, loader: AgentLoader, key: str) -> None:
    """Register the routes.

    Args:
        server: Gets them beside its own; none of them is protected by it.
        settings: Which model.
        loader: Opens it.
        key: That this process proves to know.
    """
    endpoint = _Endpoint(settings, loader, key)
    for path, method, handler in (
        ("/models", "GET", endpoint.models),
        ("/models/{name:path}", "GET", endpoint.one_model),
        ("/chat/completions", "POST", endpoint.complete),
        ("/responses", "POST", endpoint.respond),
        (PROOF_PATH, "GET", endpoint.prove),
        (MODEL_PATH, "GET", endpoint.model),
        ("/lorgnette/choice_probabilities", "POST", endpoint.choice_probabilities),
        (ASK_PATH, "POST", HandedOverEndpoint(settings, loader).ask),
    ):
        server.custom_route(ENDPOINT + path, methods=[method], include_in_schema=False)(handler)
    everything = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    server.custom_route(ENDPOINT + "/{path:path}", methods=everything, include_in_schema=False)(no_such_route)


class _Endpoint:
    def __init__(self, settings: Settings, loader: AgentLoader, key: str) -> None:
        self._settings, self._loader, self._key = settings, loader, key
        self._conversations, self._responses = Conversations(), Responses()
        folder = Path(settings.model).expanduser()
        self._id = folder.name if len(folder.parts) > 1 and folder.is_dir() else settings.model

    async def models(self, _: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self._entry(self._id), self._entry(NAME)]})

    async def one_model(self, request: Request) -> Response:
        """Return the model, or the agent; under any other name there is none."""
        name = request.path_params["name"]
        if name not in (self._id, self._settings.model, NAME):
            return refusal(ModelUnknown(name, self._id))
        return JSONResponse(self._entry(NAME if name == NAME else self._id))

    def _entry(self, name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 0, "owned_by": TYPE}

    async def prove(self, request: Request) -> Response:
        return JSONResponse({"proof": proof(self._key, request.query_params.get("nonce", "")[:NONCE_CHARS])})

    async def model(self, _: Request) -> Response:
        state, phase, share = self._loader.state()
        found: dict[str, Any] = {"state": state, "phase": phase, "share": share}
        agent = self._loader.opened()
        if agent is not None:
            with anyio.move_on_after(SETTLE_S):
                await in_thread(lambda _: agent.settle())
            found["refused"] = agent.adapter_refused
        if agent is not None and (who := agent.identity) is not None:
            found |= {
                "name": who.name, "adapter": who.adapter, "quantization": who.quantization,
                "node_adapters": list(who.node_adapters),
                "spread": who.spread,
            }  # fmt: skip
        elif agent is not None:
            found["state"] = "none"
        return JSONResponse(found)

    async def complete(self, request: Request) -> Response:
        try:
            body = await self._body(request)
            if (of_agent := _for_agent(body)) is not None:
                question, notes = question_of(of_agent, self._conversations)
                return AgentAnswer(self._loader, of_agent, self._conversations, question, notes)
            asked, messages = await self._read(ChatRequest, request, body)
            chat, identity = await self._model()
            options = asked.options()
            if options["node_adapter"] is not None and options["node_adapter"] not in identity.node_adapters:
                raise RequestInvalid(f"there is no node adapter {options['node_adapter']!r}")
        except LorgnetteError as error:
            return refusal(error)
        return _Answer(chat, messages, options, asked, Reply(self._id))

    async def respond(self, request: Request) -> Response:
        """Answer in the newer form."""
        try:
            asked, chat_body = read_request(await self._body(request))
            if asked.model == NAME:
                question, notes = question_of(ChatRequest.model_validate_json(chat_body), self._conversations)
                if session := self._responses.session(asked.previous_response_id):
                    question = replace(question, session_id=session)
                pieces = pieces_of_agent(self._loader, question, notes)
                return ResponsesReply(pieces, NAME, stream=asked.stream, responses=self._responses)
            if asked.previous_response_id is not None:
                raise OptionMissing("previous_response_id", asked.previous_response_id)
            chat, messages = await self._read(ChatRequest, request, chat_body)
            model, _ = await self._model()
            answer = _Answer(model, messages, chat.options(), chat, Reply(self._id))
            return ResponsesReply(answer.pieces(), self._id, stream=asked.stream, responses=self._responses)
        except LorgnetteError as error:
            return refusal(error)

    async def choice_probabilities(self, request: Request) -> Response:
        try:
            asked, messages = await self._read(ChoiceRequest, request, await self._body(request))
            chat = served((await self._model())[0])
            if not chat.gives_probabilities:
                raise NoModelHere
            return _Choice(chat, messages, asked.words)
        except LorgnetteError as error:
            return refusal(error)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, ATTACHED_BODY_BYTES if request.scope.get(ATTACHED) else BODY_BYTES)

    async def _read(self, form: type[Any], request: Request, body: bytes) -> "tuple[Any, list[BaseMessage]]":
        limits = ATTACHED_LIMITS if request.scope.get(ATTACHED) else LIMITS
        asked: Asked
        asked, messages = await anyio.to_thread.run_sync(parse, form, body, limits)
        host = request.client.host if request.client else ""
        asking.set(f"{host} {asked.user or request.headers.get('user-agent')}"[:200])
        return asked, messages

    async def _model(self) -> "tuple[BaseChatModel, ModelIdentity]":
        """Return the model; one that is not there yet is waited for a little, and then clients ask again."""
        state, phase, _ = self._loader.state()
        if state == "failed":
            self._loader.start()  # for the next who asks
            raise LoadingFailed(phase)
        agent = self._loader.opened() or await self._loader.agent(LOADING_S)
        await anyio.to_thread.run_sync(agent.settle, abandon_on_cancel=True)
        if agent.chat is None or agent.identity is None:
            raise NoModelHere
        return agent.chat, agent.identity


def _for_agent(body: bytes) -> ChatRequest | None:
    """Return a request that names the agent; another one is read with its pictures."""
    if f'"{NAME}"'.encode() not in body:
        return None
    try:
        request = ChatRequest.model_validate_json(body)
    except ValueError:
        return None  # said by who reads it in full
    return request if request.model == NAME else None


async def no_such_route(request: Request) -> Response:
    """Refuse what is not served, in the form that clients of this protocol read."""
    return refusal(RouteUnknown(request.method, request.url.path))


class _Answer(UntilLeft):
    """A chat completion."""

    def __init__(
        self, chat: "BaseChatModel", messages: "list[BaseMessage]", options: dict[str, Any], asked: ChatRequest,
        reply: Reply,
    ) -> None:  # fmt: skip
        super().__init__()
        self._chat, self._messages, self._options, self._asked, self._reply = chat, messages, options, asked, reply
        self._usage: Mapping[str, Any] = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        self._finish_reason = "stop"
        self._probability: float | None = None
        self._left = threading.Event()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        from langsmith import tracing_context

        # A tracing key in the user's environment must not send pictures away (LangChain would).
        try:
            with tracing_context(enabled=False):
                async with aclosing(self._pieces()) as pieces:
                    if self._asked.stream:
                        await self._stream(pieces, send)
                        return
                    text = "".join([piece async for piece in pieces])
        finally:
            self._left.set()
        body = self._reply.whole(text, self._finish_reason, self._usage)
        await JSONResponse(body)(scope, receive, send)

    async def pieces(self) -> AsyncGenerator[str | Ended]:
        """Yield the words, and at last what they cost; closing it stops the model."""
        from langsmith import tracing_context

        try:
            with tracing_context(enabled=False):
                async with aclosing(self._pieces()) as pieces:
                    async for piece in pieces:
                        yield piece
        finally:
            self._left.set()
        yield Ended(self._finish_reason, self._usage)

    async def _pieces(self) -> AsyncGenerator[str]:
        options = {key: value for key, value in self._options.items() if value is not None}
        async for chunk in self._chat.astream(self._messages, cancel=self._left, **options):
            self._usage = getattr(chunk, "usage_metadata", None) or self._usage
            self._finish_reason = chunk.response_metadata.get("finish_reason") or self._finish_reason
            self._probability = chunk.response_metadata.get(PROBABILITY_KEY, self._probability)
            if chunk.text:
                yield chunk.text

    async def _stream(self, pieces: AsyncIterator[str], send: Send) -> None:
        # The first words are waited for, so that a refusal still has a status of its own.
        first = await anext(pieces, None)
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

        async def tell(event: dict[str, Any] | str) -> None:
            data = event if isinstance(event, str) else json.dumps(event)
            await send({"type": "http.response.body", "body": f"data: {data}\n\n".encode(), "more_body": True})

        try:
            if first is not None:
                await tell(self._reply.piece(first))
            async for piece in pieces:
                await tell(self._reply.piece(piece))
        except LorgnetteError as error:
            await tell({"error": error_of(str(error), error.code)})
        except Exception:  # the process edge: the status has been sent, so that the client gets a sentence here
            logger.exception("unexpected failure of the endpoint")
            await tell({"error": error_of("The answer broke off; the server's log on stderr says why.", "unexpected")})
        else:
            await tell(self._reply.end(self._finish_reason))
            if self._asked.stream_options and self._asked.stream_options.include_usage:
                await tell(self._reply.usage(self._usage, self._probability))
            await tell("[DONE]")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Choice(UntilLeft):
    """How likely words are."""

    def __init__(self, chat: ServedModel, messages: "list[BaseMessage]", words: list[str]) -> None:
        super().__init__()
        self._chat, self._messages, self._words = chat, messages, words

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = await in_thread(
            lambda cancel: self._chat.choice_probabilities(self._messages, self._words, cancel=cancel)
        )
        await JSONResponse({"probabilities": found})(scope, receive, send)
