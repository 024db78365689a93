"""Answers over HTTP that are given up when their client leaves, and errors in the protocol's form."""

import logging
from typing import Any

import anyio
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from common.errors import LorgnetteError
from mcp_server.openai_api.errors import BodyTooLarge, LoadingFailed, ModelUnknown, NoModelHere, RouteUnknown
from mcp_server.state.agent_loader import StillLoading
from model.call_options import Cancelled, DeadlineExceeded
from model.worker import ModelBusy, WorkerClosed

logger = logging.getLogger(__name__)

RETRY_S = 10
"""After which clients ask again; OpenAI's own do so twice, and a model is loaded meanwhile."""
TYPE = "lorgnette"  # of an error that is written here


class UntilLeft(Response):
    """An answer that is given up when its client leaves, which frees the model within one token."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and stop where nobody reads on."""
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                await self._answer(scope, receive, send)
            except LorgnetteError as error:
                await refusal(error)(scope, receive, send)
            except Exception as error:  # the process edge: the client needs a sentence, the log the traceback
                logger.exception("unexpected failure of the endpoint")
                text = f"An unexpected {type(error).__name__} ended the answer; the server's log on stderr has it."
                await JSONResponse({"error": error_of(text, "unexpected")}, 500)(scope, receive, send)
            group.cancel_scope.cancel()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise NotImplementedError


STATUS: tuple[tuple[type[LorgnetteError], int], ...] = (
    (ModelBusy, 429), (StillLoading, 503), (LoadingFailed, 503), (WorkerClosed, 503), (Cancelled, 503),
    (BodyTooLarge, 413), (ModelUnknown, 404), (RouteUnknown, 404), (NoModelHere, 404), (DeadlineExceeded, 408),
)  # fmt: skip


def refusal(error: LorgnetteError) -> Response:
    """Return the reply to a request that an error ended."""
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 400)
    headers = {"Retry-After": str(RETRY_S)} if status in (429, 503) else None
    return JSONResponse({"error": error_of(str(error), error.code)}, status, headers)


def error_of(text: str, code: str) -> dict[str, Any]:
    """Return an error as OpenAI's clients read it."""
    return {"message": text, "type": TYPE, "param": None, "code": code}
