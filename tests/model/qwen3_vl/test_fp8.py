"""A checkpoint of FP8 blocks with their scales, made of the bundled one, is read as its numbers are."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from model.checkpoint import ModelFolderError, ModelIncomplete, ModelUnsupported, read_checkpoint
from model.hub import tiny_folder
from model.qwen3_vl.load import Loaded, load
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

pytestmark = pytest.mark.heavy

BLOCK = 64
LARGEST = 448.0  # of float8_e4m3fn
HALF_STEP = 2.0**-4  # of three bits behind the point: the largest relative error of rounding


def to_fp8(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a matrix in blocks and the scales of these, (rows / BLOCK, columns / BLOCK)."""
    rows, columns = weight.shape[0] // BLOCK, weight.shape[1] // BLOCK
    blocks = weight.float().reshape(rows, BLOCK, columns, BLOCK)
    scales = blocks.abs().amax(dim=(1, 3)) / LARGEST
    codes = (blocks / scales[:, None, :, None]).to(torch.float8_e4m3fn)
    return codes.reshape(weight.shape), scales


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The FP8 checkpoint, and one that holds the same numbers unquantised."""
    home = tmp_path_factory.mktemp("fp8")
    small, plain = (Path(shutil.copytree(tiny_folder(), home / name)) for name in ("small", "plain"))
    quantized, rounded = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for name, tensor in load_file(tiny_folder() / "model.safetensors").items():
        rounded[name] = quantized[name] = tensor
        if ".language_model.layers." in name and name.endswith("proj.weight"):
            codes, scales = to_fp8(tensor)
            quantized[name], quantized[f"{name}_scale_inv"] = codes, scales
            spread = scales.repeat_interleave(BLOCK, 0).repeat_interleave(BLOCK, 1)
            rounded[name] = (codes.float() * spread).to(torch.bfloat16)
            error = (codes.float() * spread - tensor.float()).abs()
            assert (error <= HALF_STEP * tensor.float().abs() + spread * 2**-9).all(), "the checkpoint is made rightly"
    save_file(quantized, small / "model.safetensors", metadata={"format": "pt"})
    save_file(rounded, plain / "model.safetensors", metadata={"format": "pt"})
    edit(small, quantization_config={
        "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK],
        "modules_to_not_convert": ["lm_head", "model.visual"],
    })  # fmt: skip
    return small, plain


def edit(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def logits(loaded: Loaded) -> torch.Tensor:
    turn = [
        {"type": "image", "image": Image.linear_gradient("L").convert("RGB")},
        {"type": "text", "text": "What is it?"},
    ]
    inputs = encode(loaded.processor, [{"role": "user", "content": turn}]).to(loaded.device)
    with torch.inference_mode():
        return loaded.model(**inputs).logits[0, -1].float().cpu()


def test_fp8_weights_are_read_with_their_scales(folders: tuple[Path, Path], capfd: pytest.CaptureFixture[str]) -> None:
    small, plain = folders
    read, same, whole = (
        load(ModelSettings(model=model), dtype=torch.float32) for model in (str(small), str(plain), str(tiny_folder()))
    )
    assert capfd.readouterr() == ("", "")
    assert read.quantization == "none"
    assert {parameter.dtype for parameter in read.model.parameters()} == {torch.float32}
    torch.testing.assert_close(logits(read), logits(same), rtol=0, atol=0.05)  # bfloat16 in `plain` rounds once more
    lost = (logits(read) - logits(whole)).std() / logits(whole).std()
    assert lost < 0.1, "what FP8 itself loses was 4 %"


def test_bytes_count_what_the_weights_become(folders: tuple[Path, Path]) -> None:
    small, plain = map(read_checkpoint, folders)
    assert small.stored_form == "fp8" and plain.stored_form is None
    assert small.bytes_needed(2) == plain.bytes_needed(2)


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_fp8_weights_are_not_quantised_once_more(folders: tuple[Path, Path], quantization: str) -> None:
    with pytest.raises(ModelUnsupported, match="has fp8 weights, which are not quantised once more; leave the quant"):
        load(ModelSettings.model_validate({"model": str(folders[0]), "quantization": quantization}))


@pytest.mark.parametrize(
    ("error", "words"),
    [(ModelIncomplete, "has no scales for 'model.language_model"), (ModelUnsupported, "blocks of 128")],
)
def test_fp8_weights_that_would_be_read_wrongly_are_refused(
    error: type[ModelFolderError], words: str, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders[0], tmp_path / "model"))
    if error is ModelIncomplete:
        tensors = load_file(folder / "model.safetensors")
        del tensors["model.language_model.layers.0.mlp.up_proj.weight_scale_inv"]
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        edit(folder, quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]})
    with pytest.raises(error, match=words):
        load(ModelSettings(model=str(folder)))
