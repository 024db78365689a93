"""The body of a request, read up to a limit."""

from starlette.requests import ClientDisconnect, Request

from mcp_server.openai_api.errors import MIB, BodyTooLarge
from mcp_server.openai_api.protocol import RequestInvalid

ATTACHED_BODY_BYTES = 1024 * MIB
"""Of another Lorgnette of this user, whose pictures travel without loss."""


DRAINED = 4
"""Of a body that is too large, so many times the limit is read and dropped: a client that is still sending when it is
refused sees a broken connection in place of the refusal."""


async def read_body(request: Request, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        BodyTooLarge: It has more than `limit` bytes.
        RequestInvalid: The client left before its end.
    """
    body, read = bytearray(), 0
    try:
        async for part in request.stream():
            read += len(part)
            if read <= limit:
                body += part
            elif read > DRAINED * limit:
                break
    except ClientDisconnect as error:
        raise RequestInvalid("its end never came") from error  # nobody reads it; the log need not, either
    if read > limit:
        raise BodyTooLarge(limit)
    return bytes(body)
