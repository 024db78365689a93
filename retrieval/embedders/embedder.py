"""What every embedder answers, and how opening or asking one fails. It knows no engine."""

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

    def knows(self, text: str, language: str | None = None) -> bool:
        """Tell whether the text is written in what the model was trained on.

        Args:
            text: A question or a passage.
            language: Of the text, ISO 639-1, where it is known; else its script must do.
        """

    def embed_documents(self, texts: Sequence[str]) -> "Vectors":
        """Return passages' vectors, float32, (N, D)."""

    def embed_query(self, text: str) -> "Vectors":
        """Return a question's vector, float32, (D,)."""


def mostly_in(text: str, scripts: frozenset[Script]) -> bool:
    """Tell whether at least half of the text's letters are in one of the scripts; a text without letters is."""
    counts = script_counts(text)
    return sum(n for script, n in counts.items() if script in scripts) * 2 >= counts.total()
