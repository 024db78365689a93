"""The knowledge base's section of the settings."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Fusion = Literal["minmax", "rrf"]


class RetrievalSettings(BaseModel):
    """Which folder is searched, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kb: Path = Field(Path("knowledge_base"), description="Folder of the documents")
    embedder: str = Field(
        "minilm", description="`minilm`, a sentence-transformers id or folder, or `http(s)://host/v1#model-name`"
    )
    reranker: str = Field("auto", description="auto, none, or a CrossEncoder id or folder")
    fusion: Fusion = Field("minmax", description="How dense and lexical results are merged")
    chunk_tokens: int = Field(220, ge=32, le=2048, description="Longest chunk, in words or CJK characters")
    chunk_overlap: int = Field(40, ge=0, le=512, description="What a chunk repeats of the one before, likewise")
    max_file_mib: int = Field(64, ge=1, description="Larger files are skipped, with the reason")
    rerank_budget_s: float = Field(2.0, ge=0, description="Seconds after which results stay as they are")
