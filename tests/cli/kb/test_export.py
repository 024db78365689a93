"""Moving a knowledge base into another engine and searching there, with the bundled embedder and real engines."""

import json
from pathlib import Path
from typing import Any

import pytest

from lorgnette.documents import Documents
from lorgnette.settings import load_settings
from retrieval.index.engines.engine import engine_name
from retrieval.index.engines.open import open_engine
from retrieval.store import parse_store

pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::UserWarning", "ignore::FutureWarning"
    ),
    pytest.mark.heavy,
]

TEXTS = {
    "lamp.md": "# Lamp\nThe lamp raises ERR_42 when the fan stands still and it becomes too hot.",
    "fan.md": "# Fan\nA fan moves air so that the electronics stay cool; dust makes it slow.",
    "leave.txt": "Employees may carry over five days of unused holiday into the next year.",
    "heat.txt": "Overheating shortens the life of every electric device; keep the openings free.",
    "cheese.txt": "A ripe cheese is kept in a cool cellar and turned once a week.",
}
QUERIES = ["Why does a device become too hot?", "ERR_42"]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LORGNETTE_RERANKER", "none")
    folder = tmp_path / "knowledge_base"  # the setting's default
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, "utf-8")
    return folder


@pytest.fixture(params=["milvus", "postgres", "chroma_server"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


def found(lorgnette: Any, query: str, *options: str) -> Any:
    result = lorgnette("search", query, "--json", *options)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def ids(result: Any) -> list[str]:
    return [hit["id"] for hit in result["hits"]]


def test_after_an_export_the_other_engine_finds_the_same_in_the_same_order(
    lorgnette: Any, folder: Path, url: str
) -> None:
    lorgnette("kb", "sync")
    before = [found(lorgnette, query) for query in QUERIES]
    assert all("dense" in result["mode"] for result in before) and len(before[0]["hits"]) > 1
    exported = lorgnette("kb", "export", "--to", url)
    assert exported.exit_code == 0, exported.stderr
    first, *_, last = exported.stdout.splitlines()
    assert first.startswith("5 passages written, 0 removed, 5 held by ") and last.startswith("store: ")
    after = [found(lorgnette, query, "--store", url) for query in QUERIES]
    assert [ids(result) for result in after] == [ids(result) for result in before]
    assert [result["mode"] for result in after] == [result["mode"] for result in before]
    narrowed = [found(lorgnette, QUERIES[0], "--source", "*.txt", *store) for store in ((), ("--store", url))]
    assert ids(narrowed[0]) == ids(narrowed[1]) and ids(narrowed[0])

    (folder / "cheese.txt").unlink()
    (folder / "wine.txt").write_text("Wine that is too warm loses its taste.", "utf-8")
    lorgnette("kb", "sync")
    (hit, *_) = found(lorgnette, "When does wine lose its taste?", "--store", url)["hits"]
    assert (hit["source"], hit["dense_rank"]) == ("wine.txt", 1)
    # That search has brought the engine forward; were it another's, there would be something left to write.
    again = json.loads(lorgnette("kb", "export", str(folder), "--to", url, "--json").stdout)
    assert (again["written"], again["removed"], again["held"], again["dimension"]) == (0, 0, 5, 384)
    assert again["generation"] == again["wanted_generation"] and not again["cancelled"]


def test_the_doctor_compares_and_rebuilds_what_the_engine_holds(lorgnette: Any, milvus_url: str) -> None:
    from pymilvus import MilvusClient

    lorgnette("kb", "sync")
    lorgnette("kb", "export", "--to", milvus_url)
    index = open_engine(parse_store(milvus_url), "keeps the file open", 2)
    client = MilvusClient(milvus_url.removeprefix("milvus://"))
    for name in set(client.list_collections()) - {"lorgnette_indexes", engine_name("keeps the file open")}:
        client.delete(name, ids=[1])
    index.close()
    checked = lorgnette("kb", "doctor", "--check", "--store", milvus_url)
    assert checked.exit_code == 1 and "dense      4 of 5 passages, 1 missing" in checked.stdout
    repaired = lorgnette("kb", "doctor", "--store", milvus_url)
    assert repaired.exit_code == 0 and "dense      5 of 5 passages, sound" in repaired.stdout.splitlines()


def test_a_search_while_the_engine_is_away_uses_words_and_says_so(lorgnette: Any) -> None:
    pytest.importorskip("psycopg")
    lorgnette("kb", "sync")
    result = found(lorgnette, "ERR_42", "--store", "postgresql://me:geheim@127.0.0.1:9/notes")
    assert [hit["source"] for hit in result["hits"]] == ["lamp.md"] and result["mode"] == "lexical"
    (note,) = [note for note in result["degraded"] if note.startswith("dense: only words were searched")]
    assert "'postgresql://me:***@127.0.0.1:9/notes' cannot be used" in note


def test_a_server_that_goes_away_is_left_out_and_used_again_when_it_is_back(
    lorgnette: Any, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    monkeypatch.setattr("retrieval.index.projections.RETRY_S", 0.0)
    before, sockets = postgres_url.split("?host=")
    door = tmp_path / "door"
    with Documents(load_settings(store=f"{before}?host={door}")) as documents:
        base = documents.required()
        base.sync()
        (note,) = base.search(QUERIES[0], wait_s=300).degraded  # never yet there
        assert "only words were searched" in note and "cannot be used" in note
        door.symlink_to(sockets)
        assert base.search(QUERIES[0]).degraded == ()
        door.unlink()
        with psycopg.connect(postgres_url) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'lorgnette'"
            )
        gone = base.search(QUERIES[0])
        assert gone.mode == "lexical" and gone.hits and "only words were searched" in gone.degraded[0]
        door.symlink_to(sockets)
        back = base.search(QUERIES[0])
        assert (back.degraded, back.mode) == ((), "dense+lexical")


def test_an_export_to_a_server_that_is_away_is_one_line(lorgnette: Any) -> None:
    pytest.importorskip("psycopg")
    lorgnette("kb", "sync")
    result = lorgnette("kb", "export", "--to", "postgresql://me:geheim@127.0.0.1:9/notes")
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert result.stderr.startswith("Error: 'postgresql://me:***@127.0.0.1:9/notes' cannot be used")


def test_an_export_without_vectors_says_what_to_run(lorgnette: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pymilvus")
    monkeypatch.setenv("LORGNETTE_EMBEDDER", "no-such-model")
    lorgnette("kb", "sync")
    result = lorgnette("kb", "export", "--to", "milvus+http://127.0.0.1:9")
    assert result.exit_code == 1 and "kb sync" in result.stderr


@pytest.mark.parametrize("url", ["chroma", "mysql://me:geheim@host/x", "notes.db"])
def test_what_is_no_other_engine_is_bad_usage(lorgnette: Any, url: str) -> None:
    result = lorgnette("kb", "export", "--to", url)
    assert result.exit_code == 2 and "--to" in result.stderr and "geheim" not in result.stderr


def test_a_bad_store_in_the_settings_does_not_show_its_password(lorgnette: Any) -> None:
    result = lorgnette("search", "x", "--store", "mysql://me:geheim@host/x")
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: --store cannot be 'mysql://me:***@host/x': there is no engine 'mysql'")
