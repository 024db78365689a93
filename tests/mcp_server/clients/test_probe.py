"""A server is tried as a client starts it; small programs of a few lines stand for good and bad servers."""

import os
import sys
from pathlib import Path

import pytest

from mcp_server.clients.probe import CommandMissing, EndedEarly, NotProtocol, TooSlow, Trial, TrialError, try_server

GOOD = """
import json, os, sys
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {
        "initialize": {"serverInfo": {}},
        "tools/list": {"tools": [{"name": name} for name in sorted(os.environ) + [os.getcwd()]]},
        "resources/read": {"contents": []},
    }[message["method"]]
    print(json.dumps({"jsonrpc": "2.0", "method": "notifications/message"}))
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


def tried(program: str, folder: Path, limit_s: float = 300.0) -> Trial:
    return try_server(sys.executable, ["-c", program], {"A": "b"}, folder, limit_s)


def test_a_good_server_is_seen_with_exactly_its_environment_and_folder(tmp_path: Path) -> None:
    trial = tried(GOOD, tmp_path)
    assert "A" in trial.tools and "HOME" not in trial.tools and trial.tools[-1] == str(tmp_path.resolve())
    assert 0 < trial.seconds < 300


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandMissing, match=r"'/no/such/lorgnette' cannot be started \(No such file"):
        try_server("/no/such/lorgnette", [], {}, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="another way of finding commands")
def test_a_bare_command_is_looked_for_in_the_clients_path_and_not_in_ours(tmp_path: Path) -> None:
    server = tmp_path / "my-server"
    server.write_text(f"#!{sys.executable}\n{GOOD}", encoding="utf-8")
    server.chmod(0o755)
    assert "PATH" in try_server("my-server", [], {"PATH": str(tmp_path)}, tmp_path).tools


def test_a_server_that_ends_is_told_with_what_it_said_last(tmp_path: Path) -> None:
    program = "import sys; print('one', file=sys.stderr); print('Error: no such model', file=sys.stderr); sys.exit(3)"
    with pytest.raises(EndedEarly, match=r"code 3 before it answered initialize: one \| Error: no such model"):
        tried(program, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="another shell there")
def test_a_server_that_hangs_is_stopped_and_told(tmp_path: Path) -> None:
    # A shell has said it long before the limit, however busy the machine is; Python would still be starting.
    with pytest.raises(TooSlow, match=r"initialize within 3 s: loading"):
        try_server("/bin/sh", ["-c", "echo loading >&2; exec sleep 600"], {"PATH": os.defpath}, tmp_path, 3)


@pytest.mark.parametrize("said", ["Welcome!", "[]", "\\xff"])
def test_a_banner_on_stdout_is_shown(said: str, tmp_path: Path) -> None:
    with pytest.raises(NotProtocol, match="initialize was answered with"):
        tried(f"print({said!r}, flush=True); import time; time.sleep(600)", tmp_path)


def test_an_error_of_the_protocol_is_shown(tmp_path: Path) -> None:
    refusing = GOOD.replace('"result": result', '"error": {"code": -32601, "message": "no"}')
    with pytest.raises(NotProtocol, match="no"):
        tried(refusing, tmp_path)


def test_a_server_that_closes_its_stdin_is_told_and_not_crashed_over(tmp_path: Path) -> None:
    with pytest.raises(TrialError):
        tried("import os, time; os.close(0); os.close(1); time.sleep(1)", tmp_path)
