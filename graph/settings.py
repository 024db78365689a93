"""The agent's section of the settings."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from model.settings import ModelSettings
from retrieval.settings import RetrievalSettings

Answering = Literal["auto", "generate", "quote"]
PagePictures = Literal["auto", "never", "always"]
Effort = Literal["quick", "normal", "thorough"]


class GraphSettings(BaseModel):
    """How much the agent thinks about a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: Effort = Field(
        "normal",
        description="quick = one look, one answer; normal = plan, answer, check; thorough = the best of several",
    )
    system: str | None = Field(
        None,
        max_length=8000,
        description="Said to the model behind the product's own system text, at each step; tiny, which was trained on "
        "one system text, is not told",
    )
    answering: Answering = Field(
        "auto", description="How documents are answered from; auto = quote with tiny, which cannot write about them"
    )
    page_pictures: PagePictures = Field(
        "auto",
        description="Whether the model sees the pages that it answers from, beside their words; auto = those with "
        "figures, ruled tables or scans; tiny sees none",
    )
    document_tokens: int = Field(
        3000,
        ge=200,
        description="How much of a document the model reads for one answer where the whole of it is asked for",
    )
    sessions: str = Field(
        "auto",
        description="Where conversations are kept: auto = a SQLite file in the data folder, none, a file, or "
        "`postgresql://user@host/database`",
    )
    history_tokens: int = Field(
        2048, ge=0, description="How much of a conversation the model is told again; whole questions are left out above"
    )
    reports: Path | None = Field(
        None, description="Folder of the session summaries; none = `reports` in the data folder"
    )


class AgentSettings(ModelSettings, RetrievalSettings, GraphSettings):
    """What the agent needs to answer: its own section, the model's and the knowledge base's."""
