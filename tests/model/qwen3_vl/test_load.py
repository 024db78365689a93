import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers.utils import logging as transformers_logging

from model import device as devices
from model.adapters.attach import AdapterCorrupt, AdapterMismatch, AdapterNotFound, AdapterUnknown
from model.checkpoint import (
    Checkpoint,
    ModelCorrupt,
    ModelFolderError,
    ModelIncomplete,
    ModelUnsupported,
    Tensor,
    read_checkpoint,
)
from model.hub import ModelNotFound, tiny_folder
from model.qwen3_vl.load import Loaded, choose_quantization, load
from model.qwen3_vl.loading.weights import QuantizationUnavailable
from model.qwen3_vl.placement import NotEnoughMemory
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

pytestmark = pytest.mark.heavy

ON_CPU = not torch.cuda.is_available() and not torch.backends.mps.is_available()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled checkpoint that a test may break."""
    return Path(shutil.copytree(tiny_folder(), tmp_path / "model"))


@pytest.fixture(scope="module")
def tiny() -> Loaded:
    return load(ModelSettings(model="tiny"))


def logits(loaded: Loaded) -> torch.Tensor:
    inputs = encode(loaded.processor, [{"role": "user", "content": [
        {"type": "image", "image": Image.linear_gradient("L").convert("RGB")}, {"type": "text", "text": "What is it?"},
    ]}]).to(loaded.device)  # fmt: skip
    with torch.inference_mode():
        return loaded.model(**inputs).logits[0, -1].float().cpu()


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# The bundled checkpoint


def test_tiny_is_ready_to_answer_in_float32(tiny: Loaded) -> None:
    assert (tiny.name, tiny.adapter, tiny.quantization, tiny.dtype) == ("tiny", None, "none", torch.float32)
    assert not tiny.model.training
    assert not any(parameter.requires_grad for parameter in tiny.model.parameters())
    assert {parameter.dtype for parameter in tiny.model.parameters()} == {torch.float32}


def test_the_patch_embedding_is_a_matrix_and_computes_what_the_convolution_does() -> None:
    """In a process of its own: a fusion that transformers has been asked for once holds for all later models."""
    script = """
import torch
from transformers import Qwen3VLForConditionalGeneration
from model.hub import tiny_folder
from model.qwen3_vl.load import load
from model.settings import ModelSettings

tiny = load(ModelSettings(model="tiny"))
plain = Qwen3VLForConditionalGeneration.from_pretrained(tiny_folder(), dtype=torch.float32, fusion_config={})
torch.manual_seed(0)
patches = torch.randn(8, 1536)
mine = tiny.model.model.visual.patch_embed
calls = []
hook = mine.proj.register_forward_pre_hook(lambda module, args: calls.append(args))
with torch.inference_mode():
    right = plain.model.visual.patch_embed(patches)
    torch.testing.assert_close(mine(patches.to(tiny.device)).cpu(), right, rtol=1e-4, atol=1e-4)  # sums of 1,536
hook.remove()
assert calls == []
assert tiny.model.state_dict().keys() == plain.state_dict().keys()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_progress_rises_through_the_phases_and_ends_ready() -> None:
    calls: list[tuple[str, float]] = []
    load(ModelSettings(model="tiny"), lambda phase, share: calls.append((phase, share)))
    assert list(dict.fromkeys(phase for phase, _ in calls)) == ["reading", "weights", "ready"]
    weights = [share for phase, share in calls if phase == "weights"]
    assert weights == sorted(weights)
    assert weights[0] == 0 and weights[-1] == 1 and len(weights) > 50
    assert calls[-1] == ("ready", 1.0)


def test_loading_writes_nothing_and_leaves_transformers_logging_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    verbosity, hook = transformers_logging.get_verbosity(), transformers_logging.set_tqdm_hook(None)
    load(ModelSettings(model="tiny"))
    assert capfd.readouterr() == ("", "")
    assert transformers_logging.get_verbosity() == verbosity
    assert transformers_logging.set_tqdm_hook(hook) is None


# Other folders


@pytest.mark.skipif(not ON_CPU, reason="the dtype is that of the CPU")
def test_another_folder_is_loaded_in_bfloat16(folder: Path) -> None:
    assert load(ModelSettings(model=str(folder))).dtype == torch.bfloat16


