"""`lorgnette kb add` with a real TLS server; words alone are searched."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.edge import Run
from cli.main import app
from retrieval.settings import RetrievalSettings
from retrieval.web.add import FolderRefused, add_address
from retrieval.web.fetch import AddressTooLarge, AddressUnavailable, NetworkNotAllowed
from retrieval.web.origins import Origin, address_in, hidden_beside, place_of, read_origin
from tests.retrieval.conftest import Web


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "knowledge_base").mkdir()
    return tmp_path / "knowledge_base"


@pytest.fixture
def settings(folder: Path) -> RetrievalSettings:
    return RetrievalSettings(kb=folder, network=True, embedder="no-such-model", reranker="none")


@pytest.fixture
def lorgnette(web: Web, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    for name in [name for name in os.environ if name.startswith("LORGNETTE_")]:
        monkeypatch.delenv(name)
    for name, value in (("HOME", tmp_path / "home"), ("EMBEDDER", "no-such-model"), ("RERANKER", "none")):
        monkeypatch.setenv(f"LORGNETTE_{name}", str(value))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(app, list(arguments), obj=Run(internet=web.internet()))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_added_document_is_found_at_once_and_cited_with_its_address(
    web: Web, lorgnette: Callable[..., Result], folder: Path
) -> None:
    address = web.put("/manual/pump.html", b"<h1>Pump</h1><p>ERR_17 means that it draws air.</p>", "text/html")
    added = lorgnette("kb", "add", address, "--allow-network")
    assert added.exit_code == 0, added.stderr
    source = added.stdout.strip()
    assert source.startswith(f"web/a.test-{web.port}/manual-pump-") and source.endswith(".html")
    assert (folder / source).read_bytes().startswith(b"<h1>Pump")
    (hit,) = json.loads(lorgnette("search", "ERR_17", "--json").stdout)["hits"]
    assert (hit["source"], hit["address"]) == (source, address)
    assert hit["text"].startswith("# Pump") and hit["start"] == 0
    assert f"{source}, from {address}, characters 0 to" in lorgnette("search", "ERR_17").stdout
    assert lorgnette("kb", "verify", "ERR_17").stdout.startswith("exact ")
    assert f"fetched from {address} on 20" in lorgnette("kb", "list").stdout


def test_without_the_users_word_nobody_is_asked(web: Web, lorgnette: Callable[..., Result], folder: Path) -> None:
    result = lorgnette("kb", "add", web.put("/", b"hello"))
    assert result.exit_code == 1 and result.stderr.count("\n") == 1
    assert "setting 'network' is off" in result.stderr and "LORGNETTE_NETWORK=true" in result.stderr
    assert (web.asked, web.connections, files(folder)) == ([], 0, [])


def test_the_environment_may_allow_it(
    web: Web, lorgnette: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_NETWORK", "true")
    assert lorgnette("kb", "add", web.put("/", b"hello")).exit_code == 0


def test_what_was_fetched_but_cannot_be_read_is_said(web: Web, lorgnette: Callable[..., Result]) -> None:
    result = lorgnette("kb", "add", web.put("/a.pdf", b"%PDF-1.7 no more", "application/pdf"), "--allow-network")
    assert result.exit_code == 1 and "was fetched but cannot be read: not a whole PDF" in result.stderr


def test_the_library_asks_nobody_either(web: Web, settings: RetrievalSettings, folder: Path) -> None:
    with pytest.raises(NetworkNotAllowed):
        add_address(web.put("/", b"hello"), settings.model_copy(update={"network": False}), internet=web.internet())
    assert web.asked == [] and files(folder) == []


def test_the_same_address_again_replaces_its_file(web: Web, settings: RetrievalSettings, folder: Path) -> None:
    def add(body: bytes, kind: str = "text/plain") -> str:
        return add_address(web.put("/a", body, kind), settings, internet=web.internet())

    first = add(b"one")
    assert add(b"two") == first
    assert (folder / first).read_bytes() == b"two"
    # Another type is another ending, and still the same document.
    third = add(b"<p>three</p>", "text/html")
    assert third == first.removesuffix(".txt") + ".html"
    assert files(folder) == sorted([third, str(hidden_beside(folder / third).relative_to(folder))])
    assert read_origin(folder / third, "another hash") is None


def test_two_addresses_have_two_files(web: Web, settings: RetrievalSettings, folder: Path) -> None:
    sources = {
        add_address(web.put(path, b"hello"), settings, internet=web.internet())
        for path in ("/a", "/a?b", "/a?B", "/A", "/a/", "/x/../a", "/", "/.hidden", "/%2e%2e/%2fetc%2fpasswd")
    }
    # The dots are gone before anybody is asked: /x/../a is /a.
    assert len(sources) == 8
    assert all(source.startswith("web/a.test-") and ".." not in source and "/." not in source for source in sources)


def test_what_fails_leaves_nothing_and_keeps_what_was_there(
    web: Web, settings: RetrievalSettings, folder: Path
) -> None:
    source = add_address(web.put("/a", b"one"), settings, internet=web.internet())
    before = files(folder)
    web.pages["/a"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nhalf"
    with pytest.raises(AddressUnavailable):
        add_address(web.address("/a"), settings, internet=web.internet())
    with pytest.raises(AddressTooLarge):
        add_address(
            web.put("/b", bytes(1024 * 1024 + 1)),
            settings.model_copy(update={"max_file_mib": 1}),
            internet=web.internet(),
        )
    assert (folder / source).read_bytes() == b"one" and files(folder) == before


def test_ctrl_c_leaves_nothing_half_written(web: Web, settings: RetrievalSettings, folder: Path) -> None:
    def interrupt(received: int, total: int | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_address(web.put("/a", b"one"), settings, internet=web.internet(), progress=interrupt)
    assert files(folder) == []


@pytest.mark.parametrize(
    "inside", ["..", "a/../../b", "/tmp", ".hidden", "a/.b", "link", "link/deeper", "C:\\x", "a\0b"]
)
def test_a_folder_that_leads_out_or_is_not_indexed_is_refused_before_anybody_is_asked(
    web: Web, settings: RetrievalSettings, folder: Path, inside: str
) -> None:
    (folder / "link").symlink_to(folder.parent)
    with pytest.raises(FolderRefused):
        add_address(web.put("/", b"hello"), settings, inside, web.internet())
    assert web.asked == []


def test_another_folder_can_be_named(web: Web, settings: RetrievalSettings, folder: Path) -> None:
    source = add_address(web.put("/a", b"one"), settings, "papers/2024", web.internet())
    assert source.startswith("papers/2024/a.test-") and (folder / source).is_file()


def test_names_are_legible_and_fit_into_a_file_system() -> None:
    host, name = place_of("https://example.org/docs/%E6%89%8B%E5%86%8C.tar.html?x=1", ".html")
    assert host == "example.org" and name.startswith("docs-手册-tar-") and name.endswith(".html")
    host, name = place_of("https://[2606:4700::1111]:8443/" + "%F0%9D%94%98" * 200, ".docx")
    assert host == "2606-4700-1111-8443"
    assert len(os.fsencode(f".{name}.json.part")) <= 255


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"address": "x y", "fetched_at": 1, "sha256": "h"}',
        '{"address": 1}',
        "\xff",
        70_000 * "[",
    ],
)
def test_a_strangers_hidden_file_is_no_origin(tmp_path: Path, content: str) -> None:
    hidden_beside(tmp_path / "a.txt").write_text(content, "latin-1")
    assert read_origin(tmp_path / "a.txt", "h") is None


def test_a_note_gives_the_address_back() -> None:
    origin = Origin("https://example.org/a?b=(c)", 0.0)
    assert origin.note == "fetched from https://example.org/a?b=(c) on 1970-01-01T00:00:00Z"
    assert address_in(["no words", origin.note]) == origin.address
    assert address_in(["fetched from somewhere"]) is None
