"""What a configuration of LLaMA-Factory's asks for, in the words of a published tutorial."""

from pathlib import Path

import pytest

from finetune.config.job import read_job
from finetune.config.loading import KeyRefused, UnknownKey
from finetune.config.schema import ValueRefused

TRAIN = """
bf16: false
dataset: open_eqa_train_val
do_train: true
enable_thinking: false
finetuning_type: lora
freeze_multi_modal_projector: true
freeze_vision_tower: true
image_max_pixels: 589824
include_num_input_tokens_seen: true
model_name_or_path: tiny
optim: adamw_torch
output_dir: saves/train
stage: sft
template: qwen3_vl_nothink
video_max_pixels: 65536
"""
PREDICT = """
adapter_name_or_path: saves/train/checkpoint-12
do_predict: true
eval_dataset: open_eqa_test
max_new_tokens: 128
model_name_or_path: tiny
output_dir: saves/eval
predict_with_generate: true
temperature: 0.2
top_p: 1.0
"""
EXPORT = """
model_name_or_path: tiny
adapter_name_or_path: saves/train
export_dir: saves/merge
export_size: 2
export_device: auto
export_legacy_format: false
"""
SERVE = """
model_name_or_path: saves/merge
template: qwen3_vl_nothink
finetuning_type: lora
infer_backend: huggingface
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "args.yaml"
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "kind"), [(TRAIN, "train"), (PREDICT, "predict"), (EXPORT, "export"), (SERVE, "serve")]
)
def test_the_file_says_what_is_to_be_done(tmp_path: Path, text: str, kind: str) -> None:
    assert read_job(file(tmp_path, text)).kind == kind


def test_its_sizes_of_pictures_hold_where_pictures_are_opened(tmp_path: Path) -> None:
    from cli.finetune.job import _flags
    from lorgnette.settings import load_settings

    served = read_job(file(tmp_path, SERVE))
    settings = load_settings(**_flags(served))
    assert (settings.max_pixels, settings.video_max_pixels) == (768 * 768, 256 * 256)
    exported = read_job(file(tmp_path, EXPORT + "template: qwen3_vl\n"))
    assert any("pixels" in note for note in served.config.notes)
    assert not any("pixels" in note for note in exported.config.notes)


def test_predicting_is_with_the_adapter_the_rows_and_the_sampling_that_the_file_names(tmp_path: Path) -> None:
    job = read_job(file(tmp_path, PREDICT))
    assert job.adapter == Path("saves/train/checkpoint-12")
    assert job.config.evaluation.eval_dataset == ("open_eqa_test",)
    assert (job.predicting.max_new_tokens, job.predicting.temperature, job.predicting.top_p) == (128, 0.2, 1.0)
    assert job.config.training.output_dir == Path("saves/eval")


def test_a_training_may_be_followed_by_a_prediction(tmp_path: Path) -> None:
    job = read_job(file(tmp_path, TRAIN + "do_predict: true\neval_dataset: open_eqa_test\n"))
    assert (job.kind, job.then_predicts) == ("train", True)


def test_the_word_of_the_command_wins_over_the_file(tmp_path: Path) -> None:
    assert read_job(file(tmp_path, TRAIN), word="chat").kind == "serve"


def test_flags_lie_over_the_file(tmp_path: Path) -> None:
    job = read_job(file(tmp_path, EXPORT), ["--export_size=1", "--export_dir", "elsewhere"])
    assert (job.exporting.export_size, job.exporting.export_dir) == (1, Path("elsewhere"))


@pytest.mark.parametrize(
    ("line", "said"),
    [("export_legacy_format: true", "safetensors alone; write false"), ("export_size: 0", "greater than or equal to 1"),
     ("export_quantization_bit: 4", "--quantization nf4"), ("num_beams: 4", "beams are not searched")],
)  # fmt: skip
def test_a_value_that_has_no_meaning_here_says_what_to_write(tmp_path: Path, line: str, said: str) -> None:
    key = line.partition(":")[0]
    lines = [kept for kept in EXPORT.splitlines() if not kept.startswith(key)]
    with pytest.raises(ValueRefused, match=said):
        read_job(file(tmp_path, "\n".join([*lines, line])))


def test_doing_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueRefused, match="nothing is to be done"):
        read_job(file(tmp_path, TRAIN.replace("do_train: true", "do_train: false")))


def test_keys_of_training_mean_what_they_mean_there(tmp_path: Path) -> None:
    more = "torch_dtype: bfloat16\nadam_beta2: 0.95\ndata_seed: 7\nlogging_dir: logs\n"
    config = read_job(file(tmp_path, TRAIN.replace("bf16: false\n", "") + more)).config
    assert config.model.bf16 is True
    assert (config.training.adam_beta2, config.training.data_seed) == (0.95, 7)
    with pytest.raises(KeyRefused, match="hf upload"):
        read_job(file(tmp_path, TRAIN + "push_to_hub: true\n"))
    with pytest.raises(UnknownKey, match="did you mean 'learning_rate'"):
        read_job(file(tmp_path, TRAIN + "learning_rat: 1\n"))