@pytest.mark.parametrize(("quantization", "layer"), [("nf4", "Linear4bit"), ("int8", "Linear8bitLt")])
def test_quantisation_takes_the_language_layers_and_spares_head_and_vision(quantization: str, layer: str) -> None:
    pytest.importorskip("bitsandbytes")
    loaded = load(ModelSettings(model="tiny", quantization=quantization))
    kinds = {name: type(module).__name__ for name, module in loaded.model.named_modules()}
    assert kinds["model.language_model.layers.0.mlp.up_proj"] == layer
    assert kinds["lm_head"] == kinds["model.visual.blocks.0.mlp.linear_fc1"] == "CpuLinear"
    assert loaded.quantization == quantization
    assert logits(loaded).isfinite().all()


def test_quantisation_that_bitsandbytes_has_not_for_the_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    bitsandbytes = pytest.importorskip("bitsandbytes")
    with monkeypatch.context() as patch:
        patch.setattr(bitsandbytes, "supported_torch_devices", {"abacus"})
        with pytest.raises(QuantizationUnavailable, match=r"does not know it.*leave the quantization out"):
            load(ModelSettings(model="tiny", quantization="nf4"))
    monkeypatch.setattr(devices, "find_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(devices, "available_bytes", lambda where: 2**40)
    monkeypatch.setattr(bitsandbytes.cextension.lib, "compiled_with_cuda", False, raising=False)
    with pytest.raises(QuantizationUnavailable, match=r"cuda .*found no library for its CUDA"):
        load(ModelSettings(model="tiny", quantization="int8"))


@pytest.mark.parametrize(
    ("model", "wanted", "device", "free_gib", "expected"),
    [
        ("a/folder", "auto", "cuda", 0.01, "nf4"),  # 9 MB of weights and their working space in 10 MB
        ("a/folder", "auto", "cuda", 8, "none"),  # it fits
        ("a/folder", "auto", "cpu", 0.001, "none"),
        ("tiny", "auto", "cuda", 0.001, "none"),
        ("a/folder", "int8", "cuda", 80, "int8"),
        ("a/folder", "none", "cuda", 0.001, "none"),
    ],
)
def test_auto_quantises_only_what_does_not_fit_a_small_card(
    model: str, wanted: str, device: str, free_gib: float, expected: str
) -> None:
    checkpoint = Checkpoint(Path(model), {}, {"weight": Tensor("BF16", (4_700_000,))})
    settings = ModelSettings(model=model, quantization=wanted)
    free = int(free_gib * 2**30)
    assert choose_quantization(settings, checkpoint, torch.bfloat16, torch.device(device), free) == expected


def test_auto_leaves_a_large_card_alone() -> None:
    checkpoint = Checkpoint(Path("a"), {}, {"weight": Tensor("BF16", (2**34,))})  # 32 GiB
    settings = ModelSettings(model="a/folder")
    assert choose_quantization(settings, checkpoint, torch.bfloat16, torch.device("cuda"), 13 * 2**30) == "none"


def test_an_id_that_was_never_pulled_names_the_command_that_pulls_it() -> None:
    with pytest.raises(ModelNotFound, match="run: lorgnette model pull nobody/no-such-model"):
        load(ModelSettings(model="nobody/no-such-model"))


def test_a_folder_that_does_not_exist_is_not_taken_for_an_id() -> None:
    with pytest.raises(ModelNotFound, match="give a folder"):
        load(ModelSettings(model="./no/such/folder"))


def test_a_torchvision_made_for_another_torch_is_named_as_the_culprit(tmp_path: Path) -> None:
    (tmp_path / "torchvision").mkdir()
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    (tmp_path / "torchvision" / "__init__.py").write_text(broken)
    (tmp_path / "torchvision-0.28.0.dist-info").mkdir()
    (tmp_path / "torchvision-0.28.0.dist-info" / "METADATA").write_text("Name: torchvision\nVersion: 0.28.0\n")
    script = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from model.qwen3_vl.load import LibraryBroken, load
from model.settings import ModelSettings
try:
    load(ModelSettings(model="tiny"))
except LibraryBroken as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "nms does not exist" in done.stdout, done.stderr
    assert "pip uninstall torchvision" in done.stdout


def drop_tensor(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.language_model.layers.3.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def fewer_layers(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] -= 1
    (folder / "config.json").write_text(json.dumps(config))


def wider(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["intermediate_size"] *= 2
    (folder / "config.json").write_text(json.dumps(config))


def name_a_missing_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def only_pickles(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def only_an_adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda f: (f / "config.json").unlink(), ModelIncomplete, "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), ModelCorrupt, "config.json that cannot be read"),
        (lambda f: (f / "config.json").write_text("[]"), ModelCorrupt, "config.json that is no JSON object"),
        (lambda f: edit_json(f / "config.json", model_type="llama"), ModelUnsupported, "of type 'llama'"),
        (lambda f: (f / "model.safetensors").unlink(), ModelIncomplete, "lacks model.safetensors"),
        (lambda f: cut(f / "model.safetensors"), ModelCorrupt, "it is cut off"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 64), ModelCorrupt, "no safetensors file"),
        (lambda f: (f / "model.safetensors").write_bytes(b""), ModelCorrupt, "no safetensors file"),
        (name_a_missing_shard, ModelIncomplete, "lacks model-00002-of-00002.safetensors"),
        (only_pickles, ModelUnsupported, "can run code"),
        (only_an_adapter, ModelUnsupported, "holds an adapter, not a model"),
        (lambda f: (f / "tokenizer.json").unlink(), ModelIncomplete, "has no tokenizer"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), ModelCorrupt, "tokenizer or processor that cannot be read"),
        (lambda f: (f / "processor_config.json").unlink(), ModelIncomplete, "has no processor_config.json"),
        (lambda f: (f / "chat_template.jinja").unlink(), ModelIncomplete, "has no chat template"),
        (drop_tensor, ModelIncomplete, "no weights for 'model.language_model.layers.3.mlp.up_proj.weight'"),
        (fewer_layers, ModelCorrupt, "weights that its config.json does not describe"),
        (wider, ModelCorrupt, "configuration and weights that do not fit together"),
    ],
)
def test_a_broken_folder_is_refused_by_what_is_wrong_with_it(
    folder: Path, spoil: Callable[[Path], object], error: type[ModelFolderError], words: str
) -> None:
    spoil(folder)
    with pytest.raises(error, match=words) as caught:
        load(ModelSettings(model=str(folder)))
    assert str(caught.value).startswith(f"The model folder {str(folder)!r} ")
    assert "\n" not in str(caught.value)


