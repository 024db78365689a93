"""Adapters are changed while the model runs, and what does not fit changes nothing."""

import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from langchain_core.messages import BaseMessage, HumanMessage
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from graph.agent import Agent
from graph.settings import AgentSettings
from model.adapters.attach import AdapterCorrupt, AdapterMismatch, AdapterNotFound, attach_adapter
from model.adapters.moe_lora import MoeLoraConfig
from model.adapters.multiway import MultiwayConfig
from model.open import ModelIdentity
from model.pictures.picture import Picture
from model.qwen3_vl.adapter_swap import ChangedMeanwhile, NodesHaveAdapters, RestartNeeded
from model.qwen3_vl.chat import ChatQwen3VL
from model.qwen3_vl.load import load
from model.settings import ModelSettings

pytestmark = pytest.mark.training

ATTENTION = r"model\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj"
TOWER = r"model\.visual\.blocks\.\d+\.attn\.qkv"
STRONG: dict[str, Any] = {"r": 8, "lora_alpha": 160, "task_type": "CAUSAL_LM"}
STRONGEST: dict[str, Any] = {**STRONG, "lora_alpha": 640}
"""For an expert, which moves the answer by a part only."""


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("adapters")
    configs = {
        "lora": LoraConfig(**STRONG, target_modules=ATTENTION, init_lora_weights=False),
        "other": LoraConfig(**STRONG, target_modules=ATTENTION, init_lora_weights=False),
        "experts": MoeLoraConfig(
            **{**STRONG, "lora_alpha": 640}, target_modules=ATTENTION, init_weights=False, router="modality"
        ),
        "mixing": MoeLoraConfig(
            **{**STRONG, "lora_alpha": 640}, target_modules=ATTENTION, init_weights=False, token_mixing=3
        ),
        "tower": LoraConfig(**STRONG, target_modules=TOWER, init_lora_weights=False),
        "multiway": MultiwayConfig(
            num_multiway_layers=2,
            num_fusion_layers=1,
            num_heads=4,
            head_dim=16,
            rope_dim=16,
            q_rank=16,
            kv_rank=16,
            init_weights=False,
            task_type="CAUSAL_LM",
        ),
        "biased": LoraConfig(**STRONG, target_modules=TOWER, bias="all"),
    }
    for seed, (name, config) in enumerate(configs.items()):
        save(home / name, config, seed)
    return {name: home / name for name in configs}


def save(folder: Path, config: Any, seed: int) -> None:
    torch.manual_seed(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = get_peft_model(load(ModelSettings(model="tiny")).model, config)
        model.save_pretrained(str(folder), save_embedding_layers=False)


@pytest.fixture
def running() -> Iterator[ChatQwen3VL]:
    """A model of its own: these tests change it."""
    chat = ChatQwen3VL(loaded=load(ModelSettings(model="tiny")), max_new_tokens=10)
    yield chat
    chat.close()


def question(picture: Picture) -> list[BaseMessage]:
    blocks: list[Any] = [{"type": "image", "image": picture}, {"type": "text", "text": "What do you see?"}]
    return [HumanMessage(blocks)]


def said(adapter: Path | None, picture: Picture) -> str:
    """What a model says that was loaded with the adapter."""
    chat = ChatQwen3VL(loaded=load(ModelSettings(model="tiny", adapter=adapter)), max_new_tokens=10)
    text = chat.invoke(question(picture)).text
    chat.close()
    return text


def test_each_adapter_answers_as_if_the_model_had_been_loaded_with_it(
    folders: dict[str, Path], running: ChatQwen3VL, picture: Picture
) -> None:
    names = ["lora", "experts", "mixing", "tower", "multiway"]
    expected = {name: said(folders[name], picture) for name in names} | {"": said(None, picture)}
    assert len(set(expected.values())) > 3, "they do not all say the same"
    for name in ["", "lora", "experts", "multiway", "mixing", "tower", "", "multiway", "experts", "lora", ""]:
        running.swap_adapter(folders[name] if name else None)
        assert running.loaded.adapter == (str(folders[name]) if name else None)
        for _ in range(2):  # the second time from what was remembered
            assert running.invoke(question(picture)).text == expected[name], name
    base = load(ModelSettings(model="tiny")).model.state_dict()
    for name, tensor in running.loaded.model.state_dict().items():
        assert torch.equal(tensor, base[name]), name


def test_what_was_read_under_an_adapter_is_used_under_it_alone(
    folders: dict[str, Path], running: ChatQwen3VL, picture: Picture
) -> None:
    def cached() -> int:
        usage = running.invoke(question(picture)).usage_metadata
        assert usage is not None
        return usage["input_token_details"]["cache_read"]

    running.swap_adapter(folders["lora"])
    assert cached() == 0 and cached() > 0
    running.swap_adapter(folders["other"])
    assert cached() == 0
    running.swap_adapter(folders["lora"])
    assert cached() > 0, "its own is still there"
    running.swap_adapter(folders["multiway"])
    assert cached() == 0 and cached() > 0, "its own layers are remembered with the model's"
    running.swap_adapter(folders["mixing"])
    assert cached() == 0 and cached() == 0, "it needs more than keys and values"


def test_a_folder_that_was_trained_again_is_another_adapter(
    folders: dict[str, Path], running: ChatQwen3VL, picture: Picture, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(folders["lora"], tmp_path / "run"))
    running.swap_adapter(folder)
    running.invoke(question(picture))
    shutil.copytree(folders["other"], folder, dirs_exist_ok=True)
    running.swap_adapter(folder)
    assert running.invoke(question(picture)).text == said(folders["other"], picture)


def test_one_that_is_written_while_it_is_read_is_refused(
    folders: dict[str, Path], running: ChatQwen3VL, picture: Picture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(folders["other"], tmp_path / "run"))
    attach = attach_adapter

    def slowly(*args: Any) -> Any:
        active_adapter = attach(*args)
        shutil.copytree(folders["lora"], folder, dirs_exist_ok=True)
        return active_adapter

    before = running.invoke(question(picture)).text
    with monkeypatch.context() as patch:
        patch.setattr("model.qwen3_vl.adapter_swap.attach_adapter", slowly)
        with pytest.raises(ChangedMeanwhile, match="was written while it was read"):
            running.swap_adapter(folder)
    assert running.loaded.adapter is None and running.invoke(question(picture)).text == before
    running.swap_adapter(folder)
    assert running.invoke(question(picture)).text == said(folders["lora"], picture)


def not_there(folder: Path) -> None:
    shutil.rmtree(folder)


def of_a_wider_base(folder: Path) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    wide = {name: torch.cat([t, t], dim=1) if "lora_A" in name else t for name, t in tensors.items()}
    save_file(wide, folder / "adapter_model.safetensors")


def of_a_nan(folder: Path) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    next(iter(tensors.values()))[0, 0] = torch.nan
    save_file(tensors, folder / "adapter_model.safetensors")


@pytest.mark.parametrize("before", ["", "lora", "experts"])
@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (not_there, AdapterNotFound, "does not exist"),
        (of_a_wider_base, AdapterMismatch, "does not fit"),
        (of_a_nan, AdapterCorrupt, "contains NaN or infinite values in '.*'; use an earlier checkpoint"),
    ],
)
def test_a_broken_adapter_leaves_the_one_of_before_in_use(
    folders: dict[str, Path],
    running: ChatQwen3VL,
    picture: Picture,
    tmp_path: Path,
    before: str,
    spoil: Any,
    error: Any,
    message: str,
) -> None:
    broken = Path(shutil.copytree(folders["other"], tmp_path / "broken"))
    spoil(broken)
    active_adapter = Path(shutil.copytree(folders[before], tmp_path / "in use")) if before else None
    running.swap_adapter(active_adapter)
    answer = running.invoke(question(picture)).text
    if active_adapter is not None:
        shutil.rmtree(active_adapter)  # what is in use needs its folder no more
    with pytest.raises(error, match=message):
        running.swap_adapter(broken)
    assert running.loaded.adapter == (str(active_adapter) if active_adapter else None)
    assert not any(p.requires_grad for p in running.loaded.model.parameters())
    assert running.invoke([*question(picture)]).text == answer
    running.swap_adapter(None)
    assert running.invoke(question(picture)).text == said(None, picture)


