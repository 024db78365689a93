"""The bundled checkpoint, loaded once, a picture with one red square, and a server that answers by script."""

import json
import threading
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image, ImageDraw

from model.open import open_chat
from model.pictures.open import open_picture
from model.pictures.picture import Picture
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import Loaded, load
from model.settings import ModelSettings


@pytest.fixture(scope="session")
def loaded() -> Loaded:
    return load(ModelSettings(model="tiny"))


@pytest.fixture(scope="session")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Picture:
    folder = tmp_path_factory.mktemp("pictures")
    return open_picture(str(draw(folder / "square.png")), (folder,))


@pytest.fixture
def chat(loaded: Loaded) -> Iterator[ChatQwen3VL]:
    model = ChatQwen3VL(loaded=loaded, max_new_tokens=12)
    yield model
    model.close()


def draw(path: Path) -> Path:
    image = Image.new("RGB", (120, 100), "white")
    ImageDraw.Draw(image).rectangle((20, 30, 60, 70), fill="red")
    image.save(path)
    return path


class FakeServer(ThreadingHTTPServer):
    """Speaks the OpenAI protocol; what it says next is told by `will_write` and `will_send`."""

    daemon_threads = True
    block_on_close = False
    wait_s = 30

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[SimpleNamespace] = []
        self.scripts: deque[Any] = deque()
        self.left = threading.Event()
        """The client closed the connection on a silent answer."""
        self.address = f"http://127.0.0.1:{self.server_port}/v1"

    def will_write(self, *steps: Any, end: str = "stop") -> None:
        """Stream an answer.

        A step is a piece of text, an event to wait for, a function to call, or None: be silent until the client goes.
        The end is a finish_reason, `cut` (the connection) or `unfinished` (a complete reply without its end).
        """
        self.scripts.append(lambda handler: handler.stream(steps, end))

    def will_send(self, body: str, status: int = 200, **headers: str) -> None:
        """Send the body as it is."""
        self.scripts.append(lambda handler: handler.reply(status, body.encode(), headers))

    def chat(self, **settings: Any) -> Any:
        return open_chat(ModelSettings(model=f"{self.address}#seer", **settings))[0]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FakeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.messages = len(body["messages"])
        self.server.requests.append(SimpleNamespace(path=self.path, key=self.headers["Authorization"], **body))
        if not self.server.scripts:
            self.server.will_write("A ", "red ", "square.")
        self.server.scripts.popleft()(self)

    def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, steps: tuple[Any, ...], end: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for step in steps:
            if step is None:
                self.rfile.read(1)
                self.server.left.set()
            elif isinstance(step, threading.Event):
                step.wait(self.server.wait_s)
            elif callable(step):
                step()
            else:
                self.send(choices=[{"index": 0, "delta": {"role": "assistant", "content": step}}])
        self.close_connection = True
        if end not in ("cut", "unfinished"):
            self.finish_answer(sum(isinstance(step, str) for step in steps), end)
        if end != "cut":
            self.chunk("")

    def finish_answer(self, pieces: int, finish_reason: str) -> None:
        """Usage that a reader can count: one token a message, one token a piece, one of them cached."""
        count = {"prompt_tokens": self.messages, "completion_tokens": pieces, "total_tokens": self.messages + pieces}
        self.send(choices=[{"index": 0, "delta": {}, "finish_reason": finish_reason}])
        self.send(choices=[], usage={**count, "prompt_tokens_details": {"cached_tokens": 1}})
        self.chunk("data: [DONE]\n\n")

    def send(self, **event: Any) -> None:
        event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "seer", **event}
        self.chunk(f"data: {json.dumps(event)}\n\n")

    def chunk(self, text: str) -> None:
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests read `requests`."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeServer() as fake:
        thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        fake.shutdown()
        thread.join()
