import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

from model.checkpoint import ModelUnsupported, read_checkpoint, why_unsupported
from model.hub import (
    FILES,
    MissingExtra,
    ModelNotAFolder,
    ModelNotFound,
    ModelUnavailable,
    find_local,
    list_local,
    pull,
    tiny_folder,
)

pytestmark = pytest.mark.heavy

REVISION = "0123456789abcdef0123456789abcdef01234567"


def cached(cache: Path, model: str, config: dict[str, Any]) -> Path:
    """Write what a download of `model` leaves in a cache, with the bundled weights in place of its own."""
    repository = cache / f"models--{model.replace('/', '--')}"
    snapshot = repository / "snapshots" / REVISION
    shutil.copytree(tiny_folder(), snapshot)
    (snapshot / "config.json").write_text(json.dumps(config))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(REVISION)
    (repository / "blobs").mkdir()
    return snapshot


# What is on this machine


def test_tiny_is_the_bundled_folder() -> None:
    assert find_local("tiny") == tiny_folder()
    assert (tiny_folder() / "model.safetensors").is_file()


def test_a_folder_is_itself(tmp_path: Path) -> None:
    assert find_local(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("model", ["./nothing", "/no/such/folder", "two words/x", "https", "a/b/c", "x" * 5000])
def test_what_is_no_folder_and_no_id_is_told_what_to_give(model: str) -> None:
    with pytest.raises(ModelNotFound, match="give a folder, `tiny`, or a hub id"):
        find_local(model)


def test_a_file_is_told_that_a_folder_is_wanted() -> None:
    with pytest.raises(ModelNotAFolder, match=r"is a file; give the folder"):
        find_local(__file__)


def test_an_id_that_is_not_here_names_the_command() -> None:
    with pytest.raises(ModelNotFound, match=r"run: lorgnette model pull nobody/no-such-model\.$"):
        find_local("nobody/no-such-model")


def test_the_list_has_tiny_and_the_caches_qwen3_vl_and_nothing_else(tmp_path: Path) -> None:
    config = json.loads((tiny_folder() / "config.json").read_text())
    whole = cached(tmp_path, "Qwen/Qwen3-VL-2B-Instruct", config)
    broken = cached(tmp_path, "Qwen/Qwen3-VL-4B-Instruct", config)
    (broken / "model.safetensors").unlink()
    cached(tmp_path, "somebody/a-llama", {"model_type": "llama"})
    found = {model.model: model for model in list_local(tmp_path)}
    assert found.keys() == {"tiny", "Qwen/Qwen3-VL-2B-Instruct", "Qwen/Qwen3-VL-4B-Instruct"}
    assert found["Qwen/Qwen3-VL-2B-Instruct"].folder == whole
    assert found["Qwen/Qwen3-VL-2B-Instruct"].whole
    assert not found["Qwen/Qwen3-VL-4B-Instruct"].whole
    assert found["tiny"].bytes > (tiny_folder() / "model.safetensors").stat().st_size


def test_without_a_cache_the_list_is_tiny_alone(tmp_path: Path) -> None:
    assert [model.model for model in list_local(tmp_path / "none")] == ["tiny"]


def test_a_downloaded_id_is_found_by_load_without_a_network(tmp_path: Path) -> None:
    config = json.loads((tiny_folder() / "config.json").read_text())
    cached(tmp_path, "Qwen/Qwen3-VL-2B-Instruct", config)
    script = "from model.qwen3_vl.load import load; from model.settings import ModelSettings\n" \
        "print(load(ModelSettings(model='Qwen/Qwen3-VL-2B-Instruct')).name)"  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True,
        env=os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": closed_port()},
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("Qwen/Qwen3-VL-2B-Instruct\n", 0), done.stderr


# Downloading


def closed_port() -> str:
    """Return an address of this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_pull_takes_only_the_files_of_a_checkpoint_and_counts_bytes(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def download(name: str, *, allow_patterns: list[str], tqdm_class: type) -> str:
        assert name == "Qwen/Qwen3-VL-2B-Instruct"
        if allow_patterns == ["config.json"]:  # looked at before the weights
            return str(tmp_path)
        assert allow_patterns == FILES
        files = tqdm_class(total=2, desc="Fetching 2 files")
        written = tqdm_class(total=0, name="huggingface_hub.snapshot_download", unit="B")
        written.total = 100
        for size in (40, 60):
            written.update(size)
            files.update(1)
        return str(tmp_path)

    folder = pull("Qwen/Qwen3-VL-2B-Instruct", lambda done, whole: calls.append((done, whole)), download=download)
    assert folder == tmp_path
    assert calls == [(40, 100), (100, 100)]


def test_a_download_draws_nothing_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def download(name: str, *, tqdm_class: type, **_: Any) -> str:
        for _ in tqdm_class(range(3), desc="Fetching"):
            pass
        return str(tmp_path)

    pull("a/b", download=download)
    assert capfd.readouterr() == ("", "")


def test_a_modelscope_id_loses_its_prefix_and_counts_each_file(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def download(name: str, *, allow_patterns: list[str], progress_callbacks: Any) -> str:
        assert name == "Qwen/Qwen3-VL-2B-Instruct"
        if allow_patterns == ["config.json"]:
            return str(tmp_path)
        file = progress_callbacks[0]("model.safetensors", 10)
        file.update(4)
        file.update(6)
        file.end()
        return str(tmp_path)

    pull("modelscope:Qwen/Qwen3-VL-2B-Instruct", lambda *call: calls.append(call), download=download)
    assert calls == [(4, 10), (10, 10)]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"model_type": "llama"}, "holds a model of type 'llama', not 'qwen3_vl' or 'qwen3_vl_moe'"),
        (
            {"model_type": "qwen3_vl", "quantization_config": {"quant_method": "awq"}},
            "has awq weights, which need the package 'gptqmodel'; run: pip install gptqmodel",
        ),
        (
            {"model_type": "qwen3_vl", "quantization_config": {"quant_method": "gptq"}},
            "has gptq weights, which need the packages 'gptqmodel' and 'optimum'; run: pip install gptqmodel optimum",
        ),
        (
            {"model_type": "qwen3_vl_moe", "quantization_config": {"quant_method": "compressed-tensors"}},
            "has compressed-tensors weights, which need the package 'compressed_tensors'; run: pip install compressed_",
        ),
        (
            {"model_type": "qwen3_vl_moe", "quantization_config": {"quant_method": "exl3"}},
            "has weights in a form that is not known here ('exl3'); choose the unquantised model",
        ),
    ],
)
def test_a_model_that_cannot_be_loaded_is_refused_before_its_gigabytes(
    config: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.checkpoint.find_spec", lambda name: None)
    asked: list[list[str]] = []

    def download(name: str, *, allow_patterns: list[str], **_: Any) -> str:
        asked.append(allow_patterns)
        (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
        return str(tmp_path)

    with pytest.raises(ModelUnsupported, match=re.escape(says)):
        pull("a/b", download=download)
    assert asked == [["config.json"]]


@pytest.mark.parametrize("method", ["awq", "gptq", "compressed-tensors", "bitsandbytes"])
def test_a_package_that_is_missing_is_named_before_any_weights_are_read(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.checkpoint.find_spec", lambda name: None)
    config = {"model_type": "qwen3_vl", "quantization_config": {"quant_method": method}}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelUnsupported, match=f"has {method} weights, which need the package.*; run: pip install "):
        read_checkpoint(tmp_path)  # nothing else is in the folder


@pytest.mark.parametrize(
    "config",
    [{"model_type": "qwen3_vl_moe"}, {"model_type": "qwen3_vl", "quantization_config": {"quant_method": "fp8"}}],
)
def test_a_mixture_of_experts_and_fp8_weights_are_known(config: dict[str, Any]) -> None:
    assert why_unsupported(config) is None


@pytest.mark.parametrize("call", [pull, find_local])
def test_a_modelscope_id_without_its_package_names_the_extra(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "modelscope", None)  # as if it were not installed
    with pytest.raises(MissingExtra, match=r"pip install 'lorgnette\[modelscope\]'") as caught:
        call("modelscope:Qwen/Qwen3-VL-2B-Instruct")
    assert isinstance(caught.value, ImportError)


RESPONSE = httpx2.Response(404, request=httpx2.Request("GET", "http://hub"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RepositoryNotFoundError("404", response=RESPONSE), "look at the spelling of the id"),
        (GatedRepoError("403", response=RESPONSE), "accept its licence"),
        (LocalEntryNotFoundError("Got: ConnectError\nmore lines"), "check the network"),
        (OSError(28, "No space left on device"), "No space left on device.*make room on the disk"),
        (ValueError("not a revision"), "not a revision"),
    ],
)
def test_a_failed_download_is_one_line_with_what_to_do(error: Exception, words: str) -> None:
    def download(name: str, **_: Any) -> str:
        raise error

    with pytest.raises(ModelUnavailable, match=words) as caught:
        pull("a/b", download=download)
    assert str(caught.value).startswith("The model 'a/b' could not be downloaded: ")
    assert "\n" not in str(caught.value)


def test_what_is_no_id_is_not_asked_for() -> None:
    with pytest.raises(ModelUnavailable, match="this is no hub id"):
        pull("../etc/passwd", download=lambda *_, **__: pytest.fail("asked the hub"))


def test_without_a_network_pull_says_so_in_one_line(tmp_path: Path) -> None:
    script = """
from model.hub import ModelUnavailable, pull
try:
    pull("Qwen/Qwen3-VL-2B-Instruct", lambda done, whole: None)
except ModelUnavailable as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True,
        env=os.environ | {"HF_HUB_CACHE": str(tmp_path), "HF_ENDPOINT": closed_port(), "HF_HUB_OFFLINE": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("The model 'Qwen/Qwen3-VL-2B-Instruct' could not be downloaded: ")
    assert "check the network" in done.stdout
    assert done.stdout.count("\n") == 1
