"""The knowledge base's section of the settings."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from retrieval.store import parse_store

Captions = Literal["auto", "off", "on"]
Fusion = Literal["minmax", "rrf"]


class RetrievalSettings(BaseModel):
    """Which folder is searched, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kb: Path = Field(Path("knowledge_base"), description="Folder of the documents")
    embedder: str = Field(
        "minilm", description="`minilm`, a sentence-transformers id or folder, or `http(s)://host/v1#model-name`"
    )
    image_embedder: str | None = Field(
        None,
        description="Who compares what pictures look like in `search --image`: id or folder of a sentence-transformers"
        " model that takes pictures (CLIP, Qwen3-VL-Embedding)",
    )
    reranker: str = Field(
        "auto",
        description="auto, none, id or folder of a CrossEncoder or Qwen3-VL-Reranker, or `model`, the chat model",
    )
    fusion: Fusion = Field("minmax", description="How dense and lexical results are merged")
    chunk_tokens: int = Field(220, ge=32, le=2048, description="Longest chunk, in words or CJK characters")
    chunk_overlap: int = Field(40, ge=0, le=512, description="What a chunk repeats of the one before, likewise")
    max_file_mib: int = Field(64, ge=1, description="Larger files are skipped, with the reason")
    store: str = Field(
        "chroma",
        repr=False,  # it may hold a password
        description="Engine of the vectors: `chroma` (embedded), `chroma+http://host:8000`, `milvus:///folder/file.db`,"
        " `milvus+http://host:19530` or `postgresql://user@host/database`",
    )
    rerank_budget_s: float = Field(2.0, ge=0, description="Seconds after which results stay as they are")
    network: bool = Field(False, description="Whether `lorgnette kb add` may fetch documents from addresses")
    captions: Captions = Field(
        "auto", description="Whether pictures get a caption from the model; auto = by a local model other than tiny"
    )

    @field_validator("store")
    @classmethod
    def _known_store(cls, value: str) -> str:
        parse_store(value)
        return value
