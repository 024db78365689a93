"""A running server changes its adapter between questions, as `lorgnette adapter` tells it."""

import json
import os
import shutil
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from mcp import Client
from PIL import Image

from cli.main import app
from common.home import data_home
from graph.answer import Answer, Event
from lorgnette.model_sharing import adapter_switch
from lorgnette.model_sharing.adapter_switch import FILE, AdapterSwitch
from lorgnette.model_sharing.registry import MODEL_PATH, find_servers, get
from lorgnette.opening import open_served_agent
from lorgnette.settings import Settings
from mcp_server.app import build_server
from model.settings import ModelSettings

pytestmark = pytest.mark.training

TARGETS = r"model\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj"


def adapter(folder: Path, seed: int, experts: bool) -> Path:
    """An adapter with strong random weights."""
    from peft import LoraConfig, get_peft_model

    from model.adapters.moe_lora import MoeLoraConfig
    from model.qwen3_vl.load import load

    torch.manual_seed(seed)
    options: dict[str, Any] = {"r": 8, "lora_alpha": 200, "target_modules": TARGETS, "task_type": "CAUSAL_LM"}
    mixture = {**options, "lora_alpha": 1600}
    config = MoeLoraConfig(**mixture, init_weights=False) if experts else LoraConfig(**options, init_lora_weights=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        model = get_peft_model(load(ModelSettings(model="tiny")).model, config)
        model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("adapters")
    return {"lora": adapter(home / "lora", 0, False), "experts": adapter(home / "experts", 1, True)}


@pytest.fixture
def agent(settings: Settings, tmp_path: Path) -> AdapterSwitch:
    Image.new("RGB", (96, 64), "red").save(tmp_path / "red.png")
    quiet = settings.model_copy(update={"sessions": "none", "attach": "never", "kb": tmp_path / "none"})
    opened = open_served_agent(quiet, lambda phase, share: None)
    assert isinstance(opened, AdapterSwitch)
    return opened


def ask(agent: AdapterSwitch, **options: Any) -> Answer:
    return agent.ask("What do you see?", ["red.png"], effort="quick", max_new_tokens=8, **options)


def lorgnette(*words: str) -> Result:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CliRunner().invoke(app, ["adapter", *words])


def test_the_next_question_is_answered_with_the_adapter_that_is_wished_for(
    agent: AdapterSwitch, adapters: dict[str, Path]
) -> None:
    base = ask(agent)
    assert base.model.adapter is None
    said = {}
    for name in ("lora", "experts"):
        assert lorgnette("use", str(adapters[name])).exit_code == 0
        answer = ask(agent)
        said[name] = answer.answer
        assert answer.model.adapter == str(adapters[name]) == agent.identity.adapter
        assert not [note for note in answer.degraded if note.startswith("adapter")]
    assert len({base.answer, *said.values()}) == 3
    assert lorgnette("none").exit_code == 0
    again = ask(agent)
    assert (again.answer, again.model.adapter) == (base.answer, None)


def test_one_that_does_not_fit_leaves_the_old_one_in_use_and_every_answer_says_so(
    agent: AdapterSwitch, adapters: dict[str, Path], tmp_path: Path
) -> None:
    lorgnette("use", str(adapters["lora"]))
    active_adapter = ask(agent)
    fits_not = adapter(tmp_path / "deeper", 2, False)
    config = fits_not / "adapter_config.json"
    config.write_text(config.read_text().replace("self_attn", "cross_attn"))
    lorgnette("use", str(fits_not))
    for _ in range(2):
        answer = ask(agent)
        assert (answer.answer, answer.model.adapter) == (active_adapter.answer, str(adapters["lora"]))
        (note,) = [note for note in answer.degraded if note.startswith("adapter")]
        assert "cross_attn" in note and "In use as before" in note
    lorgnette("use", str(adapters["experts"]))
    assert not [note for note in ask(agent).degraded if note.startswith("adapter")]


def test_a_broken_folder_is_refused_where_it_is_named(tmp_path: Path) -> None:
    found = lorgnette("use", str(tmp_path))
    assert found.exit_code == 1 and "has no adapter_config.json" in found.output
    assert not (data_home() / FILE).exists()


def test_a_wish_for_another_model_and_a_file_that_is_none_change_nothing(
    agent: AdapterSwitch, adapters: dict[str, Path]
) -> None:
    lorgnette("use", str(adapters["lora"]), "--model", "Qwen/Qwen3-VL-2B-Instruct")
    assert ask(agent).model.adapter is None
    (data_home() / FILE).write_text("nonsense")
    assert ask(agent).model.adapter is None


def test_a_wish_of_before_the_start_is_not_followed(
    adapters: dict[str, Path], settings: Settings, request: pytest.FixtureRequest
) -> None:
    lorgnette("use", str(adapters["lora"]))
    assert ask(request.getfixturevalue("agent")).model.adapter is None


def test_the_adapter_is_changed_between_questions_and_never_within_one(
    agent: AdapterSwitch, adapters: dict[str, Path]
) -> None:
    inside, wished = threading.Event(), threading.Event()

    def wait(event: Event) -> None:
        if event.node == "responder" and event.kind == "start":
            inside.set()
            assert wished.wait(300)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, agent, on_event=wait)
        assert inside.wait(300)
        lorgnette("use", str(adapters["lora"]))
        second = pool.submit(ask, agent)
        assert agent.identity.adapter is None, "a question is being answered"
        wished.set()
        assert first.result().model.adapter is None
        assert second.result().model.adapter == str(adapters["lora"])


