"""Any sentence-transformers model that is on this machine, by id or folder.

Downloads nothing and runs no code that a model brings along.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.embedders.embedder import EmbedderMissing, mostly_in
from retrieval.on_disk import digest, model_folder
from retrieval.tokens import Script, script_of
from retrieval.vectors import Vectors, unit_rows

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_BATCH = 16
_HAN_ENOUGH = 1500
_PIECES_ENOUGH = 200


def found_model(name: str) -> tuple[Path, Callable[[], "SentenceTransformer"]]:
    """Return a model's folder and what opens it, without the network and without code that the model brings along.

    Raises:
        EmbedderMissing: The package or the model is not on this machine.
    """
    folder = model_folder(name)
    if folder is None:
        raise EmbedderMissing(name, f"it is not on this machine; run `lorgnette model pull {name}`")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise EmbedderMissing(name, f"{error}; run `pip install 'lorgnette[sentence-transformers]'`") from error
    return folder, lambda: SentenceTransformer(str(folder), local_files_only=True, trust_remote_code=False)


class SentenceTransformerEmbedder:
    """A sentence-transformers model. Letters: N texts, D dimensions."""

    def __init__(self, name: str) -> None:
        """Load the model; importing sentence-transformers alone takes many seconds.

        Raises:
            EmbedderMissing: If the package or the model is not on this machine, or it is no embedder.
        """
        folder, open_model = found_model(name)
        try:
            self._model = open_model()
        except (OSError, ValueError, KeyError) as error:
            raise EmbedderMissing(name, f"{error}; is {str(folder)!r} a sentence-transformers model?") from error
        self.dimension = int(self._model.get_embedding_dimension() or self._model.encode(["a"]).shape[1])
        self.fingerprint = f"{folder.name}:{digest(folder)}:{self._model.max_seq_length}"
        self._scripts = scripts_of_vocabulary(_spelled(self._model.tokenizer))

    def knows(self, text: str, language: str | None = None) -> bool:
        """Tell whether the text is mostly in scripts for which the vocabulary has words."""
        return mostly_in(text, self._scripts)

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Return passages' vectors, float32, (N, D)."""
        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        vectors = self._model.encode_document(list(texts), batch_size=_BATCH, show_progress_bar=False)
        return unit_rows(np.asarray(vectors, np.float32))

    def embed_query(self, text: str) -> Vectors:
        """Return a question's vector, float32, (D,)."""
        vectors = self._model.encode_query([text], show_progress_bar=False)
        return np.asarray(unit_rows(np.asarray(vectors, np.float32))[0])


def scripts_of_vocabulary(pieces: Iterable[str]) -> frozenset[Script]:
    """Return the scripts in which a tokenizer has words, and not merely letters to fall back on.

    BERT's English vocabulary holds 488 Han characters and the Cyrillic alphabet, its Chinese one some 7,000: hence
    1,500 pieces for Han, and for other scripts 200 pieces of three letters or more.
    """
    counts: Counter[Script] = Counter()
    for piece in pieces:
        scripts = {script_of(char) for char in piece} - {None}
        if len(scripts) == 1:
            script = scripts.pop()
            assert script is not None, "None was taken out"
            counts[script] += script == "han" or len(piece) >= 3
    return frozenset(s for s, n in counts.items() if n >= (_HAN_ENOUGH if s == "han" else _PIECES_ENOUGH))


def _spelled(tokenizer: Any) -> Iterable[str]:
    # Byte-level vocabularies (GPT-2, Qwen) spell their pieces in stand-ins for bytes; decoding gives the letters.
    for piece in tokenizer.get_vocab():
        yield tokenizer.convert_tokens_to_string([piece]).removeprefix("##").strip()
