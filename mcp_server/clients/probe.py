"""Starts a server as a client would, shakes hands with it, asks one light thing and stops it.

It speaks the protocol by hand, so that it can tell what a client only logs: what was not JSON, what stood on stderr.
It loads no model and judges no answer.
"""

import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from common.errors import LorgnetteError
from mcp_server.uris import STATUS

LIMIT_S = 30.0  # what Claude Desktop and Codex give a server to start
END_S = 5.0
STDERR_LINES = 5
PROTOCOL = "2025-11-25"


class TrialError(LorgnetteError):
    """The server does not work as it is entered in the client."""


class CommandMissing(TrialError):
    """The entry's command cannot be started."""

    def __init__(self, command: str, reason: str) -> None:
        self.command, self.reason = command, reason
        super().__init__(f"the command {command!r} cannot be started ({reason}); install the entry again.")


class EndedEarly(TrialError):
    """The server ended instead of answering."""

    def __init__(self, method: str, code: int | None, stderr: str) -> None:
        self.method, self.exit_code, self.stderr = method, code, stderr
        said = f": {stderr}" if stderr else ", and said nothing on stderr"
        super().__init__(f"the server ended with code {code} before it answered {method}{said}")


class TooSlow(TrialError):
    """The server did not answer in time."""

    def __init__(self, method: str, limit_s: float, stderr: str) -> None:
        self.method, self.limit_s, self.stderr = method, limit_s, stderr
        said = f": {stderr}" if stderr else ""
        super().__init__(f"the server did not answer {method} within {limit_s:g} s{said}")


class NotProtocol(TrialError):
    """The server wrote something else than the protocol, or answered with an error."""

    def __init__(self, method: str, answer: str) -> None:
        self.method, self.answer = method, answer
        super().__init__(f"{method} was answered with {answer[:200]!r}")


@dataclass(frozen=True)
class Trial:
    """What the server showed of itself."""

    tools: tuple[str, ...]
    seconds: float
    """From the start to the list of tools."""
    call: str
    """What was called, or why nothing was."""


def try_server(
    command: str,
    args: Sequence[str],
    env: Mapping[str, str],
    folder: Path,
    limit_s: float = LIMIT_S,
) -> Trial:
    """Start the server with exactly this, list its tools, read its status, and stop it.

    Raises:
        TrialError: It does not start, not in time, or not as a server.
    """
    # subprocess looks a bare name up in our own PATH; the client does in the one that it gives
    found = shutil.which(command, path=env.get("PATH"))
    begun = time.monotonic()
    with tempfile.TemporaryFile() as stderr:
        try:
            process = subprocess.Popen(
                [found or command, *args],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=dict(env),
                cwd=folder,
            )
        except OSError as error:
            raise CommandMissing(command, error.strerror or str(error)) from error
        watch = _Watch(process, limit_s)
        try:
            talk = _Talk(process, stderr, watch)
            client = {"name": "lorgnette doctor", "version": "0"}
            talk.request("initialize", protocolVersion=PROTOCOL, capabilities={}, clientInfo=client)
            talk.send({"method": "notifications/initialized"})
            tools = tuple(str(tool["name"]) for tool in talk.request("tools/list")["tools"])
            seconds = time.monotonic() - begun
            talk.request("resources/read", uri=STATUS)
            return Trial(tools, seconds, STATUS)
        except BaseException:
            process.kill()  # it did not do as a server does; no use in asking it to end
            raise
        finally:
            watch.stop()
            _end(process)


class _Watch:
    """Kills the process when its time is over, which ends every read from it."""

    def __init__(self, process: "subprocess.Popen[bytes]", limit_s: float) -> None:
        self.limit_s, self.is_over = limit_s, False
        self._process = process
        self._timer = threading.Timer(limit_s, self._kill)
        self._timer.daemon = True
        self._timer.start()

    def _kill(self) -> None:
        self.is_over = True
        self._process.kill()

    def stop(self) -> None:
        self._timer.cancel()


class _Talk:
    """One request after the other, a line each."""

    def __init__(self, process: "subprocess.Popen[bytes]", stderr: IO[bytes], watch: _Watch) -> None:
        self._process, self._stderr, self._watch, self._id = process, stderr, watch, 0

    def send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        try:
            self.send({"id": self._id, "method": method, "params": params})
        except OSError:
            raise self._gone(method) from None  # it closed its end
        assert self._process.stdout is not None
        for line in self._process.stdout:
            try:
                message = json.loads(line)
                answers = message.get("id") == self._id and "method" not in message
            except (ValueError, AttributeError):
                raise NotProtocol(method, line.decode(errors="replace").strip()) from None
            if answers and "result" in message:
                return dict(message["result"])
            if answers:
                raise NotProtocol(method, json.dumps(message.get("error"), ensure_ascii=False))
        raise self._gone(method)

    def _gone(self, method: str) -> TrialError:
        if self._watch.is_over:
            return TooSlow(method, self._watch.limit_s, self._tail())
        try:
            code: int | None = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            code = None
        return EndedEarly(method, code, self._tail())

    def _tail(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").split("\n")
        return " | ".join([line.strip() for line in lines if line.strip()][-STDERR_LINES:])


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End it as a client does: by closing its stdin, and by force if that does not help."""
    assert process.stdin is not None and process.stdout is not None
    with suppress(OSError):  # it closed its end first
        process.stdin.close()
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
