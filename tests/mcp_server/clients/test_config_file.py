"""Files of clients are changed as a whole or not at all, through links, with a copy beside them."""

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from mcp_server.clients.config_file import (
    ClientFileChanged,
    ClientFileNotWritten,
    ClientFileReadOnly,
    ClientFileUnreadable,
    entries,
    install_edit,
    removal_edit,
    write,
)
from mcp_server.clients.known_clients import CLIENTS

CLAUDE, VSCODE, CODEX = CLIENTS["claude-desktop"], CLIENTS["vscode"], CLIENTS["codex"]
ENTRY: dict[str, Any] = {"command": "/l", "args": ["serve"]}
OLD = '{\n  "preferences": {"a": 1},\n  "mcpServers": {\n    "x": {"command": "y"}\n  }\n}\n'

on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "client" / "config.json"
    path.parent.mkdir()
    path.write_text(OLD, encoding="utf-8")
    return path


def beside(path: Path) -> list[str]:
    return sorted(other.name for other in path.parent.iterdir() if other != path)


def test_a_change_keeps_the_rest_and_leaves_a_copy(file: Path) -> None:
    edit = install_edit(CLAUDE, file, "lorgnette", ENTRY)
    assert (edit.outcome, file.read_text("utf-8")) == ("added", OLD)  # worked out, and not yet made
    backup = write(edit)
    assert backup is not None and backup.parent == file.parent
    assert backup.read_text("utf-8") == OLD
    assert entries(CLAUDE, file) == {"x": {"command": "y"}, "lorgnette": ENTRY}
    assert beside(file) == [backup.name]


def test_the_same_entry_again_is_no_change(file: Path) -> None:
    write(install_edit(CLAUDE, file, "lorgnette", ENTRY))
    again = install_edit(CLAUDE, file, "lorgnette", dict(reversed(ENTRY.items())))
    assert (again.outcome, again.diff()) == ("unchanged", "")


def test_removal_gives_the_old_bytes_back(file: Path) -> None:
    write(install_edit(CLAUDE, file, "lorgnette", ENTRY))
    removal = removal_edit(CLAUDE, file, "lorgnette")
    assert removal.outcome == "removed"
    write(removal)
    assert file.read_text("utf-8") == OLD
    assert removal_edit(CLAUDE, file, "lorgnette").outcome == "absent"
    assert len(beside(file)) == 2  # two changes within a second, and neither copy took the other's name


def test_a_newer_entry_keeps_what_the_user_added_by_hand(file: Path) -> None:
    env = {"LORGNETTE_HOME": "/old", "LORGNETTE_API_KEY": "k", "MINE": "m"}
    write(install_edit(CLAUDE, file, "lorgnette", {**ENTRY, "disabled": True, "env": env}))
    edit = install_edit(CLAUDE, file, "lorgnette", {"command": "/new", "args": [], "env": {"LORGNETTE_KB": "/kb"}})
    assert edit.outcome == "updated"
    write(edit)
    env = {"LORGNETTE_API_KEY": "k", "MINE": "m", "LORGNETTE_KB": "/kb"}
    assert entries(CLAUDE, file)["lorgnette"] == {"command": "/new", "args": [], "disabled": True, "env": env}


