"""Reads what a folder of a model converted for OpenVINO promises, and refuses broken and foreign ones.

IR is OpenVINO's form of a model: a graph in XML beside its weights in one file. Loads no weights and needs no OpenVINO:
it costs milliseconds also for large models.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.checkpoint import ModelCorrupt, ModelIncomplete, ModelUnsupported, read_json

GRAPHS = (
    "openvino_language_model",
    "openvino_text_embeddings_model",
    "openvino_vision_embeddings_model",
    "openvino_vision_embeddings_pos_model",
    "openvino_vision_embeddings_merger_model",
    "openvino_tokenizer",
    "openvino_detokenizer",
)
"""What a Qwen3-VL is cut into, each an .xml and a .bin."""
MODEL_TYPE = "qwen3_vl"
_WEIGHTS = re.compile(rb'\boffset="(\d+)"[^>]*?\bsize="(\d+)"|\bsize="(\d+)"[^>]*?\boffset="(\d+)"')
_FORMS = (("int4", (b'"u4"', b'"i4"')), ("int8", (b'"u8"', b'"i8"')), ("bf16", (b'"bf16"',)), ("fp16", (b'"f16"',)))


@dataclass(frozen=True)
class IR:
    """A folder whose files are all there and whole."""

    folder: Path
    config: dict[str, Any]
    """`config.json`, as the checkpoint had it."""
    picture: dict[str, Any]
    """`preprocessor_config.json`."""
    chat_template: str
    """In Jinja."""
    weights: str
    """Form of the language model's: int4, int8, bf16, fp16 or fp32."""
    bytes: int
    """Of all weights, which is what they take in memory."""

    @property
    def window(self) -> int:
        """How many tokens prompt and answer may have together."""
        return int(self.config["text_config"]["max_position_embeddings"])


def read_ir(folder: Path, *, fix: str = "convert the model again, or download the folder again") -> IR:
    """Return what the folder holds, after checking that it is a whole Qwen3-VL.

    Args:
        folder: As `lorgnette model convert` writes it, or as the hub has it.
        fix: What the user can do about a broken folder; the last clause of the error.

    Raises:
        ModelIncomplete, ModelCorrupt, ModelUnsupported: With the file that is to blame.
    """
    if not any(folder.glob("openvino_*.xml")):
        if any(folder.glob("*.safetensors")):
            reason, mend = "is not converted for OpenVINO", f"run: lorgnette model convert {folder} OUT"
        else:
            reason, mend = "holds no model that was converted for OpenVINO", "give the folder that holds openvino_*.xml"
        raise ModelUnsupported(folder, reason, mend)
    if not (folder / "config.json").is_file():
        raise ModelIncomplete(folder, "has no config.json", fix)
    config = read_json(folder, "config.json", fix)
    if (found := config.get("model_type")) != MODEL_TYPE:
        reason = f"holds a converted model of type {found!r}, not {MODEL_TYPE!r}"
        raise ModelUnsupported(folder, reason, "choose a Qwen3-VL such as 'Qwen/Qwen3-VL-2B-Instruct', and convert it")
    text = config.get("text_config")
    if not isinstance(text, dict) or not isinstance(text.get("max_position_embeddings"), int):
        raise ModelCorrupt(folder, "has a config.json without a text_config", fix)
    size = sum(_check_graph(folder, name, fix) for name in GRAPHS)
    for name in ("preprocessor_config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise ModelIncomplete(folder, f"has no {name}", fix)
    picture = read_json(folder, "preprocessor_config.json", fix)
    return IR(folder, config, picture, _read_template(folder, fix), _form_of(folder), size)


def _check_graph(folder: Path, name: str, fix: str) -> int:
    """Return how many bytes the weights of one graph have, after checking that none of them is cut off."""
    graph, weights = folder / f"{name}.xml", folder / f"{name}.bin"
    for path in (graph, weights):
        if not path.is_file():
            raise ModelIncomplete(folder, f"lacks {path.name}", fix)
    try:
        text, size = graph.read_bytes(), weights.stat().st_size
    except OSError as error:
        raise ModelCorrupt(folder, f"has a {graph.name} that cannot be read ({error.strerror})", fix) from error
    if not text.rstrip().endswith(b"</net>"):
        raise ModelCorrupt(folder, f"has a {graph.name} that is cut off or no IR", fix)
    ends = (int(a or d) + int(b or c) for a, b, c, d in _WEIGHTS.findall(text))
    needed = max(ends, default=0)
    if size < needed:
        reason = f"has a {weights.name} of {size:,} bytes that should have {needed:,}: it is cut off"
        raise ModelCorrupt(folder, reason, fix)
    return size


def _read_template(folder: Path, fix: str) -> str:
    """Return the chat template, from whichever of the three places it is kept in."""
    if (folder / "chat_template.jinja").is_file():
        try:
            return (folder / "chat_template.jinja").read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ModelCorrupt(folder, f"has a chat_template.jinja that cannot be read ({error})", fix) from error
    for name in ("chat_template.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            template = read_json(folder, name, fix).get("chat_template")
            if isinstance(template, str):
                return template
    raise ModelIncomplete(folder, "has no chat template", fix)


def _form_of(folder: Path) -> str:
    text = (folder / f"{GRAPHS[0]}.xml").read_bytes()
    return next((form for form, types in _FORMS if any(b"element_type=" + kind in text for kind in types)), "fp32")
