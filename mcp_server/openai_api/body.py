"""The body of a request, read up to a limit."""

from starlette.requests import ClientDisconnect, Request

from mcp_server.openai_api.errors import MIB, BodyTooLarge
from mcp_server.openai_api.protocol import RequestInvalid

ATTACHED_BODY_BYTES = 1024 * MIB
"""Of another Lorgnette of this user, whose pictures travel without loss."""


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: It has more than `limit` bytes.
        RequestInvalid: The client left before its end.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limit:
                raise BodyTooLarge(limit)
    except ClientDisconnect as error:
        raise RequestInvalid("its end never came") from error  # nobody reads it; the log need not, either
    return bytes(body)
