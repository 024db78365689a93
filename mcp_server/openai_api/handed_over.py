"""Questions that another Lorgnette of this user hands over whole: the agent answers, line by line.

Only who bears this run's key is heard, and only where both have the same settings; the other end is
`lorgnette/model_sharing/handover.py`.
"""

import asyncio
import json
import logging
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from common.errors import LorgnetteError
from graph.answer import Event
from graph.question import Question
from graph.served_agent import ServedAgent
from lorgnette.model_sharing.handover import LINE, OTHER_SETTINGS, settings_digest
from lorgnette.settings import Settings
from mcp_server.openai_api.body import ATTACHED_BODY_BYTES, read_body
from mcp_server.openai_api.until_left import UntilLeft, error_of, refusal
from mcp_server.progress import in_thread
from mcp_server.state.agent_loader import AgentLoader
from mcp_server.transport.guard import ATTACHED

logger = logging.getLogger(__name__)


class HandedOver(BaseModel):
    """What is sent."""

    model_config = ConfigDict(extra="forbid")

    settings: str
    """`settings_digest` of who asks."""
    question: Question


class HandedOverEndpoint:
    """The route's handler."""

    def __init__(self, settings: Settings, loader: AgentLoader) -> None:
        self._loader, self._digest = loader, settings_digest(settings)

    async def ask(self, request: Request) -> Response:
        """Answer, or say that this server would answer otherwise."""
        if not request.scope.get(ATTACHED):
            return JSONResponse({"error": error_of("There is nothing here.", "not_found")}, 404)
        try:
            asked = HandedOver.model_validate_json(await read_body(request, ATTACHED_BODY_BYTES))
        except LorgnetteError as error:
            return refusal(error)
        except ValidationError:
            return JSONResponse({"error": error_of("The question cannot be read.", "invalid")}, 400)
        if asked.settings != self._digest:
            return JSONResponse({"error": error_of("The settings differ.", "settings")}, OTHER_SETTINGS)
        return _Told(self._loader, asked.question)


class _Told(UntilLeft):
    """What the agent does, an object a line, and at last its answer."""

    def __init__(self, loader: AgentLoader, question: Question) -> None:
        super().__init__()
        self._loader, self._question = loader, question

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        agent = await self._loader.agent(self._question.time_budget_s or 3600.0)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", LINE.encode())]})
        lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        async with anyio.create_task_group() as group:
            group.start_soon(self._work, agent, lines)
            while (line := await lines.get()) is not None:
                body = json.dumps(line, ensure_ascii=False).encode() + b"\n"
                await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _work(self, agent: ServedAgent, lines: "asyncio.Queue[dict[str, Any] | None]") -> None:
        loop = asyncio.get_running_loop()

        def tell(event: Event) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, {"event": event.model_dump(mode="json")})

        try:
            answer = await in_thread(lambda cancel: agent.answer(self._question, on_event=tell, cancel=cancel))
            await lines.put({"answer": answer.model_dump(mode="json")})
        except LorgnetteError as error:
            await lines.put({"error": error_of(str(error), error.code)})
        except Exception:  # the process edge: the status has been sent, so that who asks gets a sentence here
            logger.exception("unexpected failure of a question that was handed over")
            await lines.put({"error": error_of("The answer broke off; the server's log says why.", "unexpected")})
        await lines.put(None)
