"""The shelf of models: what is here and fits, one download at a time, and adapters that the running server wears."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.home import data_home
from graph.served_agent import ServedAgent
from lorgnette.settings import Settings
from model.adapters.attach import AdapterError
from model.open import ModelIdentity
from page import shelf
from page.errors import PageError
from page.shelf import Models


class Wearing(ServedAgent):
    """Wears what it is told to, once it is told to settle."""

    def __init__(self) -> None:
        self.adapter: str | None = None
        self.next: str | None = None

    def answer(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("nobody asks")

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity("tiny", self.adapter, "none")

    def settle(self) -> None:
        self.adapter = self.next


class Loader:
    """An agent that is there."""

    def __init__(self, agent: ServedAgent) -> None:
        self.agent = agent

    def opened(self) -> ServedAgent:
        return self.agent

    def state(self) -> tuple[str, str, float]:
        return "ready", "ready", 1.0


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wearing:
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return Wearing()


def models_of(agent: ServedAgent) -> Models:
    return Models(Settings(), Loader(agent))  # type: ignore[arg-type]


def test_the_bundled_model_is_here_and_fits_and_larger_ones_are_offered(agent: Wearing) -> None:
    found = models_of(agent).shelf()
    tiny = next(one for one in found.models if one.name == "tiny")
    assert tiny.bytes is not None and tiny.whole and found.fits(tiny)
    offered = [one for one in found.models if one.bytes is None]
    assert [one.name for one in offered] == [f"Qwen/Qwen3-VL-{size}-Instruct" for size in ("2B", "4B", "8B")]
    needs = [one.needed for one in offered if one.needed is not None]
    assert len(needs) == 3 and needs == sorted(needs)
    assert found.loaded.name == "tiny" and found.process_bytes > 0


def test_an_adapter_of_the_training_folders_is_found_with_its_base(agent: Wearing, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "charts"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "tiny"}')
    (found,) = models_of(agent).shelf().adapters
    assert (found.folder, found.type, found.base) == (folder, "LORA", "tiny")


def test_taking_the_adapter_off_reaches_the_running_server(agent: Wearing) -> None:
    agent.adapter = "somewhere"
    models_of(agent).wear(None)
    assert agent.adapter is None
    assert '"adapter": null' in (data_home() / "adapter.json").read_text("utf-8")


def test_a_folder_that_is_no_adapter_is_refused_before_the_server_hears_of_it(agent: Wearing, tmp_path: Path) -> None:
    with pytest.raises(AdapterError):
        models_of(agent).wear(tmp_path)
    assert not (data_home() / "adapter.json").exists()


def test_a_model_whose_adapter_stays_is_said_to_keep_it(agent: Wearing) -> None:
    agent.adapter = agent.next = "stays"
    with pytest.raises(PageError, match="cannot be changed"):
        models_of(agent).wear(None)


def test_a_download_tells_how_far_it_is_and_a_second_one_waits(agent: Wearing, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(model: str, progress: Callable[[int, int], None]) -> Path:
        progress(3, 10)
        begun.set()
        assert go_on.wait(60)
        return Path(model)

    monkeypatch.setattr(shelf, "pull", slow)
    models = models_of(agent)
    first = threading.Thread(target=models.pull, args=("a/b",))
    first.start()
    assert begun.wait(60) and models.download is not None
    assert (models.download.done, models.download.total, models.download.ended) == (3, 10, False)
    with pytest.raises(PageError, match="'a/b' is being downloaded"):
        models.pull("c/d")
    go_on.set()
    first.join()
    assert models.download.ended and models.download.error is None
