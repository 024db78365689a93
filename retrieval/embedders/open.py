"""Opens what turns texts into vectors, by the name in the settings.

Does not store vectors and downloads nothing: a model is bundled, on disk, or behind an address that the user gave.
"""

from retrieval.embedders.embedder import Embedder


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
    from retrieval.embedders.sentence_transformers import SentenceTransformerEmbedder

    return SentenceTransformerEmbedder(name)