def test_one_that_changes_the_base_is_refused_and_so_is_one_beside_lenses(
    folders: dict[str, Path], running: ChatQwen3VL, tmp_path: Path
) -> None:
    with pytest.raises(RestartNeeded, match="start again"):
        running.swap_adapter(folders["biased"])
    node_adapter = LoraConfig(**STRONG, target_modules=ATTENTION, alora_invocation_tokens=[1])
    save(tmp_path / "node_adapter", node_adapter, 0)
    settings = {"model": "tiny", "node_adapters": {"planner": tmp_path / "node_adapter"}}
    lensed = ChatQwen3VL(loaded=load(ModelSettings.model_validate(settings)))
    with pytest.raises(NodesHaveAdapters):
        lensed.swap_adapter(folders["lora"])
    lensed.close()


@pytest.mark.parametrize("name", ["lora", "experts", "mixing", "tower"])
def test_a_call_without_the_adapter_is_answered_by_the_base_and_mixes_nothing(
    name: str, folders: dict[str, Path], picture: Picture
) -> None:
    """Both read the same picture in turns; neither goes on from what the other read."""
    chat = ChatQwen3VL(loaded=load(ModelSettings(model="tiny", adapter=folders[name])), max_new_tokens=10)
    base, adapted = said(None, picture), said(folders[name], picture)
    assert base != adapted
    heard = [chat.invoke(question(picture), adapter=uses).text for uses in (True, False, True, False)]
    chat.close()
    assert heard == [adapted, base, adapted, base]


def test_an_adapter_answers_and_the_base_plans(folders: dict[str, Path], picture: Picture, tmp_path: Path) -> None:
    picture.image.save(tmp_path / "seen.png")
    base = load(ModelSettings(model="tiny"))
    adapted = load(ModelSettings(model="tiny", adapter=folders["lora"]))
    answers = []
    for loaded, nodes in ((base, ()), (adapted, ("responder",)), (adapted, ("planner", "responder", "reviewer"))):
        chat = ChatQwen3VL(loaded=loaded, max_new_tokens=10)
        identity = ModelIdentity("tiny", loaded.adapter, "none")
        settings = AgentSettings(roots=(tmp_path,), adapter_nodes=nodes)
        answers.append(Agent(chat, identity, settings).ask("How many objects are there?", ["seen.png"]))
        chat.close()
    plain, by_default, everywhere = answers
    assert by_default.plan == plain.plan != everywhere.plan
    assert by_default.answer != plain.answer
