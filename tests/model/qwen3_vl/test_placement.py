"""A model larger than the memory it is given answers with the same tokens, and says how much lies where."""

import re
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from langchain_core.messages import HumanMessage

from model.adapters.attach import AdapterOverDisk
from model.checkpoint import Checkpoint, Tensor
from model.hub import tiny_folder
from model.open import open_chat
from model.pictures.picture import Picture
from model.qwen3_vl.load import load
from model.qwen3_vl.placement import (
    AttentionUnavailable,
    NotEnoughMemory,
    Placement,
    PlacementRefused,
    choose_attention,
    place,
)
from model.settings import ModelSettings

ON_CPU = not torch.cuda.is_available() and not torch.backends.mps.is_available()
CPU, CUDA, MIB = torch.device("cpu"), torch.device("cuda"), 2**20
ONE_GIB = Checkpoint(
    Path("a"), {}, {"model.language_model.layers.0.mlp.up_proj.weight": Tensor("BF16", (2**15, 2**14))}
)


def given(**settings: object) -> ModelSettings:
    return ModelSettings.model_validate(settings)


def placed(
    settings: ModelSettings, device: torch.device = CPU, available: int = 2**34, quantization: str = "none"
) -> Placement:
    return place(settings, ONE_GIB, torch.bfloat16, device, available, quantization)


def test_what_fits_lies_on_one_device() -> None:
    assert placed(ModelSettings()).options == {}
    assert placed(ModelSettings(), CUDA).options == {"device_map": {"": CUDA}}


def test_what_does_not_fit_a_card_is_spread_over_card_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (460 * MIB, 500 * MIB))
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 2**31}))
    spread = placed(ModelSettings(), CUDA, 460 * MIB)
    assert spread.is_spread and spread.options == {
        "device_map": "auto", "max_memory": {0: 400 * MIB, "cpu": int(2**31 / 1.15)},
    }  # fmt: skip
    with pytest.raises(NotEnoughMemory, match="choose a smaller model, or close") as refused:
        placed(ModelSettings(quantization="int8"), CUDA, 460 * MIB, "int8")
    assert refused.value.available == 400 * MIB, "quantised weights stay on cards"
    with pytest.raises(NotEnoughMemory):
        placed(ModelSettings(device_map="one"), CUDA, 460 * MIB)


def test_the_disk_is_used_only_where_a_folder_is_named(tmp_path: Path) -> None:
    limits = {"cpu": "800MiB"}
    with pytest.raises(NotEnoughMemory, match="name a folder on a disk as offload_folder"):
        placed(given(max_memory=limits))
    folder = tmp_path / "off" / "load"
    spread = placed(given(max_memory=limits, offload_folder=folder))
    assert spread.options == {
        "device_map": "auto", "max_memory": {"cpu": 800 * MIB}, "offload_folder": str(folder),
    }  # fmt: skip
    assert folder.is_dir()


@pytest.mark.skipif(not ON_CPU, reason="there is a card")
def test_a_card_that_is_not_there_is_refused() -> None:
    with pytest.raises(PlacementRefused, match=r"max_memory cannot be followed \(there is no CUDA card 0\)"):
        placed(given(max_memory={0: "4GiB"}))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = given(max_memory={"cpu": "4MiB"}, offload_folder=tmp_path / "file" / "a")
    with pytest.raises(PlacementRefused, match="offload_folder"):
        placed(settings)


def test_attention_is_flash_where_package_card_and_dtype_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    auto, named = ModelSettings(), ModelSettings(attn_implementation="flash_attention_2")
    assert choose_attention(auto, CPU, torch.bfloat16) == "sdpa"
    with pytest.raises(AttentionUnavailable, match="it needs a CUDA card, and the model runs on cpu"):
        choose_attention(named, CPU, torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    with pytest.raises(AttentionUnavailable, match="it knows no float32"):
        choose_attention(named, CUDA, torch.float32)
    with pytest.raises(AttentionUnavailable, match="'flash-attn' is not installed"):
        choose_attention(named, CUDA, torch.bfloat16)
    monkeypatch.setattr("model.qwen3_vl.placement.find_spec", lambda name: object())
    assert choose_attention(auto, CUDA, torch.bfloat16) == "flash_attention_2"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_attention(auto, CUDA, torch.bfloat16) == "sdpa"
    assert choose_attention(ModelSettings(attn_implementation="eager"), CUDA, torch.bfloat16) == "eager"


@pytest.mark.heavy
@pytest.mark.skipif(not ON_CPU, reason="the limit is that of the memory")
@pytest.mark.parametrize("model", ["tiny", "a copy in bfloat16"])
def test_a_model_that_lies_on_disk_for_the_most_part_answers_with_the_same_tokens(
    model: str, picture: Picture, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if model != "tiny":
        model = str(shutil.copytree(tiny_folder(), tmp_path / "copy"))
    limits = {"cpu": "8MiB" if model == "tiny" else "4MiB"}
    small = given(model=model, max_memory=limits, offload_folder=tmp_path / "disk")
    said = []
    for settings in (ModelSettings(model=model), small):
        chat, identity = open_chat(settings)
        asked = [HumanMessage([{"type": "image", "image": picture}, {"type": "text", "text": "Describe it."}])]
        said.append(
            [(reply := chat.invoke(asked)).text, chat.invoke([*asked, reply, HumanMessage("Which colour?")]).text]
        )
        chat.close()  # type: ignore[attr-defined]
        places = identity.spread
    assert said[0] == said[1] and all(said[0])
    assert capfd.readouterr() == ("", "")
    assert re.fullmatch(r"\d\.\d MiB in memory, \d+\.\d MiB on disk", places), places


@pytest.mark.heavy
def test_an_adapter_over_a_base_on_disk_is_refused(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=2, target_modules=["q_proj"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a property of its old name
        get_peft_model(load(ModelSettings()).model, config).save_pretrained(str(tmp_path / "lens"))
    with pytest.raises(AdapterOverDisk, match="lies on a disk in part; merge it into its base"):
        load(given(adapter=tmp_path / "lens", max_memory={"cpu": "8MiB"}, offload_folder=tmp_path / "disk"))
