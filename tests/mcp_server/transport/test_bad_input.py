"""Bad pictures, models and adapters asked about over stdio: each is an error of its call, and the server lives on."""

import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters
from PIL import Image

from graph.answer import Answer
from model.hub import tiny_folder

pytestmark = [pytest.mark.anyio, pytest.mark.heavy]

REFUSED = {
    "gone.png": "There is no file 'gone.png'",
    ".": "is a folder",
    "empty.png": "is empty",
    "text.png": "convert it to PNG",
    "cut.jpg": "damaged or truncated",
    "huge.png": "save it smaller",
    "../elsewhere.png": "outside the allowed folders",
    "/etc/hostname": "outside the allowed folders",
    "file:///etc/hostname": "outside the allowed folders",
    "file://server/a.png": "is a file: address of another machine",
    "http://127.0.0.1:9/a.png": "never fetched",
    "data:image/png;base64,%%%": "write it as 'data:image/png;base64,...'",
    "data:image/png;base64,AAAA": "convert it to PNG",
}


@asynccontextmanager
async def served(root: Path, *arguments: str) -> AsyncIterator[Client]:
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "cli.main", "serve", "--root", str(root), "--effort", "quick", "--time-budget", "300", *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    async with Client(server, read_timeout_seconds=120) as client:
        yield client


async def ask(client: Client, picture: str) -> tuple[bool, str]:
    """Return whether the call failed, and its text."""
    arguments = {"question": "How many objects are there?", "images": [picture], "max_new_tokens": 4}
    result = await client.call_tool("ask_image", arguments)
    if not result.is_error:
        Answer.model_validate(result.structured_content)
    (block,) = result.content
    return bool(result.is_error), str(getattr(block, "text", ""))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "pics"
    folder.mkdir()
    Image.new("RGB", (64, 48), "red").save(folder / "good.png")
    Image.effect_noise((64, 48), 90).save(folder / "cut.jpg")
    os.truncate(folder / "cut.jpg", 800)
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("Dear Sir or Madam,")
    with (folder / "huge.png").open("wb") as file:
        file.truncate(65 * 1024 * 1024)  # sparse
    return folder


async def test_every_bad_picture_is_an_error_of_its_call_and_the_next_one_is_answered(root: Path) -> None:
    refused = dict(REFUSED)
    if os.name == "posix":
        os.mkfifo(root / "pipe.png")
        refused["pipe.png"] = "is a pipe"
        (root / "out.png").symlink_to("/etc/hostname")
        refused["out.png"] = "outside the allowed folders"
    async with served(root) as client:
        for picture, words in refused.items():
            failed, text = await ask(client, picture)
            assert failed, picture
            assert words in text
            assert "Traceback" not in text
        failed, _ = await ask(client, "good.png")
        assert not failed


async def test_a_broken_model_is_an_error_of_each_call_until_it_is_mended(root: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_folder(), tmp_path / "model"))
    os.truncate(folder / "model.safetensors", 1_000_000)
    async with served(root, "--model", str(folder)) as client:
        for _ in range(2):
            failed, text = await ask(client, "good.png")
            assert failed
            assert "it is cut off; copy it again." in text
        shutil.copy(tiny_folder() / "model.safetensors", folder)
        failed, _ = await ask(client, "good.png")
        assert not failed


async def test_a_missing_adapter_is_an_error_of_the_call(root: Path, tmp_path: Path) -> None:
    async with served(root, "--adapter", str(tmp_path / "nothing")) as client:
        failed, text = await ask(client, "good.png")
        assert failed
        assert "does not exist; give the folder" in text
        assert (await client.list_tools()).tools
