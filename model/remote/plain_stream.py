"""The client's completions with their pieces as they were sent, and its refusals without advice for another API.

LangChain dumps each piece through the client's classes, which warn on stderr of every field that a server fills
otherwise, and answers a refused `response_format` with a warning that names options which do not exist here.
"""

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any

import openai


class PlainCompletions:
    """Stands for the client's completions."""

    def __init__(self, completions: Any) -> None:
        self._completions = completions

    async def create(self, **options: Any) -> "PlainStream":
        """Send the request; raises as the client does, a refusal as the plain APIStatusError."""
        try:
            return PlainStream(await self._completions.create(**options))
        except openai.BadRequestError as error:
            raise openai.APIStatusError(error.message, response=error.response, body=error.body) from error


class PlainStream:
    """Stands for the client's stream; its pieces are dictionaries."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aenter__(self) -> "PlainStream":
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stream.__aexit__(kind, error, trace)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        async for piece in self._stream:
            yield piece.model_dump(warnings=False)
