"""What a configuration file may say, and what is said of one that may not."""

import ast
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from finetune.config import (
    RESOLVED,
    SECTIONS,
    ConfigUnreadable,
    FinetuneConfig,
    KeyRefused,
    KeyTwice,
    UnknownKey,
    ValueRefused,
    load_config,
)
from finetune.foreign_keys import TRANSLATIONS
from finetune.tuners import PROJECTOR, TEXT, TargetFrozen, TargetsUnmatched, check_targets, find_targets

ROOT = Path(__file__).parents[2]
LLAMA_FACTORY = """
model_name_or_path: Qwen/Qwen3-VL-4B-Instruct
image_max_pixels: 262144
video_max_pixels: 16384
trust_remote_code: true
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 8
lora_target: all
dataset: mllm_demo,identity
template: qwen3_vl
cutoff_len: 2048
max_samples: 1000
preprocessing_num_workers: 16
dataloader_num_workers: 4
output_dir: saves/qwen3-vl-4b/lora/sft
logging_steps: 10
save_steps: 500
plot_loss: true
overwrite_output_dir: true
save_only_model: false
report_to: none
per_device_train_batch_size: 1
gradient_accumulation_steps: 8
learning_rate: 1.0e-4
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
resume_from_checkpoint: null
val_size: 0.1
per_device_eval_batch_size: 1
eval_strategy: steps
eval_steps: 500
"""
MOE_LORA = """
model: {model_name_or_path: ./qwen3-vl-4b-instruct, trust_remote_code: true, use_cache: false,
        gradient_checkpointing: true}
dataset: {train_json_path: data_vl.json, max_train_samples: null, test_samples: 4, max_length: 8192,
          image_resize_height: 280, image_resize_width: 280}
training: {output_dir: ./output/moelora, per_device_train_batch_size: 1, gradient_accumulation_steps: 8,
           num_train_epochs: 5, save_steps: 100, logging_steps: 10, logging_first_step: true, learning_rate: 1.0e-4,
           fp16: true, save_on_each_node: true, gradient_checkpointing: true}
lora: {lora_type: moelora, r: 8, lora_alpha: 16, lora_dropout: 0.05, num_experts: 2, gate_dropout: 0.1,
       expert_capacity: 1, target_modules: [q_proj, k_proj, v_proj, o_proj]}
quantization: {load_in_4bit: true, bnb_4bit_use_double_quant: true, bnb_4bit_quant_type: nf4,
               bnb_4bit_compute_dtype: float16}
swanlab: {enabled: true, api_key: null, project: Qwen3-VL-finetune, experiment_name: coco, config: {a: 1}}
misc: {seed: 42, report_to: none}
"""


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, "utf-8")
    return file


def test_a_flat_file_of_llama_factory_is_read_as_it_is(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, LLAMA_FACTORY))
    assert config.data.dataset == ("mllm_demo", "identity")
    assert config.adapter.lora_target == ("all",) and config.adapter.lora_rank == 8
    assert config.training.learning_rate == 1e-4 and config.training.resume_from_checkpoint is False
    assert config.evaluation.val_size == 0.1 and config.model.bf16 is True and config.report.report_to == ()
    assert any(note.startswith("template:") for note in config.notes)


def test_the_configuration_of_qwen3_vl_moelora_is_read_as_it_is(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, MOE_LORA.replace("fp16: true, ", "")))
    assert config.model.model_name_or_path == "./qwen3-vl-4b-instruct" and config.model.quantization_bit == 4
    assert config.data.dataset == ("data_vl.json",) and config.data.cutoff_len == 8192
    assert config.data.image_max_pixels == 280 * 280 and config.evaluation.val_size == 4
    adapter = config.adapter
    assert (adapter.finetuning_type, adapter.num_experts, adapter.top_k) == ("moe_lora", 2, 1)
    assert adapter.router_dropout == 0.1 and adapter.lora_target == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert config.report.use_swanlab and config.report.swanlab_project == "Qwen3-VL-finetune"
    assert config.training.gradient_checkpointing and config.training.seed == 42


def test_its_flags_are_taken_and_win_over_the_file(tmp_path: Path) -> None:
    flags = shlex.split(
        "--model tiny --train_json rows.json --output_dir out --per_device_train_batch_size 2 "
        "--gradient_accumulation_steps 4 --num_train_epochs 5 --save_steps 100 --logging_steps 7 "
        "--learning_rate 2e-4 --training.seed=3 --packing"
    )
    config = load_config(written(tmp_path, LLAMA_FACTORY), flags)
    assert config.model.model_name_or_path == "tiny" and config.data.dataset == ("rows.json",)
    assert config.training.output_dir == Path("out") and config.training.per_device_train_batch_size == 2
    assert config.training.learning_rate == 2e-4 and config.training.seed == 3 and config.report.logging_steps == 7
    assert config.data.packing is True


