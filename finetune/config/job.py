"""What a configuration of LLaMA-Factory's asks for: to train, to predict, to merge an adapter or to serve a model.

There one file and one of the words `train`, `export`, `api` and `chat` say it; here the keys of the file do, and the
word may come along. Keys of training are `finetune.config.loading`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.config.loading import ITS_PIXELS, load_config
from finetune.config.schema import SECTIONS, FinetuneConfig, ValueRefused
from finetune.config.source import parse_overrides, read_pairs
from finetune.config.translations import FOREIGN_SECTIONS

Kind = Literal["train", "predict", "export", "serve"]
R = TypeVar("R", bound=BaseModel)


class Predicting(BaseModel):
    """How answers are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_new_tokens: int = Field(1024, ge=1, le=32_768)
    temperature: float = Field(0.95, ge=0)
    """0 takes the likeliest token; the defaults are LLaMA-Factory's."""
    top_p: float = Field(0.7, gt=0, le=1)
    top_k: int = Field(50, ge=0)
    do_sample: bool = True
    repetition_penalty: float = Field(1.0, gt=0)
    num_beams: Literal[1] = 1
    length_penalty: Literal[1] = 1
    skip_special_tokens: Literal[True] = True


class Exporting(BaseModel):
    """What is written of a merged model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    export_dir: Path | None = None
    export_size: int = Field(5, ge=1)
    """Largest file of weights in GB."""
    export_device: Literal["auto", "cpu", "cuda"] = "auto"
    export_legacy_format: Literal[False] = False
    export_quantization_bit: None = None
    export_quantization_dataset: None = None
    export_hub_model_id: None = None


WRITE_INSTEAD = {
    "num_beams": "beams are not searched; write 1",
    "length_penalty": "it only counts with beams; leave it out",
    "skip_special_tokens": "control tokens are no part of an answer; leave it out",
    "export_legacy_format": "weights are written as safetensors alone; write false",
    "export_quantization_bit": "load the merged model with --quantization nf4; leave it out",
    "export_quantization_dataset": "load the merged model with --quantization nf4; leave it out",
    "export_hub_model_id": "nothing is uploaded; run `hf upload NAME FOLDER` afterwards, and leave it out",
}
DOING = ("do_train", "do_predict", "do_eval")
ENGINE = "the model answers itself; for vLLM or SGLang start it, and name its address as model_name_or_path"
SERVING = {
    "infer_backend": ENGINE,
    "infer_dtype": "the arithmetic follows bf16 and fp16, or the device",
    "use_cache": "not needed, answers always keep keys and values",
    **dict.fromkeys(
        ("vllm_maxlen", "vllm_gpu_util", "vllm_enforce_eager", "vllm_max_lora_rank", "vllm_config", "sglang_maxlen",
         "sglang_mem_fraction", "sglang_tp_size"), ENGINE,
    ),
    "api_host": "the variable API_HOST says it, as there",
    "api_port": "the variable API_PORT says it, as there",
}  # fmt: skip
"""Why keys of a configuration for serving are not read."""


@dataclass(frozen=True)
class Job:
    """A configuration and what it is for."""

    kind: Kind
    config: FinetuneConfig
    predicting: Predicting
    exporting: Exporting
    then_predicts: bool = False
    """Whether the training is followed by a prediction."""

    @property
    def adapter(self) -> Path | None:
        """The adapter that is measured, merged or served."""
        return self.config.model.adapter_name_or_path


def read_job(path: Path | None, overrides: Sequence[str] = (), word: str | None = None) -> Job:
    """Read a configuration and find out what it asks for.

    Args:
        path: The file; None for the flags alone.
        overrides: As `finetune.config.loading.load_config`.
        word: `train`, `export`, `api` or `chat`, as LLaMA-Factory's command has it; None lets the file say it.

    Raises:
        FinetuneError: As `load_config`; a value that has no meaning here says what to write.
    """
    sections = {*SECTIONS, *FOREIGN_SECTIONS}
    given = dict(read_pairs(path, sections)) if path is not None else {}
    given |= dict(parse_overrides(overrides))
    own = (*Predicting.model_fields, *Exporting.model_fields, *SERVING, *DOING)
    config = load_config(path, overrides, leave_out=own)
    unread = tuple(f"{name}: {SERVING[name]}" for name in given if name in SERVING)
    config = replace(config, notes=(*config.notes, *unread))
    predicting = _read(Predicting, given)
    exporting = _read(Exporting, given)
    wants = {name: _truth(name, given[name]) for name in DOING if name in given}
    trains, predicts = wants.get("do_train"), wants.get("do_predict", False)
    kind: Kind
    if word == "export" or (word is None and exporting.export_dir is not None):
        kind = "export"
    elif word in ("api", "chat") or (word is None and _only_a_model(given)):
        kind = "serve"
    elif trains is None and predicts:
        kind = "predict"
    elif trains is False:
        if not predicts:
            raise ValueRefused("do_train", False, "then nothing is to be done; write do_train or do_predict: true")
        kind = "predict"
    else:
        kind = "train"
    if kind == "export":  # which opens no picture
        config = replace(config, notes=tuple(note for note in config.notes if not note.startswith(tuple(ITS_PIXELS))))
    return Job(kind, config, predicting, exporting, then_predicts=kind == "train" and predicts)


def _only_a_model(given: dict[str, Any]) -> bool:
    working = {"dataset", "eval_dataset", "output_dir", "predict_with_generate", *DOING}
    return "model_name_or_path" in given and not working & set(given)


def _truth(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "false"):
        return str(value).lower() == "true"
    raise ValueRefused(name, value, "write true or false")


def _read(form: type[R], given: dict[str, Any]) -> R:
    own = {name: given[name] for name in form.model_fields if name in given}
    try:
        return form.model_validate(own)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = str(first["loc"][0])
        raise ValueRefused(name, own[name], WRITE_INSTEAD.get(name, str(first["msg"]))) from None
