"""A data folder made by version 0.1.0, before the rooms: everything in it opens, and nothing is lost."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from graph.session_store import Sessions
from mcp_server.clients.config_file import entries
from mcp_server.clients.known_clients import CLIENT_NAMES, CLIENTS, Place
from retrieval.catalogue.schema import VERSION

pytestmark = pytest.mark.heavy

ROOT = Path(__file__).parents[1]
DOCUMENTS = 13
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Unpack it, with the documents that were indexed; the index is found by the folder's path."""
    with tarfile.open(ROOT / "tests" / "data" / "home-0.1.0.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    documents = Path(shutil.copytree(ROOT / "knowledge_base", tmp_path / "knowledge_base"))
    (index,) = (tmp_path / "home" / "kb").iterdir()
    index.rename(index.with_name(hashlib.sha256(os.fsencode(documents)).hexdigest()[:16]))
    return tmp_path


@pytest.fixture
def run(old: Path) -> Run:
    """Run the command line in the folder of that user."""

    def lorgnette(*words: str) -> "subprocess.CompletedProcess[str]":
        environment = {key: value for key, value in os.environ.items() if not key.startswith("LORGNETTE_")}
        environment |= {"LORGNETTE_HOME": str(old / "home"), "PYTHONPATH": str(ROOT), "HOME": str(old / "user")}
        command = [sys.executable, "-m", "cli.main", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=old, env=environment)

    return lorgnette


def test_its_documents_are_found_without_indexing_them_again(run: Run) -> None:
    found = json.loads(run("search", "How long is the warranty of the K3?", "--json").stdout)
    assert found["hits"][0]["source"] == "warranty.pdf"
    listed = run("kb", "list").stdout
    assert "warranty.pdf" in listed and "中文/请假制度.md" in listed


def test_a_sync_loses_nothing_and_every_citation_verifies(run: Run, old: Path) -> None:
    for source in (ROOT / "knowledge_base").rglob("*"):  # times as they were when that user's copy was indexed
        shutil.copystat(source, old / "knowledge_base" / source.relative_to(ROOT / "knowledge_base"))
    report = run("kb", "sync", "knowledge_base")
    assert report.returncode == 0, report.stderr
    # The readers are newer than the catalogue, and read each file again once.
    assert f"0 added, {DOCUMENTS} updated, 0 renamed, 0 removed, 0 unchanged" in report.stdout
    assert f"0 updated, 0 renamed, 0 removed, {DOCUMENTS} unchanged" in run("kb", "sync", "knowledge_base").stdout
    assert run("kb", "verify", "How long is the warranty of the K3?").returncode == 0
    assert VERSION > 1, "the catalogue that was unpacked is of version 1 and was migrated"


def test_its_conversation_is_read_and_goes_on(run: Run, old: Path) -> None:
    sessions = Sessions(str(old / "home" / "sessions.sqlite"), old / "home" / "sessions")
    turns = sessions.turns("tour")
    sessions.close()
    assert [turn.question for turn in turns] == [
        "How many objects are there?", "How long is the warranty of the K3?", "Archive this conversation.",
    ]  # fmt: skip
    assert turns[0].answer.answer == "5" and turns[1].answer.citations[0].source == "warranty.pdf"
    assert "tour" in run("session", "list").stdout
    report = Path(run("session", "save", "tour").stdout.strip())
    assert "How long is the warranty" in report.read_text("utf-8")
    assert len(list((old / "home" / "reports").iterdir())) == 2, "the old report is still there"


def test_its_adapter_of_the_bundled_checkpoint_of_then_is_refused_with_what_to_do(run: Run, old: Path) -> None:
    shutil.copy(ROOT / "examples" / "shapes.png", old)
    asked = run("ask", "How many objects are there?", "shapes.png", "--adapter", "adapter", "--effort", "quick")
    assert asked.returncode == 1 and asked.stdout == ""
    assert "train it again on this one (the bundled checkpoint has other weights since Lorgnette 0.2)" in asked.stderr


@pytest.mark.parametrize("name", CLIENT_NAMES)
def test_the_entries_of_its_clients_are_known_and_taken_out_again(name: str, run: Run, old: Path) -> None:
    client, place = CLIENTS[name], Place("linux", old / "user", {}, old)  # type: ignore[index]  # one of CLIENT_NAMES
    path = client.file(place, workspace=False)
    assert path is not None
    assert entries(client, path)["lorgnette"]["args"][0] == "serve"
    assert run("uninstall", name).returncode == 0
    assert "lorgnette" not in entries(client, path)


def test_an_entry_that_starts_the_module_still_starts_the_server(old: Path) -> None:
    """Where 0.1.0 found no installed command, it wrote `python -m cli.main serve`."""
    from mcp_server.clients.probe import try_server

    environment = {**os.environ, "LORGNETTE_HOME": str(old / "home"), "PYTHONPATH": str(ROOT)}
    trial = try_server(sys.executable, ["-m", "cli.main", "serve"], environment, old, 60.0)
    assert "ask_image" in trial.tools
