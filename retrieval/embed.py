"""Opens what turns texts into vectors, by the name in the settings.

Does not store vectors and downloads nothing: a model is bundled, on disk, or behind an address that the user gave.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from retrieval.errors import RetrievalError
from retrieval.tokens import Script, script_counts

if TYPE_CHECKING:
    from retrieval.vectors import Vectors


class EmbedderMissing(RetrievalError):
    """The embedder's package or weights are not here."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self.reason = reason
        super().__init__(f"the embedder {name!r} cannot be opened: {reason}")


class WeightsChanged(RetrievalError):
    """A bundled file is not the one that this version was tested with."""

    def __init__(self, file: str, expected: str, found: str) -> None:
        self.file = file
        self.expected = expected
        self.found = found
        super().__init__(
            f"{file!r} has SHA-256 {found!r}, expected is {expected!r}; reinstall the package that brings it"
        )


class EmbeddingFailed(RetrievalError):
    """The endpoint gave no usable vectors."""

    def __init__(self, address: str, model: str, reason: str) -> None:
        self.address = address
        self.model = model
        self.reason = reason
        super().__init__(
            f"{address!r} gave no vectors of {model!r} ({reason}); check the address, the model and the key"
        )


class Embedder(Protocol):
    """Turns texts into unit vectors whose inner product says how near they are. Letters: N texts, D dimensions."""

    @property
    def fingerprint(self) -> str:
        """What must be the same for two vectors to be comparable: weights, length limit, prefixes."""

    @property
    def dimension(self) -> int:
        """D."""

    def knows(self, text: str) -> bool:
        """Tell whether the text is written in a script that the model was trained on."""

    def embed_documents(self, texts: Sequence[str]) -> "Vectors":
        """Return passages' vectors, float32, (N, D)."""

    def embed_query(self, text: str) -> "Vectors":
        """Return a question's vector, float32, (D,)."""


def open_embedder(name: str, *, api_key: str | None = None, threads: int | None = None) -> Embedder:
    """Open an embedder; loading takes up to seconds, so not on the way to a first answer.

    Args:
        name: `minilm` (English, bundled), `multilingual` (the extra), a sentence-transformers id or folder that is on
            disk, or `http(s)://host/v1#model` for an OpenAI-compatible endpoint.
        api_key: For the endpoint.
        threads: CPU threads at most, where the engine can be told; None leaves it to the engine.

    Raises:
        EmbedderMissing: If its package or weights are not here; nothing is downloaded.
        WeightsChanged: If bundled weights are not those that were tested.
        EmbeddingFailed: If the endpoint does not answer with vectors.
    """
    if name == "minilm":
        from retrieval.embedders.minilm import MiniLM

        return MiniLM(threads=threads)
    if name == "multilingual":
        from retrieval.embedders.multilingual import MultilingualE5

        return MultilingualE5(threads=threads)
    if name.startswith(("http://", "https://")):
        from retrieval.embedders.endpoint import Endpoint

        address, _, model = name.partition("#")
        return Endpoint(address, model, api_key=api_key)
    from retrieval.embedders.sentence import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(name)


def mostly_in(text: str, scripts: frozenset[Script]) -> bool:
    """Tell whether at least half of the text's letters are in one of the scripts; a text without letters is."""
    counts = script_counts(text)
    return sum(n for script, n in counts.items() if script in scripts) * 2 >= counts.total()
