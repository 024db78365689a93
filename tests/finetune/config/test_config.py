"""What a configuration file may say, and what is said of one that may not."""

import ast
import shlex
from dataclasses import fields
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from finetune.adapters.targets import PROJECTOR, TEXT, TargetFrozen, TargetsUnmatched, check_targets, find_targets
from finetune.config.loading import READ_BY, KeyRefused, KeyTwice, UnknownKey, load_config
from finetune.config.schema import RESOLVED, SECTIONS, AdapterConfig, FinetuneConfig, ValueRefused
from finetune.config.source import ConfigUnreadable, NoFlag
from finetune.config.translations import NICKNAMES, TRANSLATIONS
from finetune.config.values import Optimizer, Scheduler
from model.pictures.frame_budget import FrameBudget

ROOT = Path(__file__).parents[3]
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
dataset: {train_json_path: data_vl.json, max_train_samples: -1, test_samples: 4, max_length: 8192,
          image_resize_height: 280, image_resize_width: 280}
training: {output_dir: ./output/moelora, per_device_train_batch_size: 1, gradient_accumulation_steps: 8,
           num_train_epochs: 5, max_steps: null, save_steps: 100, logging_steps: 10, logging_first_step: true,
           learning_rate: 1.0e-4, optim: adamw_torch, fp16: true, bf16: false, save_on_each_node: true,
           gradient_checkpointing: true, dataloader_num_workers: 0}
lora: {lora_type: moelora, r: 8, lora_alpha: 16, lora_dropout: 0.05, num_experts: 2, gate_dropout: 0.1,
       expert_capacity: 1, target_modules: [q_proj, k_proj, v_proj, o_proj]}
quantization: {load_in_4bit: true, bnb_4bit_use_double_quant: true, bnb_4bit_quant_type: nf4,
               bnb_4bit_compute_dtype: float16}
