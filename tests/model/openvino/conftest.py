"""A folder like a converted model's, and an engine that writes what a test tells it to, with the bundled tokens."""

import json
import shutil
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from model.hub import tiny_folder
from model.ir import GRAPHS, read_ir
from model.openvino.chat import ChatOpenVINO
from model.openvino.engine import Token, WritingOptions
from model.openvino.load import LoadedIR, Vocabulary
from model.openvino.prompt import Template

GRAPH = (
    '<net name="x"><layers><layer type="Const"><data element_type="{type}" offset="0" size="8"/></layer></layers></net>'
)


def write_ir(folder: Path, element_type: str = "u4") -> Path:
    """Write the files of a converted model, each graph with eight bytes of weights."""
    folder.mkdir()
    for name in GRAPHS:
        (folder / f"{name}.xml").write_text(GRAPH.format(type=element_type))
        (folder / f"{name}.bin").write_bytes(bytes(8))
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "generation_config.json",
    ):
        shutil.copy(tiny_folder() / name, folder / name)
    picture = json.loads((tiny_folder() / "processor_config.json").read_text())["image_processor"]
    (folder / "preprocessor_config.json").write_text(json.dumps(picture))
    return folder


@pytest.fixture
def ir_folder(tmp_path: Path) -> Path:
    return write_ir(tmp_path / "ir")


class ScriptedEngine:
    """Writes the texts that it was given, one after the other, a token a step, each with probability one half."""

    capacity = 512
    block_tokens = 4

    def __init__(self) -> None:
        self.tokenizer = Tokenizer.from_file(str(tiny_folder() / "tokenizer.json"))
        self.texts: list[str] = []
        self.prompts: list[str] = []
        self.pictures: list[list[tuple[int, ...]]] = []
        self.options: list[WritingOptions] = []
        self.closed = 0
        """Answers that were ended before their last token."""
        self.after: Callable[[int], None] = lambda token: None
        """Called after each token with how many there were."""

    def write(self, prompt: str, pictures: Sequence[Any], options: WritingOptions) -> Generator[Token | None]:
        self.prompts.append(prompt)
        self.pictures.append([pixels.shape for pixels in pictures])
        self.options.append(options)
        ids = self.tokenizer.encode(self.texts.pop(0), add_special_tokens=False).ids
        yield None  # the prompt is read
        try:
            for number, token in enumerate(ids[: options.max_new_tokens], start=1):
                yield Token(token, float(np.log(0.5)))
                self.after(number)
        except GeneratorExit:
            self.closed += 1
            raise


END = int(json.loads((tiny_folder() / "config.json").read_text("utf-8"))["text_config"]["eos_token_id"])


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def chat(engine: ScriptedEngine, ir_folder: Path) -> Iterator[ChatOpenVINO]:
    ir = read_ir(ir_folder)
    vocabulary = Vocabulary(engine.tokenizer)
    template = Template(ir.chat_template, vocabulary.control_tokens)
    loaded = LoadedIR(engine, ir, "openvino:x", vocabulary, template, frozenset({END}))
    model = ChatOpenVINO(loaded=loaded, max_new_tokens=12, thinking_tokens=8)
    yield model
    model.close()
