"""Pictures among a terminal's text: what is written is the picture, and only terminals that can draw get it."""

import base64
import io
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from cli.inline_picture import Protocol, draw_inline, drawing, protocol_of
from cli.main import app
from tests.retrieval.regions.page_pdf import page_pdf

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def drawn_by_kitty(written: str) -> tuple[dict[str, str], bytes]:
    """Put the pieces together as the protocol says, and return the first one's keys."""
    pieces = re.findall(r"\x1b_G([^;]*);([A-Za-z0-9+/=]*)\x1b\\", written)
    keys = [dict(pair.split("=") for pair in head.split(",")) for head, _ in pieces]
    assert all(len(text) <= 4_096 for _, text in pieces)
    assert [key["m"] for key in keys] == [*["1"] * (len(keys) - 1), "0"]
    assert all(set(key) == {"m"} for key in keys[1:])
    return keys[0], base64.b64decode("".join(text for _, text in pieces))


def png(side: int) -> bytes:
    buffer = io.BytesIO()
    noise = random.Random(3).randbytes(side * side)  # which PNG cannot make smaller
    Image.frombytes("L", (side, side), noise).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("side", [8, 300])
def test_kitty_gets_the_whole_picture_in_pieces_and_is_asked_for_no_answer(side: int) -> None:
    written = drawing(png(side), "kitty", 40)
    head, data = drawn_by_kitty(written)
    assert data == png(side) and written.endswith("\n")
    assert (head["a"], head["f"], head["q"], head["c"]) == ("T", "100", "2", "40")


def test_iterm_gets_the_whole_picture_at_once() -> None:
    found = re.fullmatch(r"\x1b\]1337;File=([^:]*):([A-Za-z0-9+/=]*)\x07\n", drawing(png(300), "iterm", 40))
    assert found is not None and base64.b64decode(found[2]) == png(300)
    assert found[1].split(";") == ["inline=1", f"size={len(png(300))}", "width=40", "preserveAspectRatio=1"]


@pytest.mark.parametrize(
    ("environment", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM_PROGRAM": "iTerm.app", "TERM": "xterm-256color"}, "iterm"),
        ({"TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "Apple_Terminal"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "vscode", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "xterm-kitty", "TMUX": "/tmp/tmux"}, None),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, None),
        ({}, None),
    ],
)
def test_terminals_say_by_their_variables_what_they_can(environment: dict[str, str], protocol: Protocol | None) -> None:
    assert protocol_of(environment) == protocol


def test_a_picture_is_not_drawn_larger_than_it_is_nor_into_a_file(tmp_path: Path) -> None:
    path, terminal, file = tmp_path / "a.png", Terminal(), io.StringIO()
    path.write_bytes(png(160))
    assert draw_inline(path, terminal, {"TERM": "xterm-kitty"})
    assert drawn_by_kitty(terminal.getvalue())[0]["c"] == "20"
    assert not draw_inline(path, file, {"TERM": "xterm-kitty"}) and file.getvalue() == ""
    assert not draw_inline(path, terminal, {"TERM": "xterm"})


@pytest.mark.skipif(os.name == "nt", reason="there are no pseudo-terminals")
@pytest.mark.parametrize("as_json", [False, True])
def test_search_open_draws_the_page_in_the_terminal_below_the_hits_and_never_into_json(
    as_json: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pty

    folder = tmp_path / "kb"
    folder.mkdir()
    (folder / "k3.pdf").write_bytes(page_pdf([(61, 700, "The K3 microscope has a warranty of 36 months.")]))
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["kb", "sync", str(folder)]).exit_code == 0
    command = [sys.executable, "-c", "from cli.main import main; main()", "search", "--kb", str(folder), "--open", "1"]
    command += ["microscope warranty", *(["--json"] if as_json else [])]
    ours, theirs = pty.openpty()
    # No viewer is to start on the machine of whoever runs this.
    environment = {**os.environ, "TERM": "xterm-kitty", "PATH": "", "DISPLAY": "", "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment, text=True)
    os.close(theirs)
    said = bytearray()
    try:
        while part := os.read(ours, 65_536):
            said += part
    except OSError:  # how Linux says that the other end is closed
        pass
    finally:
        os.close(ours)
    assert run.stderr is not None
    place = re.search(r"k3\.pdf, page 1: (\S+)", run.stderr.read())
    run.stderr.close()
    assert run.wait() == 0 and place is not None
    text = said.decode()
    if as_json:
        assert json.loads(text)["hits"][0]["source"] == "k3.pdf"
        return
    assert text.index("k3.pdf") < text.index("\x1b_G")
    assert drawn_by_kitty(text)[1] == Path(place[1]).read_bytes()
