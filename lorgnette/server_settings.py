"""The server's section of the settings: what it offers, to whom, and how much of it."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


def _split(value: object) -> object:
    """An environment variable holds several names with commas between them."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_split)]


class ServerSettings(BaseModel):
    """What `lorgnette serve` does beside answering."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tools: Names = Field((), description="Offer only these tools; none named = all")
    exclude_tools: Names = Field((), description="Never offer these tools")
    read_only: bool = Field(False, description="Offer only tools that write nothing; wins over `tools`")
    jobs: bool = Field(
        False, description="Answer with a `job_id` where the time budget is too short, and offer the tool `get_job`"
    )
    job_limit_s: float = Field(
        900.0, gt=0, description="With `jobs`: seconds after which a job's answer ends with what there is"
    )
    calls_per_minute: int = Field(120, ge=0, description="Tool calls of one client in a minute; 0 = without limit")
    attach: Literal["auto", "never"] = Field(
        "auto", description="Use the model of a Lorgnette HTTP server that runs on this machine with the same model"
    )
    allowed_hosts: Names = Field(
        (), description="Host names by which HTTP clients may address the server, where it is not only this machine"
    )
    token: SecretStr | None = Field(
        None, description="Bearer token of HTTP clients; only from `LORGNETTE_TOKEN`, so that no file holds it"
    )
