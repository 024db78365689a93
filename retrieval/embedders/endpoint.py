"""An OpenAI-compatible embeddings endpoint (vLLM, Ollama, llama.cpp, a provider).

Sends the passages to the address that the user named, and to no other. What languages its model knows cannot be asked,
so it counts as knowing all.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from retrieval.embedders.embedder import EmbedderMissing, EmbeddingFailed
from retrieval.vectors import Vectors, unit_rows

_BATCH = 64
_TIMEOUT_S = 60.0


class Endpoint:
    """The model behind an address. Letters: N texts, D dimensions."""

    def __init__(self, address: str, model: str, *, api_key: str | None = None) -> None:
        """Open the endpoint; nothing is sent yet.

        Raises:
            EmbedderMissing: If the name lacks the model.
        """
        import openai

        if not model:
            raise EmbedderMissing(address, f"it names no model; write `{address}#model-name`")
        self._address = address
        self._model = model
        # The client insists on a key, local servers do not look at it.
        self._client = openai.OpenAI(base_url=address, api_key=api_key or "none", timeout=_TIMEOUT_S, max_retries=2)

    @cached_property
    def dimension(self) -> int:
        """D, which only a vector can tell.

        Raises:
            EmbeddingFailed: If the endpoint gives none.
        """
        return int(self._embed(["dimension"]).shape[1])

    @property
    def fingerprint(self) -> str:
        """Address, model and dimension: whether the server changed its weights cannot be seen from here."""
        return f"{self._address}#{self._model}:{self.dimension}"

    def knows(self, text: str, language: str | None = None) -> bool:
        """Return True: who names an endpoint chooses its languages."""
        return True

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Return passages' vectors, float32, (N, D)."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            found = self._embed(batch)
            if found.shape[1] != self.dimension:
                raise self._failed(f"vectors of {found.shape[1]} dimensions after {self.dimension}")
            vectors[start : start + len(batch)] = found
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Return a question's vector, float32, (D,)."""
        return np.asarray(self.embed_documents([text])[0])

    def _embed(self, texts: Sequence[str]) -> Vectors:
        import openai

        # An empty input is refused by most servers, although a passage may be empty.
        asked = [text if text.strip() else "." for text in texts]
        try:
            answer = self._client.embeddings.create(model=self._model, input=asked, encoding_format="float")
            rows = {item.index: item.embedding for item in answer.data}  # the standard promises no order
            vectors = np.array([rows[index] for index in range(len(asked))], np.float32)
        except openai.OpenAIError as error:
            raise self._failed(str(error)) from error
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise self._failed(f"an answer of another form: {error!r}") from error
        if vectors.ndim != 2 or not vectors.shape[1] or not np.isfinite(vectors).all():
            raise self._failed(f"vectors of shape {vectors.shape}, or not of finite numbers")
        return unit_rows(vectors)

    def _failed(self, reason: str) -> EmbeddingFailed:
        return EmbeddingFailed(self._address, self._model, reason)
