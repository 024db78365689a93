"""An OpenAI-compatible server on the loopback whose model answers by script, in one of the ways of `ways.py`.

It reads a request only far enough to know which step of the agent asks; all else is the way's business.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Step = Literal["plan", "grade", "query", "answer", "review", "choose", "save"]
_STEPS: tuple[tuple[Step, str], ...] = (
    # By the words of the prompts: a server that knows no response_format must know the step too.
    ("save", r'"save_conversation"'),
    ("choose", r'"best"|number of the best draft|最好的草稿'),
    ("review", r'"verdict"|else RETRY|RETRY。'),
    ("grade", r'"relevant"|Which of it helps'),
    ("query", r'"query"|better search query'),
    ("plan", r'"task"|Plan the answer'),
)
PICTURE_TOKENS = 256
CHARS_PER_TOKEN = 4


@dataclass
class Asked:
    """One request, as far as a way wants to know."""

    step: Step
    nth: int
    """How many requests of this step came before, and this one."""
    body: dict[str, Any]

    @property
    def max_tokens(self) -> int:
        """Most tokens of the reply."""
        return int(self.body.get("max_tokens") or 10**6)

    @property
    def is_told_not_to_think(self) -> bool:
        """Whether the request switches thinking off."""
        return (self.body.get("chat_template_kwargs") or {}).get("enable_thinking") is False

    @property
    def text(self) -> str:
        """Everything that the model reads."""
        return json.dumps(self.body["messages"], ensure_ascii=False)

    @property
    def tokens(self) -> int:
        """About how many tokens that is."""
        parts = [part for message in self.body["messages"] for part in _parts(message["content"])]
        pictures = sum(part["type"] == "image_url" for part in parts)
        chars = sum(len(part["text"]) for part in parts if part["type"] == "text")
        return pictures * PICTURE_TOKENS + chars // CHARS_PER_TOKEN


@dataclass
class Refuse:
    """Answer with an HTTP error."""

    status: int
    text: str
    headers: dict[str, str] = field(default_factory=lambda: {"x-should-retry": "false"})


@dataclass
class Stream:
    """Stream a reply."""

    deltas: Sequence[dict[str, Any]]
    """One for each piece."""
    finish: str | None = "stop"
    usage: dict[str, Any] | None = field(default_factory=lambda: {"prompt_tokens": 9, "completion_tokens": 4})
    before: str = ""
    """Raw text in front of the pieces."""
    done: bool = True
    """Whether `[DONE]` is sent."""
    line_end: str = "\n"
    comments: bool = False
    """Whether a comment stands between the pieces."""
    after: str = ""
    """Raw text behind the pieces."""
    cut: bool = False
    """Whether the connection breaks before the end."""


Reply = Refuse | Stream | None
"""None: be silent until the client leaves."""
Model = Callable[[Asked], Reply]


def said(text: str, size: int = 12) -> list[dict[str, Any]]:
    """Return a text as pieces."""
    return [{"content": text[at : at + size]} for at in range(0, max(len(text), 1), size)]


class Server(ThreadingHTTPServer):
    """Keeps what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, model: Model) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.model = model
        self.asked: list[Asked] = []
        self.counts: Counter[str] = Counter()
        self.closing = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is part of the ways."""


@contextmanager
def serving(model: Model) -> Iterator[Server]:
    """Run the server while the body runs."""
    with Server(model) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.closing.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        step = step_of(body)
        self.server.counts[step] += 1
        asked = Asked(step, self.server.counts[step], body)
        self.server.asked.append(asked)
        reply = self.server.model(asked)
        self.close_connection = True
        if reply is None:
            self.server.closing.wait(30)
        elif isinstance(reply, Refuse):
            self._refuse(reply)
        else:
            self._stream(reply)

    def _refuse(self, reply: Refuse) -> None:
        data = json.dumps({"error": {"message": reply.text, "type": "invalid_request_error"}}).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, reply: Stream) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._send(reply.before)
        for delta in reply.deltas:
            self._event(reply, choices=[{"index": 0, "delta": delta, "finish_reason": None}])
            if reply.comments:
                self._send(": PROCESSING" + reply.line_end * 2)
        if reply.cut:
            return
        self._event(reply, choices=[{"index": 0, "delta": {}, "finish_reason": reply.finish}])
        if reply.usage is not None:
            self._event(reply, choices=[], usage=reply.usage)
        self._send(reply.after)
        if reply.done:
            self._send("data: [DONE]" + reply.line_end * 2)
        self.wfile.write(b"0\r\n\r\n")

    def _event(self, reply: Stream, **event: Any) -> None:
        event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", **event}
        self._send(f"data: {json.dumps(event)}{reply.line_end * 2}")

    def _send(self, text: str) -> None:
        data = text.encode()
        if data:
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the results are in `asked`."""


def step_of(body: dict[str, Any]) -> Step:
    """Return which step asks: by the last message, or by the one before where it is asked once more."""
    users = ["".join(p.get("text", "") for p in _parts(m["content"])) for m in body["messages"] if m["role"] == "user"]
    for text in reversed(users[-2:] if "could not be read" in users[-1] or "无法读取" in users[-1] else users[-1:]):
        for step, words in _STEPS:
            if re.search(words, text):
                return step
    return "answer"


def _parts(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
