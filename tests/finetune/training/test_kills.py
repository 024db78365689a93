"""Runs that are killed outright, in a save or anywhere else: what they leave is whole, and goes on to the same end."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from cli.main import main
from finetune.config.schema import FinetuneConfig
from finetune.training.checkpoints import checkpoints, drop_old, what_is_broken
from finetune.training.reporting.log import read_log
from finetune.training.train import train
from finetune.training.vision_cache import GIB, FeatureCache, load_features

pytestmark = pytest.mark.training

Quick = Callable[..., FinetuneConfig]
WEIGHTS = "adapter_model.safetensors"
TOUCHES = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "tempfile.mkstemp")
KILLED = -9


def be_lorgnette(words: list[str], folder: str, deadly: int, told: str) -> None:
    """Be `lorgnette` in a process of its own, and end it before its `deadly`-th touch of a file in `folder`."""
    log = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    touched = 0

    def count(event: str, args: tuple[Any, ...]) -> None:
        nonlocal touched
        if event in TOUCHES and args and str(args[0]).startswith(folder):
            touched += 1
            if touched == deadly:
                os.kill(os.getpid(), signal.SIGKILL)

    if deadly:
        sys.addaudithook(count)
    sys.argv = ["lorgnette", *words]
    main()


class Attempts:
    """Starts a run again and again, in processes that have imported everything already."""

    def __init__(self, quick: Quick, folder: Path, steps: int) -> None:
        folder.mkdir()
        self.steps, self.output, self.cache = steps, folder / "out", folder / "cache"
        self.file, self.told = folder / "run.yaml", folder / "told.txt"
        config = quick(
            f"--max_steps={steps}", "--save_strategy=steps", "--save_steps=1", "--save_total_limit=2",
            "--lora_dropout=0.1", f"--output_dir={self.output}", f"--vision_cache_dir={self.cache}",
        )  # fmt: skip
        self.file.write_text(config.to_yaml(), "utf-8")
        self.words = ["finetune", "train", str(self.file), "--resume_from_checkpoint=true"]

    def begin(self, deadly: int = 0, folder: Path | None = None) -> BaseProcess:
        """Start or go on; `deadly` and `folder` as in `be_lorgnette`."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(
            ["cli.main", "finetune.training.train", "finetune.training.trainer", "bitsandbytes", "peft"]
        )
        arguments = (self.words, str(folder or self.output), deadly, str(self.told))
        process = context.Process(target=be_lorgnette, args=arguments)
        process.start()
        return process

    def end(self, deadly: int = 0, folder: Path | None = None) -> bool:
        """Start or go on and wait; return whether it was killed."""
        process = self.begin(deadly, folder)
        process.join(300)
        assert process.exitcode in (0, KILLED), self.told.read_text("utf-8")
        self.check_whole()
        return process.exitcode == KILLED

    def check_whole(self) -> None:
        """Look at everything that a killed run left and another may load."""
        for checkpoint in checkpoints(self.output):
            assert what_is_broken(checkpoint) is None
            assert load_file(checkpoint / WEIGHTS)
            for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
                torch.load(checkpoint / name, weights_only=False)
            assert json.loads((checkpoint / "trainer_state.json").read_text("utf-8"))["global_step"] > 0
            assert yaml.safe_load((checkpoint / "finetune.yaml").read_text("utf-8"))["training"]
        if (self.output / "finetune.yaml").exists():
            assert yaml.safe_load((self.output / "finetune.yaml").read_text("utf-8"))["report"]
        if (self.output / WEIGHTS).exists():
            assert load_file(self.output / WEIGHTS)
        if (self.output / "adapter_config.json").exists():
            assert json.loads((self.output / "adapter_config.json").read_text("utf-8"))["r"]
            assert (self.output / WEIGHTS).exists()
        for file in self.cache.glob("[!.]*.safetensors"):
            assert load_file(file)

    def newest(self) -> int:
        """Return the step of the newest checkpoint, 0 where there is none."""
        return max((int(path.name.rpartition("-")[2]) for path in checkpoints(self.output)), default=0)

    def losses(self) -> list[tuple[int, float]]:
        return [(line["step"], line["loss"]) for line in read_log(self.output / "train_log.jsonl") if "loss" in line]

    def check_same_end(self, undisturbed: "Attempts") -> None:
        """Look for the checkpoints, losses and weights of a run that nobody killed."""
        self.check_whole()
        kept = [f"checkpoint-{self.steps - 1}", f"checkpoint-{self.steps}"]
        assert [path.name for path in checkpoints(self.output)] == kept and not list(self.output.glob(".saving*"))
        assert self.losses() == undisturbed.losses() and len(self.losses()) == self.steps
        found, wanted = (load_file(folder / WEIGHTS) for folder in (self.output, undisturbed.output))
        assert all(torch.equal(found[name], wanted[name]) for name in wanted)


Begin = Callable[[str, int], Attempts]