def test_who_waits_for_a_change_can_be_cancelled(agent: AdapterSwitch, adapters: dict[str, Path]) -> None:
    from model.call_options import Cancelled

    inside, go_on, cancel = threading.Event(), threading.Event(), threading.Event()

    def wait(event: Event) -> None:
        inside.set()
        assert go_on.wait(300)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, agent, on_event=wait)
        assert inside.wait(300)
        lorgnette("use", str(adapters["lora"]))
        cancel.set()
        with pytest.raises(Cancelled):
            ask(agent, cancel=cancel)
        go_on.set()
        first.result()


def test_a_change_that_falls_between_two_looks_at_the_file_waits_for_the_question_that_runs(
    agent: AdapterSwitch, adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def wait(event: Event) -> None:
        inside.set()
        assert go_on.wait(300)

    looked: list[adapter_switch.Stamp] = []

    def stamp(path: Path) -> adapter_switch.Stamp:
        looked.append(found(path))
        if len(looked) == 1:
            lorgnette("use", str(adapters["lora"]))
        return looked[-1]

    found = adapter_switch._stamp
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(ask, agent, on_event=wait)
        assert inside.wait(300)
        with monkeypatch.context() as patch:
            patch.setattr(adapter_switch, "_stamp", stamp)
            second = pool.submit(ask, agent, on_event=lambda _: go_on.set())
            assert go_on.wait(300)
        first.result()
        assert second.result().model.adapter is None, "another question ran as it began"
    assert ask(agent).model.adapter == str(adapters["lora"])


@pytest.mark.anyio
async def test_the_status_says_what_is_in_use_and_not_what_the_settings_name(
    agent: AdapterSwitch, adapters: dict[str, Path], settings: Settings, tmp_path: Path
) -> None:
    async def status(client: Any) -> Any:
        await client.call_tool("ask_image", {"question": "What do you see?", "images": ["red.png"], "effort": "quick"})
        (content,) = (await client.read_resource("lorgnette://status")).contents
        told = json.loads(content.text)
        assert told["settings"]["adapter"] is None
        return told["model"]["adapter"], told["model"]["adapter_refused"]

    quiet = settings.model_copy(update={"kb": tmp_path / "none", "max_new_tokens": 8, "time_budget_s": 600.0})
    async with Client(build_server(quiet, lambda own, _: agent)) as client:
        assert await status(client) == (None, None)
        lorgnette("use", str(adapters["lora"]))
        assert await status(client) == (str(adapters["lora"]), None)
        fits_not = Path(shutil.copytree(adapters["lora"], tmp_path / "deeper"))
        config = fits_not / "adapter_config.json"
        config.write_text(config.read_text().replace("self_attn", "cross_attn"))
        lorgnette("use", str(fits_not))
        active_adapter, refused = await status(client)
        assert active_adapter == str(adapters["lora"]) and "cross_attn" in refused
        lorgnette("none")
        assert await status(client) == (None, None)


def test_the_list_says_which_adapter_a_running_server_uses(
    agent: AdapterSwitch, adapters: dict[str, Path], settings: Settings, serve: Any
) -> None:
    server = serve(settings, lambda own, _: agent)
    until_loaded(server)
    folder = str(adapters["lora"].parent)
    assert "uses no adapter" in lorgnette("list", folder).stderr
    lorgnette("use", str(adapters["lora"]))
    found = lorgnette("list", folder)
    assert [line.endswith(", in use") for line in found.stdout.splitlines()] == [False, True]
    assert f"uses {adapters['lora']}." in found.stderr and "refused" not in found.stderr
    active_adapter = {one["folder"]: one["worn_by"] for one in json.loads(lorgnette("list", folder, "--json").stdout)}
    assert active_adapter == {str(adapters["lora"]): [os.getpid()], str(adapters["experts"]): []}


def until_loaded(server: Any) -> None:
    """Wait for the model of a server that has just started."""
    (holder,) = find_servers()
    while get(holder, MODEL_PATH, holder.key)["state"] != "ready":
        pass


def test_adapters_are_listed_with_type_and_base(adapters: dict[str, Path]) -> None:
    found = lorgnette("list", str(adapters["lora"].parent))
    assert found.exit_code == 0
    lines = found.output.splitlines()
    assert len(lines) == 2 and "MOELORA" in lines[0] and "LORA" in lines[1]
