"""uvicorn's HTTP with a time-out for the first request of a connection, which uvicorn has only for later ones.

A client that opens connections and sends nothing, or a header a minute, would else hold all that there are.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEADERS_S = 20.0
"""Within which the headers of the first request have come."""


class PromptProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type]  # which of two it is, uvicorn finds at import
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._impatience = self.loop.call_later(HEADERS_S, self._end_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._impatience.cancel()
        super().connection_lost(exc)

    def _end_if_silent(self) -> None:
        asked: Any = getattr(self, "cycle", None)
        if asked is None and self.transport is not None:
            self.transport.close()
