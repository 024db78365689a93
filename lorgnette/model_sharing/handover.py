"""Hands a whole question over to a running server that would answer it exactly as this process, and reads what it says.

Nothing of the agent is imported for it, so that an answer is there before a model could be loaded. What the user names
is opened and checked here, by this process's roots; the server gets the bytes.
"""

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, replace
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from common.errors import LorgnetteError
from graph.answer import Answer, Event
from graph.question import Question
from lorgnette.model_sharing.attach import wait_until_loaded
from lorgnette.model_sharing.registry import RunningServer, find_server
from lorgnette.server_settings import ServerSettings
from lorgnette.settings import Settings
from model.pictures.limits import DEFAULT_LIMITS
from model.pictures.source import split_source

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.pictures.picture import Picture

ASK_PATH = "/lorgnette/ask"
OTHER_SETTINGS = 409
"""The status with which a server refuses a question that it would answer otherwise than the one who asks."""
LINE = "application/x-ndjson"
LOOK_S = 0.1
SILENCE_S = 3600.0
"""Longest wait for the next line: a long prompt is read in silence, and the end of the server ends the connection."""


class HandedOverRefused(LorgnetteError):
    """The server says why it does not answer; its text is the agent's own."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


class HandedOverLost(LorgnetteError):
    """The server ended while it answered."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        super().__init__(f"The Lorgnette of process {pid}, which answered, has ended; ask again.")


def settings_digest(settings: Settings) -> str:
    """Return a digest of everything that decides how a question is answered, but where its pictures may lie."""
    others = {*ServerSettings.model_fields, "roots", "api_key"}
    return hashlib.sha256(settings.model_dump_json(exclude=others).encode()).hexdigest()


def hand_over(
    settings: Settings,
    question: Question,
    *,
    on_event: "Callable[[Event], None] | None" = None,
    progress: "Callable[[str, float], None] | None" = None,
    cancel: threading.Event | None = None,
) -> Answer | None:
    """Return a running server's answer; None where no server answers with the same settings.

    Args:
        settings: Of this process.
        question: Its pictures are read here, relative paths from the roots.
        on_event: Hears of each node while it works, on this thread.
        progress: Hears of the loading, where the server still loads its model.
        cancel: Set it from another thread; the server then stops within a token.

    Raises:
        ImageError: A picture was refused here.
        HandedOverRefused: The agent there refused the question, in the words it has for it.
        HandedOverLost: The server ended meanwhile.
    """
    server = find_server(settings) if settings.attach == "auto" else None
    if server is None:
        return None
    from model.pictures.open import open_picture

    sources: list[str] = []
    for named in question.images:
        source = _as_bytes(open_picture(named, settings.roots), named)
        if source is None or len(source) > DEFAULT_LIMITS.url_chars:
            return None  # one that is being written, or too large to travel; it can be read here
        sources.append(source)
    if wait_until_loaded(server, progress or (lambda phase, share: None)) is None:
        return None
    body = {"settings": settings_digest(settings), "question": asdict(replace(question, images=tuple(sources)))}
    parts = urlsplit(server.address)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=SILENCE_S)
    with closing(connection):
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
        try:
            connection.request("POST", parts.path + ASK_PATH, json.dumps(body), headers)
            reply = connection.getresponse()
        except (OSError, HTTPException):  # it has just ended, and has answered nothing
            return None
        if reply.status in (404, OTHER_SETTINGS):
            return None
        with _ended_by(cancel, connection):
            return _read(reply, server, on_event)


def _as_bytes(picture: "Picture", source: str) -> str | None:
    """Return the picture's bytes as an address, whose true format is found by whoever opens them.

    None if the file is no longer the one that was opened and allowed.
    """
    if picture.path is None:
        return source
    try:
        if picture.path.stat().st_size > DEFAULT_LIMITS.url_chars:
            return None
        data = picture.path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(data).hexdigest() != picture.sha256:
        return None
    part = str(split_source(source)[1])
    named = f"#{part}" if part and not picture.path.name.endswith(part) else ""
    return f"data:application/octet-stream;base64,{base64.b64encode(data).decode('ascii')}{named}"


def _read(reply: HTTPResponse, server: RunningServer, on_event: "Callable[[Event], None] | None") -> Answer:
    for line in _lines(reply, server):
        if "event" in line and on_event is not None:
            on_event(Event.model_validate(line["event"]))
        elif "answer" in line:
            return Answer.model_validate(line["answer"])
        elif "error" in line:
            raise HandedOverRefused(str(line["error"]["message"]))
    raise HandedOverLost(server.pid)


def _lines(reply: HTTPResponse, server: RunningServer) -> Iterator[dict[str, Any]]:
    """Yield what the server says, an object a line."""
    try:
        for line in reply:
            yield json.loads(line)
    except (OSError, HTTPException, ValueError) as error:  # ValueError: half a line
        raise HandedOverLost(server.pid) from error


@contextmanager
def _ended_by(cancel: threading.Event | None, connection: HTTPConnection) -> Iterator[None]:
    """Cut the connection when the event is set, which ends the wait for a line and frees the model there."""
    done = threading.Event()

    def watch(wanted: threading.Event) -> None:
        while not done.is_set():
            if wanted.wait(LOOK_S):
                with suppress(OSError, AttributeError):  # it is closed already
                    connection.sock.shutdown(socket.SHUT_RDWR)
                return

    if cancel is not None:
        threading.Thread(target=watch, args=(cancel,), name="handover", daemon=True).start()
    try:
        yield
    finally:
        done.set()