def enormous(folder: Path) -> None:
    """Replace the weights by four terabytes of nothing: a sparse file with an honest header."""
    header = json.dumps(
        {"model.language_model.layers.0.mlp.up_proj.weight": {
            "dtype": "BF16", "shape": [2_000_000, 1_000_000], "data_offsets": [0, 4_000_000_000_000],
        }}
    ).encode()  # fmt: skip
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 4_000_000_000_000)


def test_a_model_larger_than_memory_is_refused_before_it_is_read(folder: Path) -> None:
    enormous(folder)
    with pytest.raises(NotEnoughMemory, match=r"needs about 4,\d{3}\.\d GiB.*set quantization to nf4") as caught:
        load(ModelSettings(model=str(folder)))
    assert caught.value.needed > 4_000_000_000_000 > caught.value.available > 0


def test_what_is_too_large_in_four_bits_is_not_told_to_use_four_bits(folder: Path) -> None:
    enormous(folder)
    with pytest.raises(NotEnoughMemory, match="choose a smaller model") as caught:
        load(ModelSettings(model=str(folder), quantization="nf4"))
    assert "nf4" not in str(caught.value)
    assert 1_000_000_000_000 < caught.value.needed < 1_300_000_000_000


def test_needed_bytes_count_layers_by_their_quantisation_and_all_else_by_the_dtype() -> None:
    checkpoint = read_checkpoint(tiny_folder())
    matrices = sum(
        tensor.values for name, tensor in checkpoint.tensors.items()
        if ".layers." in name and name.endswith("proj.weight")
    )  # fmt: skip
    assert checkpoint.bytes_needed(2) == 2 * checkpoint.parameters
    assert checkpoint.bytes_needed(2, "int8") == 2 * checkpoint.parameters - matrices


# Adapters


@pytest.fixture(scope="module")
def saved_adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA on q and v of the bundled checkpoint, with weights that do something."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a property of its old name
        using = get_peft_model(load(ModelSettings(model="tiny")).model, config)
    folder = tmp_path_factory.mktemp("saved")
    using.save_pretrained(str(folder))
    edit_json(folder / "adapter_config.json", base_model_name_or_path="somebody/a-base")
    return folder


@pytest.fixture
def adapter(saved_adapter: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved_adapter, tmp_path / "adapter"))


def test_an_adapter_is_in_use_and_changes_the_answer(adapter: Path, tiny: Loaded) -> None:
    calls: list[str] = []
    loaded = load(ModelSettings(model="tiny", adapter=adapter), lambda phase, share: calls.append(phase))
    assert loaded.adapter == str(adapter)
    assert "adapter" in calls
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert (logits(loaded) - logits(tiny)).abs().max() > 1e-3
    with loaded.model.disable_adapter():
        torch.testing.assert_close(logits(loaded), logits(tiny))


