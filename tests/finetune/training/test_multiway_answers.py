"""A Multiway adapter that was trained here, asked about a picture as any client asks."""

from collections.abc import Callable
from pathlib import Path

import pytest
from mcp import Client
from PIL import Image

from finetune.config.schema import FinetuneConfig
from finetune.training.train import train
from lorgnette.opening import open_served_agent
from lorgnette.settings import Settings
from mcp_server.app import build_server

pytestmark = pytest.mark.training


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_multiway_adapter_trained_here_answers_through_ask_image(
    quick: Callable[..., FinetuneConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    Image.new("RGB", (96, 64), "red").save(tmp_path / "red.png")
    folder = train(quick("--finetuning_type=multiway", "--max_steps=2", "--attention_heads=4")).output_dir
    settings = Settings(
        roots=(tmp_path,), time_budget_s=3000.0, sessions="none", attach="never", kb=tmp_path / "none", adapter=folder
    )
    agent = open_served_agent(settings, lambda phase, share: None)
    async with Client(build_server(settings, lambda own, _: agent)) as client:
        asked = {"question": "What is it?", "images": ["red.png"], "effort": "quick", "max_new_tokens": 8}
        result = await client.call_tool("ask_image", asked)
    assert not result.is_error and result.structured_content is not None
    assert result.structured_content["model"]["adapter"] == str(folder)
    assert result.structured_content["answer"].strip()
