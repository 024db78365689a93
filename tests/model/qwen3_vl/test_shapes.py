import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from model.checkpoint import read_checkpoint
from model.qwen3_vl.load import load
from model.qwen3_vl.processor import encode
from model.qwen3_vl.shapes import SHAPES, build_config, build_on_meta, write_random
from model.settings import ModelSettings

pytestmark = pytest.mark.heavy

# What LoRA is put on, by regular expressions over the whole dotted name: modules a layer or block, and their count.
TARGETS = {
    r"model\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj": 4 * 36,
    r"model\.language_model\.layers\.\d+\.mlp\.(gate|up|down)_proj": 3 * 36,
    r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.linear_fc[12])": 4 * 24,
    r"model\.visual\.(merger|deepstack_merger_list\.\d+)\.linear_fc[12]": 2 * 4,
}


@pytest.mark.parametrize("size", SHAPES)
def test_a_shape_has_the_parameters_of_the_released_model(size: str) -> None:
    model = build_on_meta(build_config(SHAPES[size]))
    assert sum(parameter.numel() for parameter in model.parameters()) == SHAPES[size].parameters


def test_the_released_counts_are_the_known_ones() -> None:
    assert {size: shape.parameters for size, shape in SHAPES.items()} == {"2B": 2_127_532_032, "4B": 4_437_815_808}


def test_the_4b_has_the_module_names_that_lora_targets() -> None:
    names = [name for name, _ in build_on_meta(build_config(SHAPES["4B"])).named_modules()]
    assert {pattern: sum(bool(re.fullmatch(pattern, name)) for name in names) for pattern in TARGETS} == TARGETS


@pytest.mark.slow
def test_a_whole_2b_of_random_weights_loads_and_generates(tmp_path: Path) -> None:
    folder = tmp_path / "2b"
    write_random(SHAPES["2B"], folder)
    assert len(list(folder.glob("model-*-of-*.safetensors"))) > 1
    assert read_checkpoint(folder).parameters == SHAPES["2B"].parameters
    loaded = load(ModelSettings(model=str(folder), quantization="none"))
    assert sum(parameter.numel() for parameter in loaded.model.parameters()) == SHAPES["2B"].parameters
    inputs = encode(loaded.processor, [{"role": "user", "content": [
        {"type": "image", "image": Image.linear_gradient("L").convert("RGB")}, {"type": "text", "text": "What is it?"},
    ]}]).to(loaded.device)  # fmt: skip
    with torch.inference_mode():
        output = loaded.model.generate(**inputs, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    assert output.shape[1] == inputs["input_ids"].shape[1] + 2
    for file in folder.iterdir():  # 4 GB that pytest would keep for three runs
        file.unlink()
