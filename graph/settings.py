"""The agent's section of the settings."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from model.settings import ModelSettings

Effort = Literal["quick", "normal", "thorough"]


class GraphSettings(BaseModel):
    """How much the agent thinks about a question."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    effort: Effort = Field(
        "normal", description="quick = one look, one answer; normal = plan, answer, check; thorough = as normal for now"
    )


class AgentSettings(ModelSettings, GraphSettings):
    """What the agent needs to answer: its own section and the model's."""
