"""Whether pictures of every kind are seen as they mean them: at the prompt, by the tool, and as a `data:` URL.

`python -m benchmarks.pictures [--show]`: each kind of `kinds.py` is asked about through `lorgnette ask`, the tool
`ask_image` of a server, and through the tool again with its bytes as a `data:` URL. Behind all of them stands the
agent, and in place of a model one that keeps the pixels it is shown. A kind is right if it is seen as drawn, or refused
for its reason.
"""

import argparse
import asyncio
import base64
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from PIL import Image
from pydantic import Field

from benchmarks.pictures.kinds import Kind, is_seen, kinds
from benchmarks.report import publish, show

USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
DOORS = ("prompt", "tool", "data: URL")


class Looking(BaseChatModel):
    """Says one word, and keeps what it is shown."""

    shown: list[Image.Image] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "looking"

    def _look(self, messages: list[BaseMessage]) -> None:
        for message in messages:
            for block in message.content if isinstance(message.content, list) else []:
                if isinstance(block, dict) and block.get("type") == "image":
                    self.shown.append(block["image"].image)
                elif isinstance(block, dict) and block.get("type") == "video":
                    self.shown += [frame.image for frame in block["frames"]]

    def _generate(self, messages: list[BaseMessage], *_: Any, **__: Any) -> ChatResult:
        self._look(messages)
        return ChatResult(generations=[ChatGeneration(message=AIMessage("seen", usage_metadata=USAGE))])

    def _stream(self, messages: list[BaseMessage], *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        self._look(messages)
        yield ChatGenerationChunk(
            message=AIMessageChunk(content="seen", usage_metadata=USAGE, response_metadata={"finish_reason": "stop"})
        )


class Doors:
    """The ways in to one agent whose model looks."""

    def __init__(self, folder: Path) -> None:
        from graph.agent import Agent
        from lorgnette.settings import Settings
        from model.open import ModelIdentity

        self._folder, self._chat = folder, Looking()
        self._settings = Settings(roots=(folder,), sessions="none", effort="quick")
        self._agent = Agent(self._chat, ModelIdentity("looking", None, "none"), self._settings)

    def ask(self, door: str, kind: Kind) -> str:
        """Return what came of it: seen, wrong, or the reason for which it was refused."""
        self._chat.shown.clear()
        named = kind.asked or kind.name
        if door == "prompt":
            refused = self._prompt(named)
        else:
            if door == "data: URL" and not kind.asked:
                named = f"data:application/octet-stream;base64,{base64.b64encode(kind.data).decode()}"
            refused = asyncio.run(self._tool(named))
        if refused:
            return refused
        return "seen" if any(is_seen(image, kind.grey) for image in self._chat.shown) else "wrong"

    def _prompt(self, named: str) -> str:
        from cli.edge import Run
        from cli.main import app

        run = Run(open_agent=lambda *_: self._agent)
        arguments = ["ask", "--effort", "quick", "--root", str(self._folder), "--", "What is it?", named]
        result = CliRunner().invoke(app, arguments, obj=run)
        return "" if result.exit_code == 0 else result.output.strip() or repr(result.exception)

    async def _tool(self, named: str) -> str:
        from mcp import Client

        from mcp_server.app import build_server

        async with Client(build_server(self._settings, lambda *_: self._agent)) as client:
            sent = {"question": "What is it?", "images": [named], "effort": "quick"}
            result = await client.call_tool("ask_image", sent)
        return str(getattr(result.content[0], "text", "")) if result.is_error else ""


def outcome(found: str, kind: Kind) -> bool:
    """Return whether this is what must come of the kind."""
    from model.errors import ImageError

    if not kind.refused:
        return found == "seen"
    sentence = ImageError.SENTENCES[kind.refused]
    parts = [part.partition("}")[2] for part in sentence.split("{")] if sentence.startswith("{") else []
    words = max((part for part in [sentence.partition("{")[0], *parts]), key=len).strip(" .,;")
    return " ".join(words.split()) in " ".join(found.split())


def main() -> None:
    """Ask about all kinds by all doors, print and publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print what came of each kind, and publish nothing")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["LORGNETTE_HOME"] = home
        os.environ["XDG_CONFIG_HOME"] = home
        rows, wrong = measure(Path(home) / "pictures")
    for line in wrong:
        print(line)
    if options.show:
        show("Pictures", rows)
    else:
        publish("pictures", "Kinds of picture that are seen as drawn, or refused for their reason", rows, wrong=wrong)


def measure(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each group of kinds, and what came out wrong."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    doors, wrong = Doors(folder), list[str]()
    counts: dict[str, dict[str, int]] = {}
    for kind in kinds():
        if kind.data or not kind.asked:
            (folder / kind.name).write_bytes(kind.data)
        row = counts.setdefault(kind.group, dict.fromkeys(("kinds", "refused for a reason", *DOORS), 0))
        row["kinds"] += 1
        row["refused for a reason"] += bool(kind.refused)
        for door in DOORS:
            found = doors.ask(door, kind)
            if outcome(found, kind):
                row[door] += 1
            else:
                wrong.append(f"{kind.name} by {door}: {found[:160]!r}, wanted {kind.refused or 'seen'}")
    rows: list[dict[str, Any]] = [{"group": group, **row} for group, row in counts.items()]
    total = {"group": "all", **{key: sum(row[key] for row in counts.values()) for key in next(iter(counts.values()))}}
    return [*rows, total], wrong


if __name__ == "__main__":
    main()
