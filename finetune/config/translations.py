"""What the keys of other programs mean here: LLaMA-Factory's, and the sections and flags of Qwen3-VL-MoeLORA.

A key is translated, accepted with a note because only one of its values has a meaning here, or refused with what to
write instead. Knows no own key: those are `finetune.config.schema`'s.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune.config.foreign_keys import CHANGES_NOTHING, NOT_HERE

SPEED_ONLY = "its kernels are not used, the results are the same"
SWANLAB_KEY = "no key of an account belongs into a file; run `swanlab login`, or set SWANLAB_API_KEY"


class Refused(Exception):
    """Why a key has no meaning here, and what to write instead."""


@dataclass(frozen=True)
class Translated:
    """Own keys with their values, none where the key needs none, and what the user should know of it."""

    values: dict[str, Any] = field(default_factory=dict)
    note: str = ""


Translation = Callable[[Any, Mapping[str, Any]], Translated]


def translate(name: str, value: Any, given: Mapping[str, Any]) -> Translated | None:
    """Return what the key means, or None where no program here is known to have it.

    Args:
        name: The key, with its section before a dot where it stood in one.
        value: Its value.
        given: All keys of the same file, for those that only mean something together.

    Raises:
        Refused: The key, or this value of it, has no meaning here.
    """
    if name.startswith("swanlab.config."):
        return Translated(note="the whole resolved configuration is logged instead")
    translation = TRANSLATIONS.get(name)
    return None if translation is None else translation(value, given)


def _as(own: str) -> Translation:
    return lambda value, given: Translated({own: value})


def _only(*accepted: Any, note: str = "", otherwise: str) -> Translation:
    """Accept the values that change nothing, and refuse the rest."""

    def check(value: Any, given: Mapping[str, Any]) -> Translated:
        if value not in accepted and _read(value) not in accepted:
            raise Refused(otherwise)
        return Translated(note=note)

    return check


def _read(value: Any) -> Any:
    """Return what a word of the command line would be in a file: a number, nothing, or itself."""
    import yaml

    if not isinstance(value, str):
        return value
    try:
        return float(value)  # which YAML takes for a word where it is 1e-6
    except ValueError:
        pass
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value


def _never(instead: str) -> Translation:
    def refuse(value: Any, given: Mapping[str, Any]) -> Translated:
        raise Refused(instead)

    return refuse


def _noted(note: str) -> Translation:
    return lambda value, given: Translated(note=note)


def _switch(on: Mapping[str, Any], off: Mapping[str, Any], note: str = "") -> Translation:
    """Take true for some keys and false for others; a quoted "false" would else count as true."""

    def choose(value: Any, given: Mapping[str, Any]) -> Translated:
        if not isinstance(value, bool):
            raise Refused("write true or false")
        return Translated(dict(on if value else off), note)

    return choose


def _not(own: str) -> Translation:
    return _switch({own: False}, {own: True})


def _one_of(meanings: Mapping[str, dict[str, Any]]) -> Translation:
    def choose(value: Any, given: Mapping[str, Any]) -> Translated:
        if not isinstance(value, str) or value not in meanings:
            raise Refused(f"write one of {', '.join(map(repr, meanings))}")
        return Translated(dict(meanings[value]))

    return choose


def _bits(bits: int) -> Translation:
    return _switch({"quantization_bit": bits}, {})


def _resize(value: Any, given: Mapping[str, Any]) -> Translated:
    sides = [given.get(f"dataset.image_resize_{side}") for side in ("height", "width")]
    texts = [str(value if side is None else side) for side in sides]
    if value is None or texts == ["None", "None"]:
        return Translated()
    if not all(text.isdecimal() for text in texts):
        raise Refused("it is a whole number of pixels; or write image_max_pixels")
    height, width = map(int, texts)
    note = f"pictures keep their shape; image_max_pixels is {height} x {width}"
    return Translated({"image_max_pixels": height * width}, note)


def _all_or(own: str) -> Translation:
    """Take null and -1 for all."""
    return lambda value, given: Translated({} if value is None or str(value) == "-1" else {own: value})


def _api_key(value: Any, given: Mapping[str, Any]) -> Translated:
    if value:
        raise Refused(SWANLAB_KEY)
    return Translated()


def _dtype(value: Any, given: Mapping[str, Any]) -> Translated:
    name = str(value).removeprefix("torch.")
    if name in ("auto", "None", "null"):
        return Translated()
    meanings = {"bfloat16": {"bf16": True}, "float16": {"fp16": True}, "float32": {"bf16": False}}
    if name not in meanings:
        raise Refused("write one of 'auto', 'bfloat16', 'float16', 'float32'")
    return Translated(dict(meanings[name]))


LORA_TYPES: dict[str, dict[str, Any]] = {
    "lora": {"finetuning_type": "lora"},
    "moelora": {"finetuning_type": "moe_lora"},
    "motlora": {"finetuning_type": "moe_lora", "token_mixing": 3},
    "ia3": {"finetuning_type": "ia3"},
}
# What users of other programs call a key, where its own name is not near enough to be guessed.
NICKNAMES = {
    "lr": "learning_rate", "r": "lora_rank", "alpha": "lora_alpha", "epochs": "num_train_epochs",
    "batch_size": "per_device_train_batch_size", "evaluation_strategy": "eval_strategy",
    "target_modules": "lora_target", "modules_to_save": "additional_target", "image_folder": "media_dir",
    "max_length": "cutoff_len", "max_seq_length": "cutoff_len", "load_in_4bit": "quantization_bit",
    "load_in_8bit": "quantization_bit", "moe_aux_loss_coef": "router_aux_loss_coef",
}  # fmt: skip
PROCESSES = "several processes are started by accelerate; leave it out, docs/finetuning.md shows how"
SAMPLING = "how answers are sampled is no part of training; give it to `lorgnette finetune evaluate`, or leave it out"
WHOLE = "all rows are read before the training begins; leave it out"
UPLOAD = "nothing is uploaded; run `hf upload NAME output_dir` afterwards, and leave it out"
ON_TOP = "the adapter that adapter_name_or_path names is trained on; merge it first for a new one on top"
PREFERENCES = "of preferences DPO alone is trained, against the model as it begins; leave it out"
OPTIMIZERS = "write one of optim's names instead, and false"
NF4 = "4 bits are always NF4 with doubled quantization; leave the key out"
ARITHMETIC = "the arithmetic follows bf16 and fp16"

TRANSLATIONS: dict[str, Translation] = {
    # LLaMA-Factory
    "do_train": _only(True, otherwise="to see the configuration without training, add --dry-run"),
    "do_eval": _noted("eval_strategy decides"),
    "do_predict": _only(False, otherwise="`lorgnette finetune FILE` predicts where do_train is not set; give it there"),
    "template": _only(
        "qwen3_vl",
        "qwen3_vl_nothink",
        None,
        note="the checkpoint's own chat template is used",
        otherwise="the checkpoint's own chat template is always used; leave the key out",
    ),
    "trust_remote_code": _noted("not needed, no code of a checkpoint is ever run"),
    "overwrite_cache": _noted("not needed, nothing out of date is taken from the cache"),
    "use_fast_tokenizer": _noted("not needed"),
    "save_on_each_node": _noted("not needed, the first node saves"),
    "include_num_input_tokens_seen": _noted("not needed"),
    "include_tokens_per_second": _noted("the log has it"),
    "enable_thinking": _only(
        False,
        note="answers are learned as they stand",
        otherwise="thinking is learned where the answers hold it; write enable_thinking: false",
    ),
    "freeze_vit": _as("freeze_vision_tower"),
    "freeze_aligner": _as("freeze_multi_modal_projector"),
    "freeze_llm": _as("freeze_language_model"),
    "torch_dtype": _dtype,
    "logging_dir": _noted("logs go into output_dir"),
    "neftune_noise_alpha": _only(None, 0, otherwise="no noise is added to embeddings; leave it out"),
    "push_to_hub": _only(
        False, otherwise="nothing is uploaded; run `hf upload NAME output_dir` afterwards, and leave it out"
    ),
    "hub_model_id": _noted("nothing is uploaded; run `hf upload NAME output_dir` afterwards"),
    "model_revision": _only("main", otherwise="pull that revision with `lorgnette model pull`; write main"),
    "cache_dir": _noted("models are where `lorgnette model pull` lays them"),
    "low_cpu_mem_usage": _noted("not needed, weights are always loaded without a second copy"),
    "resize_vocab": _only(False, otherwise="no words are added to a tokenizer; write false"),
    "rope_scaling": _only(None, otherwise="positions are those of the checkpoint; leave it out"),
    "shift_attn": _only(False, otherwise="attention is that of the checkpoint; write false"),
    "use_galore": _only(False, otherwise=OPTIMIZERS),
    "use_badam": _only(False, otherwise=OPTIMIZERS),
    "use_apollo": _only(False, otherwise=OPTIMIZERS),
    "use_muon": _only(False, otherwise=OPTIMIZERS),
    "use_adam_mini": _only(False, otherwise=OPTIMIZERS),
    "interleave_probs": _only(None, otherwise="rows of several files are joined; leave it out"),
    "ignore_pad_token_for_loss": _only(True, otherwise="padding is never learned; write true"),
    "val_max_samples": _as("max_samples"),
    "create_new_adapter": _only(
        False,
        otherwise="an adapter is trained on where adapter_name_or_path names one; merge it first for a new one on top",
    ),
    "lora_bias": _only("none", otherwise="biases are not trained; leave it out"),
    "print_param_status": _noted("--dry-run prints what is trained"),
    "ref_model": _never(PREFERENCES),
    "reward_model": _never(PREFERENCES),
    "neat_packing": _as("packing"),
    "flash_attn": _noted("SDPA is used, which gives the same numbers"),
    "disable_gradient_checkpointing": _not("gradient_checkpointing"),
    "use_reentrant_gc": _only(False, otherwise="only the non-reentrant form is right for adapters; write false"),
    "pure_bf16": _switch({"bf16": True}, {}, "adapters stay in float32"),
    "quantization_method": _only("bnb", "bitsandbytes", otherwise="only bitsandbytes is used; write bnb"),
    "quantization_type": _only("nf4", otherwise=NF4),
    "double_quantization": _only(True, otherwise=NF4),
    "swanlab_run_name": _as("run_name"),
    "swanlab_api_key": _api_key,
    "train_on_prompt": _only(False, otherwise="only the assistant's words are learned; write false"),
    "use_unsloth": _noted(SPEED_ONLY),
    "enable_liger_kernel": _noted(SPEED_ONLY),
    "use_liger_kernel": _noted(SPEED_ONLY),
    "routing_strategy": _one_of({"mixtral": {"router": "token"}, "switch": {"router": "token", "top_k": 1}}),
    "router_z_loss_coef": _never("the router is computed in float32 and needs no such loss; leave it out"),
    "expert_capacity": _never("every expert takes all tokens routed to it; set top_k, the experts of a token"),
    "group_by_modality_length": _as("group_by_length"),
    "deepspeed": _only(None, otherwise=PROCESSES),
    "fsdp": _only(None, "", otherwise=PROCESSES),
    "ray_num_workers": _never(PROCESSES),
    "streaming": _only(False, otherwise=WHOLE),
    "mix_strategy": _only("concat", otherwise="rows of several files are joined; write concat"),
    "tokenized_path": _only(None, otherwise="what the tower sees is kept by vision_cache; leave it out"),
    "preprocessing_batch_size": _noted("not needed, rows are prepared one by one"),
    "image_min_pixels": _noted("the checkpoint's own least size of a picture holds"),
    "video_fps": _noted("a video is a list of frames, and all of them are read"),
    "video_maxlen": _noted("a video is a list of frames, and all of them are read"),
    "upcast_layernorm": _only(False, otherwise=ARITHMETIC),
    "disable_shuffling": _only(False, otherwise="rows are shuffled by seed; write false"),
    "gradient_checkpointing_kwargs": _only(None, {}, otherwise="write gradient_checkpointing: true, and leave it out"),
    "train_sampling_strategy": _one_of(
        {"random": {"group_by_length": False}, "group_by_length": {"group_by_length": True}}
    ),
    "gradient_checkpointing_kwargs.use_reentrant": _only(
        False, otherwise="only the non-reentrant form is right for adapters; write false"
    ),
    **dict.fromkeys(("max_new_tokens", "temperature", "top_p", "do_sample"), _never(SAMPLING)),
    **{name: _only(*taken, otherwise=instead) for instead, keys in NOT_HERE for name, taken in keys.items()},
    **{name: _noted(why) for name, why in CHANGES_NOTHING.items()},
    # Qwen3-VL-MoeLORA: flags
    "model": _as("model_name_or_path"),
    "train_json": _as("dataset"),
    # Qwen3-VL-MoeLORA: sections
    "model.trust_remote_code": _noted("not needed, no code of a checkpoint is ever run"),
    "model.use_cache": _noted("not needed, training never keeps keys and values"),
    "model.gradient_checkpointing": _as("gradient_checkpointing"),
    "dataset.train_json_path": _as("dataset"),
    "dataset.max_train_samples": _all_or("max_samples"),
    "dataset.test_samples": _as("val_size"),
    "dataset.max_length": _as("cutoff_len"),
    "dataset.image_resize_height": _resize,
    "dataset.image_resize_width": _resize,
    "training.fp16": _as("fp16"),
    "training.bf16": _as("bf16"),
    "training.dataloader_num_workers": _as("dataloader_num_workers"),
    "training.logging_steps": _as("logging_steps"),
    "training.logging_first_step": _as("logging_first_step"),
    "training.save_on_each_node": _noted("not needed, the first node saves"),
    "lora.lora_type": _one_of(LORA_TYPES),
    "lora.r": _as("lora_rank"),
    "lora.lora_alpha": _as("lora_alpha"),
    "lora.lora_dropout": _as("lora_dropout"),
    "lora.num_experts": _as("num_experts"),
    "lora.expert_capacity": _as("top_k"),
    "lora.gate_dropout": _as("router_dropout"),
    "lora.target_modules": _as("lora_target"),
    "quantization.load_in_4bit": _bits(4),
    "quantization.load_in_8bit": _bits(8),
    "quantization.bnb_4bit_use_double_quant": _only(True, otherwise=NF4),
    "quantization.bnb_4bit_quant_type": _only("nf4", otherwise=NF4),
    "quantization.bnb_4bit_compute_dtype": _noted(ARITHMETIC),
    "swanlab.enabled": _as("use_swanlab"),
    "swanlab.api_key": _api_key,
    "swanlab.project": _as("swanlab_project"),
    "swanlab.experiment_name": _as("run_name"),
    "misc.seed": _as("seed"),
    "misc.report_to": _as("report_to"),
}
FOREIGN_SECTIONS = {name.partition(".")[0] for name in TRANSLATIONS if "." in name} | {"swanlab.config"}
