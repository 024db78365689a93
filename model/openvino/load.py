"""Loads a converted model into one `LoadedIR`, or says in one sentence why it cannot be. Converts nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.safe_text import first_sentence
from model.checkpoint import ModelCorrupt, read_json
from model.hub import OPENVINO_DEVICE, TINY, find_local, tiny_folder
from model.ir import IR, read_ir
from model.messages import Image, Text, Turn
from model.openvino.engine import Engine, Pipeline
from model.openvino.errors import EngineOptionRefused
from model.openvino.pictures import PictureSizes
from model.openvino.prompt import PICTURE_TAG, Template
from model.pictures.picture import Picture
from model.settings import ModelSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Progress = Callable[[str, float], None]
"""Called with a phase ("reading", "weights", "ready") and its share from 0 to 1."""

_MERGE = "merge it into the model that is converted: lorgnette model convert MODEL OUT --adapter FOLDER"
REFUSED: Mapping[str, tuple[Sequence[Any], str]] = {
    "adapter": ((None,), _MERGE),
    "node_adapters": (((),), "use the checkpoint itself, which is not converted"),
    "quantization": (
        ("auto", "none"),
        "its weights are as the conversion made them (lorgnette model convert --weights)",
    ),
    "attn_implementation": (("auto", "sdpa", "eager"), "leave it out"),
    "device_map": (("auto", "one"), "write the device behind the model, such as openvino:FOLDER#GPU"),
    "max_memory": (((),), "leave it out"),
    "offload_folder": ((None,), "leave it out"),
}
"""Settings of the local model that an IR does not have: what of them asks for nothing, and what to do instead."""


class Vocabulary:
    """A checkpoint's tokens, by the tokenizers library alone; as much of transformers' tokenizer as texts need."""

    def __init__(self, tokenizer: Any) -> None:
        """Take a `tokenizers.Tokenizer`."""
        self._tokenizer = tokenizer
        self.added_tokens_decoder: dict[int, Any] = dict(tokenizer.get_added_tokens_decoder())

    def convert_ids_to_tokens(self, token: int) -> str | None:
        """Return a token as the vocabulary has it; None beyond its end."""
        found: str | None = self._tokenizer.id_to_token(token)
        return found

    def encode(self, text: str) -> list[int]:
        """Return a text's tokens."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    @property
    def control_tokens(self) -> list[str]:
        """Texts of the tokens that nobody may type."""
        return [token.content for token in self.added_tokens_decoder.values() if token.special]


@dataclass(frozen=True)
class LoadedIR:
    """A converted model that is ready to answer."""

    engine: Engine
    ir: IR
    name: str
    """As the settings name it; `tiny` for the bundled checkpoint, whose limits stay what they are."""
    vocabulary: Vocabulary
    template: Template
    eos_token_ids: frozenset[int]
    adapter: None = None
    """One that was merged before is a part of the model."""

    @property
    def quantization(self) -> str:
        """The form of the weights: int4, int8, bf16, fp16 or fp32."""
        return self.ir.weights

    def picture_sizes(self, max_pixels: int | None) -> PictureSizes:
        """Return which sizes of pictures it reads."""
        return PictureSizes.of(self.ir.picture, max_pixels)

    def text_of(self, token: int) -> str:
        """Return a token as the vocabulary has it."""
        return self.vocabulary.convert_ids_to_tokens(token) or ""

    def prompt_ids(self, prompt: str, pictures: "Sequence[NDArray[np.uint8]]") -> list[int]:
        """Return a prompt's tokens, those of a picture under a name of the picture's own, which is negative."""
        ids: list[int] = []
        pads = int(self.ir.config["image_token_id"])
        side = self.picture_sizes(None).side
        shown = iter(pictures)
        for token in self.vocabulary.encode(prompt):
            if token != pads:
                ids.append(token)
                continue
            pixels = next(shown)
            tokens = (pixels.shape[1] // side) * (pixels.shape[2] // side)
            ids += [-1 - abs(hash((pixels.shape, pixels.tobytes())))] * tokens
        return ids


def load_ir(settings: ModelSettings, progress: Progress | None = None) -> LoadedIR:
    """Load the folder or the hub id that `openvino:` names; blocks for as long as it takes.

    Raises:
        EngineOptionRefused: A setting that an IR does not have, such as an adapter.
        ModelNotFound, ModelIncomplete, ModelCorrupt, ModelUnsupported: The folder.
        MissingExtra, EngineBroken: The machine.
    """
    report = progress or (lambda phase, share: None)
    report("reading", 0.0)
    for option, (harmless, instead) in REFUSED.items():
        value = getattr(settings, option)
        if value not in harmless:
            shown = str(value) if isinstance(value, Path) else value
            raise EngineOptionRefused(option, shown, instead)
    ir = read_ir(find_local(settings.model))
    vocabulary = _vocabulary(ir)
    template = Template(ir.chat_template, vocabulary.control_tokens)
    _try_template(template, ir)
    report("weights", 0.0)
    device = found[1] if (found := OPENVINO_DEVICE.search(settings.model)) else "CPU"
    engine = Pipeline(ir, device, settings.prefix_cache_mib)
    report("ready", 1.0)
    return LoadedIR(engine, ir, TINY if _is_bundled(ir) else settings.model, vocabulary, template, _eos_token_ids(ir))


def _is_bundled(ir: IR) -> bool:
    """Return whether it is the bundled checkpoint, converted."""
    own = read_json(tiny_folder(), "config.json", "install lorgnette again")["text_config"]
    keys = ("vocab_size", "hidden_size", "num_hidden_layers", "intermediate_size")
    return all(own[key] == ir.config["text_config"].get(key) for key in keys)


def _vocabulary(ir: IR) -> Vocabulary:
    from tokenizers import Tokenizer

    try:
        return Vocabulary(Tokenizer.from_file(str(ir.folder / "tokenizer.json")))
    except Exception as error:  # the library raises bare Exception for a broken file
        reason = f"has a tokenizer.json that cannot be read ({first_sentence(error)})"
        raise ModelCorrupt(ir.folder, reason, "convert the model again, or download the folder again") from error


def _eos_token_ids(ir: IR) -> frozenset[int]:
    generation = {}
    if (ir.folder / "generation_config.json").is_file():
        generation = read_json(ir.folder, "generation_config.json", "convert the model again")
    eos = generation.get("eos_token_id", ir.config["text_config"].get("eos_token_id"))
    return frozenset(eos if isinstance(eos, list) else [int(eos)])


def _try_template(template: Template, ir: IR) -> None:
    """Refuse a template that would fail at the first question, or that would leave the picture out."""
    from jinja2 import TemplateError
    from PIL import Image as PilImage

    shown = Picture("", None, PilImage.new("RGB", (1, 1)), "")
    fix = "convert the model again, or download the folder again"
    try:
        prompt = template.render([Turn("user", (Image(shown), Text("?")))])
    except (TemplateError, ValueError, TypeError, LookupError) as error:
        reason = f"has a chat template that cannot be used ({first_sentence(error)})"
        raise ModelCorrupt(ir.folder, reason, fix) from error
    if PICTURE_TAG not in prompt:
        raise ModelCorrupt(ir.folder, "has a chat template that leaves pictures out", fix)
