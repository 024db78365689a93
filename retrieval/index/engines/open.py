"""Opens an engine's index by its address, or removes it. The engines' packages are imported only here and below."""

from importlib.util import find_spec
from types import ModuleType

from retrieval.index.dense import DenseIndex
from retrieval.index.engines.engine import PackageMissing
from retrieval.store import Store


def open_engine(store: Store, name: str, dimension: int) -> DenseIndex:
    """Open the index in the engine, or begin an empty one.

    Args:
        store: Any engine but the embedded one.
        name: Whatever tells apart what may not be mixed: the catalogue and the embedder's fingerprint.
        dimension: D.

    Raises:
        EngineUnavailable: The engine does not answer, refuses the login, or its package is missing.
        ProjectionDamaged: What lies there is half or another's; `discard` it and open it again.
    """
    opened: DenseIndex = _module(store).open_index(store, name, dimension)
    return opened


def discard(store: Store, name: str) -> None:
    """Remove the index from the engine, if it is there.

    Raises:
        EngineUnavailable: As above.
    """
    _module(store).discard(store, name)


def _module(store: Store) -> ModuleType:
    match store.engine:
        case "chroma-server":
            from retrieval.index.engines import chroma_server

            return chroma_server
        case "milvus":
            _need(store, "pymilvus", "milvus")
            if store.url.lower().startswith("milvus://"):
                _need(store, "milvus_lite", "milvus")
            from retrieval.index.engines import milvus

            return milvus
        case "postgres":
            _need(store, "psycopg", "postgres")
            from retrieval.index.engines import postgres

            return postgres
        case _:
            raise AssertionError("the embedded engine is no server")


def _need(store: Store, package: str, extra: str) -> None:
    if find_spec(package) is None:
        raise PackageMissing(store, package, extra)