def test_an_adapter_is_in_use_over_four_bits(adapter: Path) -> None:
    pytest.importorskip("bitsandbytes")
    loaded = load(ModelSettings(model="tiny", adapter=adapter, quantization="nf4"))
    assert logits(loaded).isfinite().all()


def test_attaching_an_adapter_asks_nothing_of_the_network(adapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        calls.append("connect")
        raise OSError("no network here")

    calls: list[str] = []
    monkeypatch.setattr("socket.getaddrinfo", connect)
    monkeypatch.setattr("socket.socket.connect", connect)
    load(ModelSettings(model="tiny", adapter=adapter))
    assert calls == []


def test_one_misspelt_target_of_two_is_refused_by_its_name(adapter: Path) -> None:
    edit_json(adapter / "adapter_config.json", target_modules=["q_proj", "v_proj", "visual_q_proj"])
    with pytest.raises(AdapterMismatch, match=r"targets 'visual_q_proj'.*made for 'somebody/a-base'") as caught:
        load(ModelSettings(model="tiny", adapter=adapter))
    assert caught.value.targets == ("visual_q_proj",)


def test_a_pattern_that_matches_no_module_is_refused(adapter: Path) -> None:
    edit_json(adapter / "adapter_config.json", target_modules=r"transformer\.h\.\d+\.attn")
    with pytest.raises(AdapterMismatch, match="targets"):
        load(ModelSettings(model="tiny", adapter=adapter))


def test_an_adapter_of_a_wider_base_is_refused_in_one_sentence(adapter: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    wide = {name: torch.cat([t, t], dim=1) if "lora_A" in name else t for name, t in tensors.items()}
    save_file(wide, adapter / "adapter_model.safetensors")
    with pytest.raises(AdapterMismatch, match=r"does not fit this model.*size mismatch") as caught:
        load(ModelSettings(model="tiny", adapter=adapter))
    assert "\n" not in str(caught.value)


def test_an_adapter_of_a_deeper_base_is_refused(adapter: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    deeper = {name.replace("layers.0.", "layers.30."): t.clone() for name, t in tensors.items() if "layers.0." in name}
    save_file(tensors | deeper, adapter / "adapter_model.safetensors")
    with pytest.raises(AdapterMismatch, match=r"has weights for .*layers\.30\."):
        load(ModelSettings(model="tiny", adapter=adapter))


def test_an_adapter_that_lacks_a_tensor_is_refused(adapter: Path) -> None:
    tensors = load_file(adapter / "adapter_model.safetensors")
    tensors.popitem()
    save_file(tensors, adapter / "adapter_model.safetensors")
    with pytest.raises(AdapterCorrupt, match="lacks 'base_model"):
        load(ModelSettings(model="tiny", adapter=adapter))


@pytest.mark.parametrize(
    ("spoil", "error", "words"),
    [
        (lambda f: edit_json(f / "adapter_config.json", peft_type="NOVEL"), AdapterUnknown, "unknown type 'NOVEL'"),
        (lambda f: edit_json(f / "adapter_config.json", peft_type=None), AdapterUnknown, "unknown type None"),
        (lambda f: (f / "adapter_config.json").write_text("no"), AdapterCorrupt, "adapter_config.json that cannot be"),
        (lambda f: (f / "adapter_config.json").unlink(), AdapterNotFound, "has no adapter_config.json"),
        (lambda f: shutil.rmtree(f), AdapterNotFound, "does not exist"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), AdapterCorrupt, "lacks adapter_model.safetensors"),
        (lambda f: cut(f / "adapter_model.safetensors"), AdapterCorrupt, "it is cut off"),
    ],
)
def test_a_broken_adapter_is_refused_by_what_is_wrong_with_it(
    adapter: Path, spoil: Callable[[Path], object], error: type[Exception], words: str
) -> None:
    spoil(adapter)
    with pytest.raises(error, match=words) as caught:
        load(ModelSettings(model="tiny", adapter=adapter))
    assert str(caught.value).startswith(f"The adapter {str(adapter)!r} ")


def test_a_processor_without_bfloat16_is_told_what_is_faster(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    loaded = load(ModelSettings(model="tiny"), dtype=torch.bfloat16)
    assert loaded.dtype == torch.bfloat16
    assert [record.message for record in caplog.records if "does not compute in bfloat16" in record.message] == [
        "this processor does not compute in bfloat16 and answers slowly; take the engine OpenVINO, which "
        "`lorgnette model convert` prepares, or --quantization int8"
    ]


def test_the_bundled_checkpoint_in_float32_warns_of_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    load(ModelSettings(model="tiny"))
    assert caplog.records == []
