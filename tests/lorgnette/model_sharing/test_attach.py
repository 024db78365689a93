"""One model for several processes: what attaches to a running server, and that it answers as its own model would."""

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from PIL import Image, ImageDraw

from common.home import data_home
from graph.agent import Agent
from graph.answer import Answer
from lorgnette.model_sharing.attach import attach, open_model
from lorgnette.model_sharing.registry import FOLDER, advertise, find_server, shape_of
from lorgnette.opening import open_served_agent
from lorgnette.settings import Settings
from mcp_server.state.agent_loader import AgentLoader
from model.open import ModelIdentity, open_chat
from model.pictures.open import open_picture
from model.served import served
from retrieval.knowledge_base import KnowledgeBase

pytestmark = pytest.mark.training

WAIT_S = 300
Serve = Callable[..., Any]


@pytest.fixture(scope="module")
def local() -> Iterator[tuple[Any, ModelIdentity]]:
    chat, identity = open_chat(Settings())
    yield chat, identity
    chat.close()  # type: ignore[attr-defined]


@pytest.fixture
def holder(serve: Serve, settings: Settings, local: tuple[Any, ModelIdentity]) -> Any:
    """A server with the same model; it holds the very weights, so that the tests have them once."""
    return serve(settings, lambda own, _: Agent(*local, own))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(roots=(tmp_path,), time_budget_s=600)


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    small = Image.new("RGB", (160, 120), "white")
    draw = ImageDraw.Draw(small)
    draw.rectangle((20, 20, 60, 60), fill="red")
    draw.ellipse((90, 50, 140, 100), fill="blue")
    small.save(tmp_path / "small.png")
    # Above a megapixel, with fine grain that JPEG would change.
    large = Image.effect_noise((1300, 900), 60).convert("RGB")
    ImageDraw.Draw(large).rectangle((100, 100, 500, 500), fill="green")
    large.save(tmp_path / "large.png")
    return ["small.png", "large.png"]


def files() -> list[Path]:
    folder = data_home() / FOLDER
    return sorted(folder.iterdir()) if folder.is_dir() else []


def said(answer: Answer) -> dict[str, Any]:
    """All of an answer but how long it took and what was read before."""
    usage = answer.usage
    whole = usage.prefill_tokens + usage.cached_tokens
    return {**answer.model_dump(exclude={"usage", "session_id"}), "tokens": (whole, usage.new_tokens)}


QUESTIONS = [
    {"question": "How many objects are there?"},
    {"question": "Locate the blue circle."},
    {"question": "Describe the picture.", "effort": "quick", "max_new_tokens": 12},
    *(
        pytest.param(asked, marks=pytest.mark.slow)
        for asked in (
            {"question": "Where is the red square?"},
            {"question": "What color is the circle?", "effort": "thorough"},
            {"question": "Extract the fields.", "fields": ["color", "shape"]},
            {"question": "有几个物体?"},
        )
    ),
]


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda asked: str(asked["question"]))
def test_an_attached_agent_answers_as_one_with_its_own_model(
    asked: dict[str, Any], holder: Any, local: tuple[Any, ModelIdentity], settings: Settings, pictures: list[str]
) -> None:
    attached = attach(settings)
    assert attached is not None
    assert attached[1] == local[1] == ModelIdentity("tiny", None, "none")
    for images in (pictures[:1], pictures):
        answers = [Agent(chat, own, settings).ask(images=images, **asked) for chat, own in (local, attached)]
        assert said(answers[1]) == said(answers[0])
        assert answers[1].degraded[0].startswith("model: the bundled checkpoint knows drawn shapes only")


def test_documents_are_quoted_as_with_the_own_model(
    holder: Any, local: tuple[Any, ModelIdentity], settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "lamp.md").write_text("The lamp weighs two kilograms. It is round.", "utf-8")
    base = KnowledgeBase(settings.model_copy(update={"kb": folder, "embedder": "no-such-model"}), tmp_path / "kb")
    base.sync()
    attached = attach(settings)
    assert attached is not None
    answers = [Agent(chat, own, settings, base).ask("How heavy is the lamp?") for chat, own in (local, attached)]
    base.close()
    assert "two kilograms" in answers[1].answer and answers[1].citations
    assert said(answers[1]) == said(answers[0])