def test_longer_time_outs_of_the_user_stay(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("[mcp_servers.l]\ncommand = '/l'\nstartup_timeout_sec = 5\ntool_timeout_sec = 900\n", "utf-8")
    entry = {"command": "/l", "startup_timeout_sec": 30, "tool_timeout_sec": 120}
    write(install_edit(CODEX, path, "l", entry))
    assert entries(CODEX, path)["l"] == {"command": "/l", "startup_timeout_sec": 30, "tool_timeout_sec": 900}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"mcpServers": {', "not valid JSON"),
        (b'{"mcpServers": []}', "'mcpServers' is no object"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"// a comment\n{}", "line 1 is not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_never_touched(content: bytes, said: str, file: Path) -> None:
    file.write_bytes(content)
    for work_out in (lambda: install_edit(CLAUDE, file, "l", ENTRY), lambda: removal_edit(CLAUDE, file, "l")):
        with pytest.raises(ClientFileUnreadable, match=said):
            work_out()
    assert (file.read_bytes(), beside(file)) == (content, [])


def test_broken_toml_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("[mcp_servers\n", "utf-8")
    with pytest.raises(ClientFileUnreadable, match="not valid TOML"):
        install_edit(CODEX, tmp_path / "config.toml", "l", ENTRY)


def test_a_folder_in_the_files_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClientFileUnreadable, match="no file"):
        install_edit(CLAUDE, tmp_path, "l", ENTRY)


def test_a_byte_order_mark_stays(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + OLD.encode())
    write(install_edit(CLAUDE, file, "l", ENTRY))
    assert file.read_bytes().startswith(b'\xef\xbb\xbf{\n  "preferences"')
    write(removal_edit(CLAUDE, file, "l"))
    assert file.read_bytes() == b"\xef\xbb\xbf" + OLD.encode()


def test_a_new_file_needs_no_copy_and_its_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "mcp.json"
    edit = install_edit(VSCODE, path, "l", ENTRY)
    assert edit.diff().startswith(f"--- {path}\n")
    assert write(edit) is None
    assert beside(path) == []
    assert entries(VSCODE, path) == {"l": ENTRY}


@on_posix
def test_a_link_is_followed_and_the_files_mode_stays(file: Path, tmp_path: Path) -> None:
    file.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(Path("client") / "config.json")
    write(install_edit(CLAUDE, link, "l", ENTRY))
    assert link.is_symlink() and "l" in entries(CLAUDE, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@on_posix
def test_a_link_to_a_file_that_is_not_there_yet_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "dotfiles" / "mcp.json")
    write(install_edit(CLAUDE, link, "l", ENTRY))
    assert link.is_symlink() and entries(CLAUDE, tmp_path / "dotfiles" / "mcp.json") == {"l": ENTRY}


@on_posix
def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(link)
    with pytest.raises(ClientFileUnreadable):
        install_edit(CLAUDE, link, "l", ENTRY)


def test_a_read_only_file_stays_although_its_folder_could_be_written(file: Path) -> None:
    edit = install_edit(CLAUDE, file, "l", ENTRY)
    file.chmod(0o444)
    with pytest.raises(ClientFileReadOnly, match="read-only"):
        write(edit)
    assert (file.read_text("utf-8"), beside(file)) == (OLD, [])


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    edit = install_edit(CLAUDE, tmp_path / "file" / "config.json", "l", ENTRY)
    with pytest.raises(ClientFileNotWritten, match="--print"):
        write(edit)


def test_what_another_program_wrote_meanwhile_is_not_lost(file: Path) -> None:
    edit = install_edit(CLAUDE, file, "l", ENTRY)
    file.write_text('{"theirs": 1}', encoding="utf-8")
    with pytest.raises(ClientFileChanged, match="try again"):
        write(edit)
    assert (file.read_text("utf-8"), beside(file)) == ('{"theirs": 1}', [])


@pytest.mark.skipif(sys.platform == "win32", reason="Windows syncs through another call")
def test_a_full_disk_leaves_the_old_file_and_no_litter(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    edit = install_edit(CLAUDE, file, "l", ENTRY)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="space"):
        write(edit)
    assert (file.read_text("utf-8"), beside(file)) == (OLD, [])


def test_a_diff_shows_the_added_lines_and_nothing_else(file: Path) -> None:
    lines = install_edit(CLAUDE, file, "l", ENTRY).diff().splitlines()
    assert [line for line in lines[2:] if line.startswith("-")] == ['-    "x": {"command": "y"}']
    assert '+    "x": {"command": "y"},' in lines and '+    "l": {' in lines
