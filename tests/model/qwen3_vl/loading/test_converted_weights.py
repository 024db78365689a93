"""Converted weights are kept on the disk, found again to the bit, bounded, and never half-written."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.hub import tiny_folder
from model.qwen3_vl.load import load
from model.qwen3_vl.loading import converted_weights
from model.settings import ModelSettings, Quantization

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every model is worth keeping, in a home of its own."""
    monkeypatch.setattr(converted_weights, "WORTH_BYTES", 1)
    monkeypatch.setenv("LORGNETTE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "converted"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    shutil.copytree(tiny_folder(), folder)
    return folder


def phases_and_logits(
    folder: Path, quantization: Quantization = "int8", gib: float = 1.0
) -> tuple[list[str], torch.Tensor]:
    phases: list[str] = []
    settings = ModelSettings(model=str(folder), quantization=quantization, converted_gib=gib)
    loaded = load(settings, lambda phase, share: phases.append(phase), dtype=torch.bfloat16)
    with torch.no_grad():
        logits: torch.Tensor = loaded.model(input_ids=torch.arange(20, 60)[None]).logits
    return list(dict.fromkeys(phases)), logits


@pytest.mark.parametrize("quantization", ["nf4", "int8"])
def test_the_second_start_reads_the_same_numbers_without_converting(
    base: Path, quantization: Quantization, home: Path
) -> None:
    first, expected = phases_and_logits(base, quantization)
    second, found = phases_and_logits(base, quantization)
    assert "keeping" in first
    assert "keeping" not in second
    assert torch.equal(found, expected)
    assert len(list(home.iterdir())) == 1


def test_other_weights_under_the_same_name_are_converted_anew(base: Path, home: Path) -> None:
    phases_and_logits(base)
    (base / "model.safetensors").touch()
    assert "keeping" in phases_and_logits(base)[0]
    assert len(list(home.iterdir())) == 2


def test_what_was_cut_off_is_made_again(base: Path, home: Path) -> None:
    _, expected = phases_and_logits(base)
    file = next(home.rglob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-100])
    phases, found = phases_and_logits(base)
    assert "keeping" in phases
    assert torch.equal(found, expected)


def test_what_another_program_put_there_is_made_again(base: Path, home: Path) -> None:
    _, expected = phases_and_logits(base)
    folder = next(home.iterdir())
    (folder / "config.json").write_text("{}")
    phases, found = phases_and_logits(base)
    assert "keeping" in phases
    assert torch.equal(found, expected)


def test_what_was_used_longest_ago_goes_first(base: Path, home: Path) -> None:
    phases_and_logits(base, "int8")
    size = sum(file.stat().st_size for file in next(home.iterdir()).iterdir())
    phases_and_logits(base, "nf4", gib=1.2 * size / 2**30)
    assert "keeping" in phases_and_logits(base, "int8", gib=1.2 * size / 2**30)[0]


@pytest.mark.parametrize("gib", [0.0, 1e-6])
def test_without_room_nothing_is_kept(base: Path, home: Path, gib: float) -> None:
    phases_and_logits(base, gib=gib)
    assert not list(home.glob("*"))


def test_a_home_that_cannot_be_written_costs_only_time(base: Path, home: Path) -> None:
    home.parent.mkdir()
    home.write_text("a file where the folder should be")
    assert phases_and_logits(base)[1].shape[1] == 40


def test_a_kill_while_it_is_kept_leaves_nothing_that_is_found(base: Path, home: Path) -> None:
    script = f"""
import os, torch
from model.qwen3_vl.loading import converted_weights
from model.qwen3_vl.load import load
from model.settings import ModelSettings
from transformers import PreTrainedModel
converted_weights.WORTH_BYTES = 1
save = PreTrainedModel.save_pretrained
def killed(self, folder, **options):
    save(self, folder, **options)
    os.kill(os.getpid(), 9)
PreTrainedModel.save_pretrained = killed
load(ModelSettings(model={str(base)!r}, quantization="int8"), dtype=torch.bfloat16)
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=300).returncode == -9
    assert [path.name[0] for path in home.iterdir()] == ["."]
    assert "keeping" in phases_and_logits(base)[0]
    assert [path.name[0] for path in home.iterdir()] != ["."]
    assert len(list(home.iterdir())) == 1
