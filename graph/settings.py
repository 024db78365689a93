"""The agent's section of the settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from model.settings import ModelSettings
from retrieval.settings import RetrievalSettings

Answering = Literal["auto", "generate", "quote"]
Effort = Literal["quick", "normal", "thorough"]


class GraphSettings(BaseModel):
    """How much the agent thinks about a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: Effort = Field(
        "normal", description="quick = one look, one answer; normal = plan, answer, check; thorough = as normal for now"
    )
    answering: Answering = Field(
        "auto", description="How documents are answered from; auto = quote with tiny, which cannot write about them"
    )


class AgentSettings(ModelSettings, RetrievalSettings, GraphSettings):
    """What the agent needs to answer: its own section, the model's and the knowledge base's."""