swanlab: {enabled: true, api_key: null, project: Qwen3-VL-finetune, experiment_name: coco, config: {a: 1}}
misc: {seed: 42, report_to: none}
"""

BEST = "load_best_model_at_end: true\nval_size: 2\neval_strategy: epoch\n"


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
    config = load_config(written(tmp_path, MOE_LORA))
    assert config.model.model_name_or_path == "./qwen3-vl-4b-instruct" and config.model.quantization_bit == 4
    assert config.data.dataset == ("data_vl.json",) and config.data.cutoff_len == 8192
    assert config.data.image_max_pixels == 280 * 280 and config.evaluation.val_size == 4
    adapter = config.adapter
    assert (adapter.finetuning_type, adapter.num_experts, adapter.top_k) == ("moe_lora", 2, 1)
    assert adapter.router_dropout == 0.1 and adapter.lora_target == ("q_proj", "k_proj", "v_proj", "o_proj")
    assert config.report.use_swanlab and config.report.swanlab_project == "Qwen3-VL-finetune"
    assert config.training.gradient_checkpointing and config.training.seed == 42 and config.training.max_steps == -1
    assert config.model.fp16 is True and config.model.bf16 is False and config.data.max_samples is None


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
        ("stage: ppo", ValueRefused, "sft"),
        ("shift_attn: true", KeyRefused, "attention is that of the checkpoint"),
        ("expert_capacity: 2", KeyRefused, "top_k"),
        ("swanlab: {api_key: abc}", KeyRefused, "SWANLAB_API_KEY"),
        ("learning_rate: fast", ValueRefused, "'learning_rate'"),
        ("learning_rate: -1", ValueRefused, "greater than 0"),
        ("training: {logging_first_step: 5}", ValueRefused, "'logging_first_step' cannot be 5"),
        ("logging_first_step: 5", ValueRefused, "boolean"),
        ("bf16: true\nfp16: true", ValueRefused, "only one"),
        ("finetuning_type: moe_lora\nnum_experts: 2\ntop_k: 3", ValueRefused, "only 2 experts"),
        ("finetuning_type: multiway\nnum_experts: 2\ntop_k: 3", ValueRefused, "only 2 experts"),
        ("finetuning_type: multiway\nnum_multiway_layers: 0\nnum_fusion_layers: 0", ValueRefused, "nothing is left"),
        ("denoising_steps: 3", ValueRefused, "only multiway"),
        ("finetuning_type: ia3\nloraplus_lr_ratio: 4", ValueRefused, "only lora and alora"),
        ("load_best_model_at_end: true", ValueRefused, "write val_size"),
        ("early_stopping_steps: 3\nval_size: 0.1", ValueRefused, "write eval_strategy"),
        ("load_best_model_at_end: true\nval_size: 2\neval_strategy: epoch\nsave_strategy: 'no'", ValueRefused, "steps"),
        ("metric_for_best_model: bleu", ValueRefused, "'eval_loss', 'eval_accuracy'.*'eval_rouge-l'"),
        (f"{BEST}metric_for_best_model: accuracy", ValueRefused, "write compute_accuracy: true, or one of eval_loss;"),
        (f"{BEST}metric_for_best_model: eval_rouge-l", ValueRefused, "write predict_with_generate: true"),
        (f"{BEST}metric_for_best_model: rewards/margins", ValueRefused, "write stage: dpo"),
        (f"{BEST}greater_is_better: true", ValueRefused, "of eval_loss the lowest is the best; write false"),
        ("stage: dpo\ncompute_accuracy: true", ValueRefused, "measures eval_rewards/accuracies"),
        ("video_min_pixels: 5000\nvideo_max_pixels: 4096", ValueRefused, "the largest frame has 4096"),
        ("packing: true\nneat_packing: false", KeyTwice, "keep one"),
        ("- a\n- b", ConfigUnreadable, "mapping"),
        ("a: [", ConfigUnreadable, "YAML"),
        ("lora_rank:\t4", ConfigUnreadable, "tab"),
        ("[" * 5000, ConfigUnreadable, "nested"),
        ("lora_rank: 4\nseed: 1\nlora_rank: 8", ConfigUnreadable, "'lora_rank' in line 1 and again in line 3"),
        ("adapter:\n  r: 4\nlora:\n  r: 4\n  r: 4", ConfigUnreadable, "'r' in line 4 and again in line 5"),
        ("learning_rate: true", ValueRefused, "it is a number"),
        ("lora_rank: true", ValueRefused, "it is a number"),
        ("learning_rate: .inf", ValueRefused, "finite"),
        ("learning_rate: [1e-4]", ValueRefused, "number"),
        ("max_steps: 0", ValueRefused, "-1"),
        ("seed: -1", ValueRefused, "greater"),
        ("val_size: 1.5", ValueRefused, "whole number of rows"),
        ("eval_dataset: a\nval_size: 0.1", ValueRefused, "write one"),
        ("output_dir: $HOME/run", ValueRefused, "write a path, with ~"),
        ("output_dir: ''", ValueRefused, "write a path"),
        ("lora_target: []", ValueRefused, "at least 1"),
        ("alora_invocation: ''", ValueRefused, "at least 1"),
        ("lr_scheduler_type: cosin", ValueRefused, "'cosine'"),
        ("optim: adam", ValueRefused, "'adamw_torch'"),
        ("finetuning_type: moe_lora\nuse_rslora: true", ValueRefused, "only lora and alora"),
        ("finetuning_type: moe_lora\nrouter: modality\nnum_experts: 3", ValueRefused, "a half each"),
        ("finetuning_type: moe_lora\nrouter: modality\nnum_experts: 2", ValueRefused, "only 1 experts for each"),
        ("finetuning_type: moe_lora\ntoken_mixing: 1", ValueRefused, "2 looks one token back"),
        ("dataset: {image_resize_height: a}", KeyRefused, "image_max_pixels"),
        ("lora: {lora_type: [a]}", KeyRefused, "'moelora'"),
        ("quantization: {load_in_4bit: 'false'}", KeyRefused, "true or false"),
        ("deepspeed: ds.json", KeyRefused, "accelerate"),
        ("temperature: 0.7", KeyRefused, "finetune evaluate"),
        ("lr: 1e-4", UnknownKey, "'learning_rate'"),
        ("epochs: 3", UnknownKey, "'num_train_epochs'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(
    tmp_path: Path, text: str, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        load_config(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("learning_rate: 1e-4", "learning_rate", 1e-4),  # a string to YAML 1.1, without the dot
        ("learning_rate: '2e-4'", "learning_rate", 2e-4),
        ("bf16: 'true'", "bf16", True),
        ("bf16: none", "bf16", None),
        ("quantization_bit: '4'", "quantization_bit", 4),
        ("quantization_bit: none", "quantization_bit", None),
        ("lora_alpha: null", "lora_alpha", None),
        ("packing: null", "packing", False),
        ("lora_target: null", "lora_target", ["all"]),
        ("report_to: [none]", "report_to", []),
        ("eval_strategy: no", "eval_strategy", "no"),
        ("run_name: 2024", "run_name", "2024"),
        ("resume_from_checkpoint: 'false'", "resume_from_checkpoint", False),
        ("resume_from_checkpoint: true", "resume_from_checkpoint", True),
        ("resume_from_checkpoint: a/checkpoint-5", "resume_from_checkpoint", "a/checkpoint-5"),
        ("output_dir: ~/runs", "output_dir", "~/runs"),
        ("dataset:\n- a, b.csv\n- c.csv", "dataset", ["a, b.csv", "c.csv"]),
        ("model:\ndata: {}\nlora_rank: 3", "lora_rank", 3),
        ("base: &x {}\nadapter:\n  <<: *x\n  lora_rank: 3", "lora_rank", 3),
    ],
)
def test_what_can_be_meant_in_one_way_is_taken_so_and_reads_back(
    tmp_path: Path, text: str, key: str, value: object
) -> None:
    config = load_config(written(tmp_path, text.replace("base: &x {}", "lora: &x {}")))
    assert {name: plain for section in config.to_dict().values() for name, plain in section.items()}[key] == value
    assert load_config(written(tmp_path, config.to_yaml())) == config


@pytest.mark.parametrize(
    ("flags", "key", "value"),
    [
        (["--lora_rank=4", "--lora_rank=8"], "lora_rank", 8),
        (["--lora-rank", "8"], "lora_rank", 8),
        (["--learning_rate", "2e-4"], "learning_rate", 2e-4),
        (["--max_steps", "-1"], "max_steps", -1),
        (["--run_name=2024-01-01"], "run_name", "2024-01-01"),
        (["--run_name=1:30"], "run_name", "1:30"),
        (["--output_dir=runs/a #1"], "output_dir", "runs/a #1"),
        (["--quantization_bit=8"], "quantization_bit", 8),
        (["--quantization_bit=none"], "quantization_bit", None),
        (["--quantization.load_in_4bit=True"], "quantization_bit", 4),
        (["--eval_strategy", "no"], "eval_strategy", "no"),
        (["--packing"], "packing", True),
        (["--lora_target=[q_proj, v_proj]"], "lora_target", ["q_proj", "v_proj"]),
    ],
)
def test_flags_are_taken_as_they_are_written(flags: list[str], key: str, value: object) -> None:
    config = load_config(None, flags)
    assert {name: plain for section in config.to_dict().values() for name, plain in section.items()}[key] == value


@pytest.mark.parametrize(
    ("flags", "error", "says"),
    [
        (["--dataset", "a.csv", "b.csv"], NoFlag, "'b.csv' belongs to no flag"),
        (["lora_rank=4"], NoFlag, "--key=value"),
        (["--lora_rank", "--packing"], ValueRefused, "it is a number"),
        (["--output_dir="], ValueRefused, "write a path"),
        (["--lora_rank=4", "--lora.r=8"], KeyTwice, "keep one"),
        (["--data.lora_rank=4"], UnknownKey, "'adapter.lora_rank'"),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(flags: list[str], error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        load_config(None, flags)


def test_keys_that_the_adapter_does_not_read_are_named(tmp_path: Path) -> None:
    told = load_config(written(tmp_path, "finetuning_type: ia3\nlora_rank: 16\nnum_experts: 4")).notes
    assert told == ("lora_rank: not read where finetuning_type is ia3",), "what says nothing new is not named"
    old = load_config(written(tmp_path, "adapter_name_or_path: runs/old\nlora_rank: 16"))
    assert old.notes == ("lora_rank: not read, the adapter 'runs/old' is trained on as it is",)


def test_what_a_mixture_refuses_the_configuration_refuses_before_any_weights() -> None:
    from model.adapters.moe_lora import MoeLoraConfig

    for router, experts, top_k, mixing in product(("token", "modality"), (1, 2, 3, 4), (1, 2, 3), (0, 1, 2)):
        options: dict[str, Any] = {"router": router, "num_experts": experts, "top_k": top_k, "token_mixing": mixing}
        try:
            MoeLoraConfig(**options)
        except ValueError:
            with pytest.raises(ValueRefused):
                load_config(None, ["--finetuning_type=moe_lora", *(f"--{k}={v}" for k, v in options.items())])
        else:
            load_config(None, ["--finetuning_type=moe_lora", *(f"--{k}={v}" for k, v in options.items())])


def test_schedulers_and_optimizers_are_transformers_own() -> None:
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    assert {*get_args(Scheduler)} <= {kind.value for kind in SchedulerType}
    assert {*get_args(Optimizer)} <= {kind.value for kind in OptimizerNames}


def test_a_file_of_llama_factory_that_does_not_say_has_its_sizes(tmp_path: Path) -> None:
    from finetune.data.configured import frame_budget

    config = load_config(written(tmp_path, "template: qwen3_vl\nvideo_max_pixels: 16384"))
    assert config.data.image_max_pixels == 768 * 768 and frame_budget(config) == FrameBudget(16384, 256)
    assert [note for note in config.notes if "pixels" in note] == [
        "image_max_pixels: 589824, as in LLaMA-Factory where a file does not say",
        "video_min_pixels: 256, as in LLaMA-Factory where a file does not say",
    ]
    own = load_config(written(tmp_path, "image_max_pixels: 4096"))
    assert frame_budget(own) is None and own.data.image_max_pixels == 4096
    assert frame_budget(load_config(None, ["--image_max_pixels=4096", "--video_min_pixels=9"])) == FrameBudget(4096, 9)


def test_what_may_decide_are_the_loss_and_all_that_is_measured(tmp_path: Path) -> None:
    from finetune.config.loading import MEASURES
    from finetune.evaluation.metrics.choice import METRICS

    taken = {"eval_loss", "eval_accuracy", "eval_rewards/accuracies", "eval_rewards/margins"}
    assert set(MEASURES) == taken | {f"eval_{name}" for name in METRICS}
    text = f"{BEST}compute_accuracy: true\nmetric_for_best_model: accuracy\ngreater_is_better: true"
    config = load_config(written(tmp_path, text))
    assert config.evaluation.metric_for_best_model == "eval_accuracy" and not config.notes
    told = load_config(written(tmp_path, "compute_accuracy: true\nmetric_for_best_model: eval_accuracy")).notes
    assert told == ("metric_for_best_model: not read without load_best_model_at_end or early_stopping_steps",)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigUnreadable, match="does not exist"):
        load_config(tmp_path / "none.yaml")


def test_no_key_stands_in_two_sections_and_every_key_is_told_of() -> None:
    names = [f.name for cls in SECTIONS.values() for f in fields(cls)]
    assert len(names) == len(set(names))
    tree = ast.parse((ROOT / "finetune" / "config" / "schema.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in {cls.__name__ for cls in SECTIONS.values()}:
            told = [isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in node.body]
            for place, each in enumerate(node.body):
                if isinstance(each, ast.AnnAssign):
                    assert told[place + 1], f"{node.name}.{ast.unparse(each.target)} has no line of text"


def keys_read(source: str) -> set[tuple[str, str]]:
    """Section and key of all that is taken out of a section: `config.data.packing`, `data.packing`."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
            found.add((node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id, node.attr))
    return found


def test_every_key_is_read_somewhere() -> None:
    """A key that nothing reads would be taken in silence; whoever adds one must use it."""
    files = [file for package in ("finetune", "cli") for file in (ROOT / package).rglob("*.py")]
    read = set().union(*(keys_read(file.read_text("utf-8")) for file in files if file.parent.name != "config"))
    unread = {(section, f.name) for section, cls in SECTIONS.items() for f in fields(cls)} - read
    assert not unread
    assert ("data", "name") not in keys_read("config.data; path.name"), "names that all have do not count"


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


def test_nicknames_lead_to_keys() -> None:
    keys = {f.name for cls in SECTIONS.values() for f in fields(cls)}
    assert set(NICKNAMES.values()) <= keys and not keys & set(NICKNAMES)
    assert set(READ_BY) <= {f.name for f in fields(AdapterConfig)}


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