def test_the_attached_model_reads_boxes_and_judges_words_alike(
    holder: Any, local: tuple[Any, ModelIdentity], settings: Settings, pictures: list[str], tmp_path: Path
) -> None:
    from langchain_core.messages import HumanMessage

    attached = attach(settings)
    assert attached is not None
    chat = attached[0]
    shown = [{"type": "image", "image": open_picture(pictures[0], (tmp_path,))}]
    text = {"type": "text", "text": "Is there a red square?"}
    messages: list[Any] = [HumanMessage([*shown, text])]
    judge = served(chat)
    assert judge.gives_probabilities
    assert judge.choice_probabilities(messages, ("yes", "no")) == pytest.approx(
        local[0].choice_probabilities(messages, ("yes", "no")), abs=1e-4
    )
    sampled: dict[str, Any] = {"temperature": 1.5, "seed": 7, "max_new_tokens": 24}
    assert chat.invoke(messages, **sampled).text == local[0].invoke(messages, **sampled).text


def test_pictures_never_pass_a_proxy(holder: Any, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    attached = attach(settings)
    assert attached is not None
    assert attached[0].invoke("How many?", max_new_tokens=2).response_metadata["finish_reason"]


@pytest.mark.parametrize(
    "other", [{"max_pixels": 4096}, {"quantization": "none"}, {"attach": "never"}, {"model": "no/such-model"}]
)
def test_a_server_with_other_settings_is_left_alone(other: dict[str, Any], holder: Any, settings: Settings) -> None:
    own = settings.model_copy(update=other)
    if own.attach == "never":
        opened = open_model(own)[0]
        assert type(opened).__name__ == "ChatQwen3VL"
        opened.close()  # type: ignore[attr-defined]
    else:
        assert attach(own) is None
    assert len(files()) == 1


def test_what_was_trained_again_is_another_model(settings: Settings, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"1")
    active_adapter = settings.model_copy(update={"adapter": adapter})
    before = shape_of(active_adapter)
    assert before == shape_of(active_adapter)
    (adapter / "adapter_model.safetensors").write_bytes(b"22")
    assert shape_of(active_adapter) != before


def test_a_file_whose_server_is_gone_is_removed(settings: Settings) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with advertise("http://127.0.0.1:9/v1", "00" * 32, shape_of(settings)):
        (path,) = files()
        path.write_text(json.dumps({**json.loads(path.read_text()), "pid": dead.pid}))
        assert find_server(settings) is None
        assert files() == []


def test_another_program_at_the_address_gets_neither_trust_nor_the_key(
    serve: Serve, settings: Settings, answer: Answer, fake_agent: Any
) -> None:
    stranger = serve(settings.model_copy(update={"model": "http://127.0.0.1:1/v1#x"}), lambda *_: fake_agent(answer))
    with advertise(f"{stranger.url}/v1", "00" * 32, shape_of(settings)):
        assert find_server(settings) is None
    other = serve(settings, lambda *_: fake_agent(answer))
    for path in files():
        path.unlink()
    with advertise(f"{other.url}/v1", "11" * 32, shape_of(settings)):  # it lives, with another key
        assert find_server(settings) is None
        assert files() == []


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no mode of a file")
def test_a_file_that_others_can_read_is_not_believed(holder: Any, settings: Settings) -> None:
    (path,) = files()
    path.chmod(0o644)
    assert find_server(settings) is None
    path.chmod(0o600)
    assert find_server(settings) is not None


def test_a_file_of_another_machine_is_neither_used_nor_removed(holder: Any, settings: Settings) -> None:
    (path,) = files()
    path.write_text(json.dumps({**json.loads(path.read_text()), "machine": "elsewhere"}))
    assert find_server(settings) is None
    assert files() == [path]


def test_with_two_servers_each_is_found_by_its_own_settings(
    holder: Any, serve: Serve, settings: Settings, local: tuple[Any, ModelIdentity]
) -> None:
    small = settings.model_copy(update={"max_pixels": 4096})
    second = serve(small, lambda own, _: Agent(*local, own))
    found = [find_server(one) for one in (settings, small)]
    assert [one.address for one in found if one] == [f"{server.url}/v1" for server in (holder, second)]


def test_a_loading_server_is_waited_for(serve: Serve, settings: Settings, local: tuple[Any, ModelIdentity]) -> None:
    phases, heard = list[str](), threading.Event()

    def open_agent(own: Settings, progress: Callable[[str, float], None]) -> Agent:
        progress("weights", 0.5)
        assert heard.wait(WAIT_S)
        return Agent(*local, own)

    def hear(phase: str, share: float) -> None:
        phases.append(f"{phase} {share}")
        heard.set()

    serve(settings, open_agent)
    attached = attach(settings, hear)
    assert attached is not None and attached[1] == local[1]
    assert phases[0].startswith(f"in process {os.getpid()}, ")


@pytest.mark.anyio
async def test_when_the_server_ends_the_next_call_opens_the_model_here(
    serve: Serve, settings: Settings, local: tuple[Any, ModelIdentity], pictures: list[str]
) -> None:
    server = serve(settings, lambda own, _: Agent(*local, own))
    loader = AgentLoader(settings, open_served_agent)
    agent: Any = await loader.agent(WAIT_S)
    assert type(agent.chat).__name__ == "AttachedChat" and not agent.is_lost()
    assert await loader.agent(WAIT_S) is agent
    server.stop()
    while files():
        await anyio.sleep(0.01)
    own: Any = await loader.agent(WAIT_S)
    assert type(own.chat).__name__ == "ChatQwen3VL"
    assert own.ask("How many objects are there?", pictures[:1]).answer
    own.chat.close()


@pytest.mark.anyio
async def test_a_server_that_has_changed_its_adapter_is_attached_to_anew(
    serve: Serve, settings: Settings, local: tuple[Any, ModelIdentity]
) -> None:
    wished: list[str] = []

    class Changing(Agent):
        refused = None

        def settle(self) -> None:
            self._identity = replace(local[1], adapter=wished[-1] if wished else None)

    serve(settings, lambda own, _: Changing(*local, own))
    loader = AgentLoader(settings, open_served_agent)
    first: Any = await loader.agent(WAIT_S)
    wished.append("new")
    second: Any = await loader.agent(WAIT_S)
    assert [agent.identity.adapter for agent in (first, second)] == [None, "new"]
    assert await loader.agent(WAIT_S) is second


@pytest.mark.slow
def test_adapters_of_single_nodes_are_in_use_at_the_other_end(
    serve: Serve, settings: Settings, pictures: list[str], tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model

    from model.qwen3_vl.load import load

    loaded = load(settings)
    tokens = loaded.processor.tokenizer("<|im_start|>assistant\n", add_special_tokens=False)["input_ids"]
    config = LoraConfig(
        r=8, lora_alpha=64, target_modules=r"model\.language_model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj",
        init_lora_weights=False, task_type="CAUSAL_LM", alora_invocation_tokens=tokens,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peft uses a name that transformers has renamed
        get_peft_model(loaded.model, config).save_pretrained(
            str(tmp_path / "node_adapter"), save_embedding_layers=False
        )
    lensed = settings.model_copy(update={"node_adapters": (("responder", tmp_path / "node_adapter"),)})
    local = open_chat(lensed)
    serve(lensed, lambda own, _: Agent(*local, own))
    attached = attach(lensed)
    assert attached is not None and attached[1].node_adapters == ("responder",)
    asked: dict[str, Any] = {"question": "Describe the picture.", "images": pictures[:1], "max_new_tokens": 12}
    active_adapter, own = (Agent(*model, lensed).ask(**asked) for model in (attached, local))
    assert said(active_adapter) == said(own)
    assert said(active_adapter) != said(Agent(local[0], ModelIdentity("tiny", None, "none"), settings).ask(**asked))
    local[0].close()  # type: ignore[attr-defined]


class Process:
    """`lorgnette serve --http` in a process of its own."""

    def __init__(self, home: Path) -> None:
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "serve", "--http", "--port", "0"],
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path, "LORGNETTE_HOME": str(home)},
        )
        assert self.process.stderr is not None
        assert self.process.stderr.readline().startswith("Lorgnette listens")


@pytest.mark.slow
@pytest.mark.anyio
async def test_a_killed_server_costs_a_clear_error_and_not_the_next_answer(
    settings: Settings, pictures: list[str]
) -> None:
    from model.remote.attached import HolderGone

    served = Process(data_home())
    loader = AgentLoader(settings, open_served_agent)
    try:
        agent: Any = await loader.agent(WAIT_S)
        assert agent.ask("How many objects are there?", pictures[:1]).answer

        def ask_while_it_dies() -> None:
            on_event = lambda event: served.process.kill() if event.kind == "start" else None  # noqa: E731
            agent.ask("How many objects are there?", pictures, on_event=on_event)

        with pytest.raises(HolderGone, match="has ended; ask again, the model is then loaded here"):
            await anyio.to_thread.run_sync(ask_while_it_dies)
    finally:
        served.process.kill()
        served.process.communicate()
    assert len(files()) == 1  # kill -9 leaves it
    own: Any = await loader.agent(WAIT_S)
    assert own.ask("How many objects are there?", pictures[:1]).answer
    assert files() == []
    own.chat.close()