def test_sections_and_the_resolved_file_come_to_the_same(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, LLAMA_FACTORY), ["--adapter.lora_alpha=32"])
    (tmp_path / RESOLVED).write_text(config.to_yaml(), "utf-8")
    assert load_config(tmp_path / RESOLVED) == config
    assert set(yaml.safe_load(config.to_yaml())) == set(SECTIONS)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("lora_rnk: 4", UnknownKey, "did you mean 'lora_rank'"),
        ("model: {lora_rank: 4}", UnknownKey, "did you mean 'adapter.lora_rank'"),
        ("zzz: 1", UnknownKey, "remove it"),
        ("stage: dpo", KeyRefused, "sft"),
        ("flash_attn: fa2", KeyRefused, "flash_attn: auto"),
        ("expert_capacity: 2", KeyRefused, "top_k"),
        ("swanlab: {api_key: abc}", KeyRefused, "SWANLAB_API_KEY"),
        ("learning_rate: fast", ValueRefused, "'learning_rate'"),
        ("learning_rate: -1", ValueRefused, "greater than 0"),
        ("training: {logging_first_step: 5}", ValueRefused, "'logging_first_step' cannot be 5"),
        ("logging_first_step: 5", ValueRefused, "boolean"),
        ("bf16: true\nfp16: true", ValueRefused, "only one"),
        ("finetuning_type: moe_lora\nnum_experts: 2\ntop_k: 3", ValueRefused, "only 2 experts"),
        ("packing: true\nneat_packing: false", KeyTwice, "keep one"),
        ("- a\n- b", ConfigUnreadable, "mapping"),
        ("a: [", ConfigUnreadable, "YAML"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    tmp_path: Path, text: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        load_config(written(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigUnreadable, match="does not exist"):
        load_config(tmp_path / "none.yaml")


def test_no_key_stands_in_two_sections_and_every_key_is_told_of() -> None:
    names = [f.name for cls in SECTIONS.values() for f in fields(cls)]
    assert len(names) == len(set(names))
    tree = ast.parse((ROOT / "finetune" / "config.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in {cls.__name__ for cls in SECTIONS.values()}:
            told = [isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body]
            for place, each in enumerate(node.body):
                if isinstance(each, ast.AnnAssign):
                    assert told[place + 1], f"{node.name}.{ast.unparse(each.target)} has no line of text"


def test_every_key_is_read_somewhere() -> None:
    """A key that nothing reads would be taken in silence; whoever adds one must use it."""
    read: set[str] = set()
    for package in ("finetune", "cli"):
        for file in (ROOT / package).rglob("*.py"):
            if file.name not in ("config.py", "foreign_keys.py"):
                tree = ast.parse(file.read_text("utf-8"))
                read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
                read |= {
                    node.value
                    for node in ast.walk(tree)
                    if isinstance(node, ast.Constant) and "freeze_" in str(node.value)
                }
    unread = {f.name for cls in SECTIONS.values() for f in fields(cls)} - read
    assert not unread


def test_every_key_and_its_default_stand_in_the_documentation() -> None:
    page = (ROOT / "docs" / "finetuning.md").read_text("utf-8")
    plain = FinetuneConfig().to_dict()
    for section in SECTIONS:
        for key, value in plain[section].items():
            assert f"| `{key}` | `" in page, key
            if isinstance(value, int | float) and not isinstance(value, bool):
                assert f"| `{key}` | `{value}` |" in page, key


@pytest.mark.parametrize("preset", sorted((ROOT / "examples" / "finetune").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_read_without_a_note(preset: Path) -> None:
    config = load_config(preset)
    assert config.data.dataset and not config.notes


def test_foreign_keys_hide_no_own_key() -> None:
    assert not {name for name in TRANSLATIONS if name in {f.name for cls in SECTIONS.values() for f in fields(cls)}}


NAMES = [
    "model.visual.blocks.0.attn.qkv", "model.visual.merger.linear_fc1",
    *(f"model.language_model.layers.0.self_attn.{n}_proj" for n in "qkvo"),
    *(f"model.language_model.layers.0.mlp.{n}_proj" for n in ("gate", "up", "down")),
]  # fmt: skip


def test_all_targets_are_those_that_are_not_frozen() -> None:
    config = FinetuneConfig()
    assert find_targets(("all",), config.model) == TEXT
    opened = config.changed(model={"freeze_multi_modal_projector": False, "freeze_language_model": True})
    assert find_targets(("all",), opened.model) == PROJECTOR
    assert find_targets((r"model\.language_model\..*",), config.model) == r"model\.language_model\..*"


def test_a_target_that_matches_nothing_is_refused_though_others_match() -> None:
    model = FinetuneConfig().model
    check_targets(["q_proj", "down_proj"], NAMES, model)
    with pytest.raises(TargetsUnmatched, match="no layer 'visual_k_proj' and no 'visual_q_proj'"):
        check_targets(["q_proj", "visual_q_proj", "visual_k_proj"], NAMES, model)
    with pytest.raises(TargetFrozen, match="freeze_vision_tower: false"):
        check_targets(["q_proj", "qkv"], NAMES, model)