@pytest.fixture
def attempts(quick: Quick, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Begin:
    if not sys.platform.startswith("linux"):
        pytest.skip("processes are forked")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return lambda name, steps: Attempts(quick, tmp_path / name, steps)


def wait_for(there: Callable[[], bool], ended: Callable[[], bool]) -> None:
    while not there() and not ended():
        time.sleep(0.0005)


def test_a_run_killed_while_it_keeps_features_and_while_it_saves_comes_to_the_same_end(attempts: Begin) -> None:
    undisturbed, killed = attempts("undisturbed", 4), attempts("killed", 4)
    assert not undisturbed.end()
    assert killed.end(deadly=15, folder=killed.cache), "before the third picture's features had their name"
    assert (len(list(killed.cache.glob("[!.]*.safetensors"))), len(list(killed.cache.glob(".*")))) == (2, 1)
    process = killed.begin()
    saving = killed.output / ".saving"
    wait_for(lambda: bool(checkpoints(killed.output)) and saving.exists(), lambda: not process.is_alive())
    process.kill()
    process.join(300)
    killed.check_whole()
    assert checkpoints(killed.output)
    assert not killed.end()
    killed.check_same_end(undisturbed)


@pytest.mark.slow
def test_a_run_killed_before_each_touch_of_a_file_comes_to_the_same_end(attempts: Begin) -> None:
    undisturbed, killed = attempts("undisturbed", 24), attempts("killed", 24)
    assert not undisturbed.end()
    # a step's save, and the removal of the checkpoint that is too old, touch files about 35 times
    for deadly in range(1, 48, 2):
        assert killed.end(deadly), "it ended before its time"
    assert 0 < killed.newest() < 24
    assert not killed.end()
    killed.check_same_end(undisturbed)
    # what is left to do of a run that came to its last step: the adapter, the report
    moments = 0
    while killed.end(moments := moments + 2):
        assert moments < 100
    assert moments > 10
    killed.check_same_end(undisturbed)


@pytest.mark.slow
def test_the_command_killed_at_any_time_comes_to_the_same_end(attempts: Begin) -> None:
    undisturbed, killed = attempts("undisturbed", 12), attempts("killed", 12)
    assert not undisturbed.end()
    command = [sys.executable, "-m", "cli.main", *killed.words]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    saving, drawn, in_a_save = killed.output / ".saving", random.Random(0), 0
    for number in range(8):
        with killed.told.open("ab") as told:
            run = subprocess.Popen(command, stdout=told, stderr=told, env=environment)
        step = number + drawn.randrange(2)
        wait_for(lambda: killed.newest() >= step, lambda: run.poll() is not None)  # noqa: B023 - called here
        if number % 2:
            wait_for(lambda: saving.exists() and any(saving.iterdir()), lambda: run.poll() is not None)  # noqa: B023
        else:
            time.sleep(drawn.random() / 5)
        run.kill()
        assert run.wait() == KILLED, killed.told.read_text("utf-8")
        in_a_save += saving.exists()
        killed.check_whole()
    assert in_a_save
    assert not killed.end()
    killed.check_same_end(undisturbed)


def test_a_removal_that_is_broken_off_leaves_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("checkpoint-1", "checkpoint-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "trainer_state.json").write_text("{}", "utf-8")
    monkeypatch.setattr(shutil, "rmtree", lambda *args, **options: None)
    drop_old(tmp_path, 1)
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint-2"]


def test_a_checkpoint_whose_optimizer_could_not_be_read_is_not_gone_on_from(quick: Quick) -> None:
    folder = train(quick("--max_steps=1", "--save_strategy=steps")).output_dir / "checkpoint-1"
    whole = (folder / "optimizer.pt").read_bytes()
    assert what_is_broken(folder) is None
    (folder / "optimizer.pt").write_bytes(whole[:-40])
    assert what_is_broken(folder) == "has an incomplete optimizer.pt"
    (folder / "optimizer.pt").write_bytes(whole)
    (folder / "scheduler.pt").unlink()
    assert what_is_broken(folder) == "has no scheduler.pt"


def test_features_that_were_cut_off_are_made_again_and_forgotten_parts_go(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, "tower", GIB)
    for name in ("whole", "short", "empty"):
        cache.keep(name, torch.ones(2, 3, 4))
    (tmp_path / "short.safetensors").write_bytes((tmp_path / "short.safetensors").read_bytes()[:-1])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    old, new = tmp_path / "old.part", tmp_path / "new.part"
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    again = FeatureCache(tmp_path, "tower", GIB)
    assert [name in again for name in ("whole", "short", "empty")] == [True, False, False]
    again.keep("short", torch.ones(2, 3, 4))
    assert "short" in again and torch.equal(load_features(tmp_path, "short"), torch.ones(2, 3, 4))
    assert not old.exists() and new.exists(), "another process may be writing the new one"


def test_features_that_cannot_be_kept_are_told_and_the_run_goes_on(quick: Quick, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    said: list[str] = []
    result = train(quick("--max_steps=1", f"--vision_cache_dir={tmp_path / 'file' / 'cache'}"), said.append)
    assert result.steps == 1 and "Not a directory" in result.degraded[0]
    assert any(text.startswith("Degraded: the vision tower looks at every batch") for text in said)
