"""A merged model is a model for everybody, an approximated mixture says what it costs, and nothing is half written."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import modeling_utils

from cli.finetune.export import finetune_export
from finetune.data.sample import ImageFile, Message, Origin, Sample
from finetune.export.approximation import NoApproximation, SamplesMissing
from finetune.export.export import BaseUnknown, CannotMerge, TargetExists, export
from finetune.output_files import FolderNotWritten, whole_folder
from model.hub import tiny_folder
from model.qwen3_vl.load import Loaded, load
from model.qwen3_vl.processor import encode
from model.settings import ModelSettings

pytestmark = pytest.mark.training

SAFE = "model.safetensors"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj"]


@pytest.fixture(autouse=True)
def quiet_peft() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def adapter(folder: Path, kind: str = "lora", **options: Any) -> Path:
    from peft import IA3Config, LoraConfig, get_peft_model

    from model.adapters.moe_lora import MoeLoraConfig

    torch.manual_seed(0)
    strong: dict[str, Any] = {"r": 4, "lora_alpha": 32, "target_modules": TARGETS, "task_type": "CAUSAL_LM", **options}
    if kind == "ia3":
        config: Any = IA3Config(target_modules=["k_proj"], feedforward_modules=[], init_ia3_weights=False)
    elif kind == "moe_lora":
        config = MoeLoraConfig(**strong, init_weights=False)
    else:
        config = LoraConfig(**strong, init_lora_weights=False)
    model = get_peft_model(load(ModelSettings(model="tiny")).model, config)
    model.peft_config["default"].base_model_name_or_path = "tiny"
    model.save_pretrained(str(folder), save_embedding_layers=False)
    return folder


@torch.no_grad()
def logits(loaded: Loaded) -> torch.Tensor:
    picture = Image.new("RGB", (96, 64), "red")
    blocks = [{"type": "image", "image": picture}, {"type": "text", "text": "What is it?"}]
    inputs = encode(loaded.processor, [{"role": "user", "content": blocks}])
    found: torch.Tensor = loaded.model(**inputs).logits
    return found


def samples(folder: Path) -> list[Sample]:
    Image.new("RGB", (96, 64), "red").save(folder / "red.png")
    asked = Message("user", (ImageFile(folder / "red.png"), "What colour is it?"))
    place = Origin(folder / "rows.jsonl", 1)
    return [
        Sample(str(number), (asked, Message("assistant", (word,))), place)
        for number, word in enumerate(["Red.", "Blue."])
    ]


@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"kind": "ia3"}])
def test_a_merged_model_answers_as_the_base_with_the_adapter(tmp_path: Path, options: dict[str, Any]) -> None:
    from transformers import AutoModelForImageTextToText

    folder = adapter(tmp_path / "adapter", **options)
    done = export(folder, None, tmp_path / "model")
    assert (done.base, done.merged, done.folder) == ("tiny", True, tmp_path / "model")
    assert (done.folder / "model.safetensors").stat().st_mode == (done.folder / "config.json").stat().st_mode
    expected = logits(load(ModelSettings(model="tiny", adapter=folder)))
    merged = load(ModelSettings(model=str(done.folder)), dtype=torch.float32)
    torch.testing.assert_close(logits(merged), expected, atol=2e-4, rtol=1e-4)
    stock = AutoModelForImageTextToText.from_pretrained(done.folder, dtype=torch.float32).eval()
    for name, tensor in merged.model.state_dict().items():
        assert torch.equal(stock.state_dict()[name], tensor), name
    for name in ("tokenizer.json", "chat_template.jinja", "processor_config.json"):
        assert (done.folder / name).read_bytes() == (tiny_folder() / name).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["adapter", "model"]


def test_a_base_of_bfloat16_stays_one_and_is_rounded_once(tmp_path: Path) -> None:
    """As every base from the hub is."""
    base = tmp_path / "base"
    shutil.copytree(tiny_folder(), base)
    save_file({name: t.bfloat16() for name, t in load_file(base / SAFE).items()}, base / SAFE, {"format": "pt"})
    folder = adapter(tmp_path / "adapter")
    done = export(folder, str(base), tmp_path / "model")
    assert {tensor.dtype for tensor in load_file(done.folder / SAFE).values()} == {torch.bfloat16}
    assert json.loads((done.folder / "config.json").read_text())["dtype"] == "bfloat16"
    bare, adapted = (
        logits(load(ModelSettings(model=str(base), adapter=a), dtype=torch.bfloat16)) for a in (None, folder)
    )
    merged = logits(load(ModelSettings(model=str(done.folder)), dtype=torch.bfloat16))
    assert (merged - adapted).abs().mean() < 0.05 * (adapted - bare).abs().mean()


@pytest.mark.parametrize("worked_on", ["lm_head", "embed_tokens"])
def test_where_head_and_embeddings_are_the_same_weights_only_the_one_that_was_trained_is_changed(
    tmp_path: Path, worked_on: str
) -> None:
    folder = adapter(tmp_path / "adapter", target_modules=["q_proj", worked_on])
    adapted = load(ModelSettings(model="tiny", adapter=folder))
    assert adapted.model.config.tie_word_embeddings, "the case that goes wrong"
    expected = logits(adapted)
    done = export(folder, None, tmp_path / "model")
    merged = load(ModelSettings(model=str(done.folder)), dtype=torch.float32)
    torch.testing.assert_close(logits(merged), expected, atol=2e-4, rtol=1e-4)
    assert not json.loads((done.folder / "config.json").read_text())["tie_word_embeddings"]


def test_a_head_that_was_trained_whole_is_no_longer_the_embeddings_and_both_configurations_say_so(
    tmp_path: Path,
) -> None:
    folder = adapter(tmp_path / "adapter", modules_to_save=["lm_head"])
    tensors = load_file(folder / "adapter_model.safetensors")
    tensors = {name: tensor + 0.5 if "lm_head" in name else tensor for name, tensor in tensors.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    done = export(folder, None, tmp_path / "merged")
    config = json.loads((done.folder / "config.json").read_text("utf-8"))
    assert not config["tie_word_embeddings"] and not config["text_config"]["tie_word_embeddings"]
    expected = logits(load(ModelSettings(model="tiny", adapter=folder)))
    assert torch.allclose(logits(load(ModelSettings(model=str(done.folder)), dtype=torch.float32)), expected, atol=1e-4)


def test_an_approximated_mixture_is_a_lora_and_says_what_it_costs(tmp_path: Path) -> None:
    from peft import LoraConfig, PeftModel

    folder = adapter(tmp_path / "mixture", "moe_lora", num_experts=4, top_k=2, r=2, lora_alpha=16)
    done = export(folder, None, tmp_path / "static", approximate_merge=True, samples=samples(tmp_path))
    assert not done.merged and done.losses is not None
    config = json.loads((done.folder / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 8, 64)
    assert isinstance(
        PeftModel.from_pretrained(load(ModelSettings()).model, done.folder).peft_config["default"], LoraConfig
    )
    losses = done.losses
    assert losses.base != losses.adapter != losses.approximation
    approximated = logits(load(ModelSettings(model="tiny", adapter=done.folder)))
    exact = logits(load(ModelSettings(model="tiny", adapter=folder)))
    base = logits(load(ModelSettings(model="tiny")))
    assert (approximated - exact).norm() < (base - exact).norm(), "nearer than the model without it"
    merged = export(done.folder, None, tmp_path / "model")
    torch.testing.assert_close(
        logits(load(ModelSettings(model=str(merged.folder)), dtype=torch.float32)), approximated, atol=2e-4, rtol=1e-4
    )


def test_a_single_expert_loses_nothing(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "mixture", "moe_lora", num_experts=1, top_k=1)
    done = export(folder, None, tmp_path / "static", approximate_merge=True, samples=samples(tmp_path))
    mine, theirs = (load_file(f / "adapter_model.safetensors") for f in (folder, done.folder))
    for name, tensor in mine.items():
        layer, _, part = name.rpartition(".")
        assert torch.equal(theirs[f"{layer}.{part.replace('moelora', 'lora')}.weight"], tensor)
    assert done.losses is not None and done.losses.approximation == pytest.approx(done.losses.adapter, abs=1e-5)
    assert done.losses.kept is None or done.losses.kept == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_is_refused_before_anything_is_loaded_or_written(tmp_path: Path) -> None:
    mixture = adapter(tmp_path / "mixture", "moe_lora")
    mixing = adapter(tmp_path / "mixing", "moe_lora", token_mixing=3)
    plain, activated = adapter(tmp_path / "plain"), adapter(tmp_path / "activated", alora_invocation_tokens=[1])
    nowhere = adapter(tmp_path / "nowhere")
    config = nowhere / "adapter_config.json"
    config.write_text(config.read_text().replace('"tiny"', '"somebody/a-base"'))
    rows, out = samples(tmp_path), tmp_path / "out"
    cases: list[tuple[Path, dict[str, Any], type[Exception], str]] = [
        (mixture, {}, CannotMerge, "--approximate-merge"),
        (activated, {}, CannotMerge, "invocation tokens"),
        (plain, {"approximate_merge": True, "samples": rows}, NoApproximation, "it is no MoE-LoRA"),
        (mixing, {"approximate_merge": True, "samples": rows}, NoApproximation, "earlier tokens"),
        (mixture, {"approximate_merge": True}, SamplesMissing, "--data"),
        (nowhere, {}, BaseUnknown, "'somebody/a-base', which is not on this machine"),
    ]
    for folder, options, error, words in cases:
        with pytest.raises(error, match=words):
            export(folder, None, out, **options)
    with pytest.raises(TargetExists):
        export(plain, None, mixture)
    assert not out.exists()


def test_what_is_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "runs" / "model"
    with pytest.raises(KeyboardInterrupt), whole_folder(out) as folder:
        (folder / "half").write_text("x")
        assert folder.parent == out.parent, "the same disk, so that the last step is a rename"
        raise KeyboardInterrupt
    assert list(out.parent.iterdir()) == []


def test_what_a_killed_export_left_is_removed_by_the_next_one(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, going_on = tmp_path / f".model.{ended.pid}.abc123_x", tmp_path / f".model.{os.getpid()}.abc123_x"
    others = [tmp_path / f".other.{ended.pid}.abc123_x", tmp_path / "model.old", going_on]
    for path in (left, *others):
        path.mkdir()
    with whole_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("x")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "model", *others])


def test_a_full_disk_is_said_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    folder, out = adapter(tmp_path / "adapter"), tmp_path / "to" / "model"
    full_disk = pytest.raises(FolderNotWritten, match=r"model' could not be written: the disk is full; make room")
    with full_disk, monkeypatch.context() as patch:
        patch.setattr(modeling_utils, "safe_save_file", full)
        export(folder, None, out)
    assert list(out.parent.iterdir()) == []
    no_room = pytest.raises(FolderNotWritten, match=r"it needs 1e\+09 GB, and .* GB are free")
    with no_room, whole_folder(out, size=10**18):
        pytest.fail("nothing is begun that cannot fit")


def test_rows_that_cannot_be_used_for_an_approximation_are_listed(tmp_path: Path) -> None:
    mixture, rows = adapter(tmp_path / "mixture", "moe_lora"), samples(tmp_path)
    (tmp_path / "cut.png").write_bytes((tmp_path / "red.png").read_bytes()[:60])
    asked = Message("user", (ImageFile(tmp_path / "cut.png"), "What?"))
    damaged = Sample("x", (asked, rows[0].messages[1]), Origin(tmp_path / "rows.jsonl", 7))
    done = export(mixture, None, tmp_path / "static", approximate_merge=True, samples=[*rows, damaged])
    assert [str(broken.origin) for broken in done.broken] == ["rows.jsonl:7"]
    with pytest.raises(SamplesMissing, match=r"none of these 1 can be used, the first: rows\.jsonl:7"):
        export(mixture, None, tmp_path / "again", approximate_merge=True, samples=[damaged])


def test_the_command_line_merges_and_reports_in_json(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "adapter")
    found = CliRunner().invoke(finetune_export, [str(folder), "--to", str(tmp_path / "model"), "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout) == {
        "folder": str(tmp_path / "model"), "base": "tiny", "merged": True, "losses": None,
    }  # fmt: skip
