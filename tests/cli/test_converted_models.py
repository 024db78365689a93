"""The command line knows models that were converted for OpenVINO; nothing here computes one."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.home import data_home
from lorgnette.settings import load_settings
from model.hub import IR_FILES, find_local, list_local, pull, tiny_folder
from model.ir import GRAPHS, IR, read_ir

GRAPH = '<net><data element_type="u4" offset="0" size="8"/></net>'


@pytest.fixture
def converted(tmp_path: Path) -> Path:
    return write(tmp_path / "qwen")


def write(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for name in GRAPHS:
        (folder / f"{name}.xml").write_text(GRAPH)
        (folder / f"{name}.bin").write_bytes(bytes(8))
    for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
        shutil.copy(tiny_folder() / name, folder)
    sizes = json.loads((tiny_folder() / "processor_config.json").read_text())["image_processor"]
    (folder / "preprocessor_config.json").write_text(json.dumps(sizes))
    return folder


def model_check(result: Any) -> dict[str, str]:
    (check,) = [check for check in json.loads(result.stdout)["checks"] if check["name"] == "model"]
    return dict(check)


def test_the_doctor_tells_the_form_of_a_converted_model(
    lorgnette: Any, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorgnette.version.version", lambda name: "2026.4.1.0")
    check = model_check(lorgnette("doctor", "--json", "--model", f"openvino:{converted}"))
    assert check["state"] == "ok" and "int4" in check["found"] and "2026.4.1.0" in check["found"]


def test_the_doctor_names_the_missing_extra(lorgnette: Any, converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lorgnette.version.version", lambda name: "not installed")
    monkeypatch.setattr("lorgnette.version.MISSING", "not installed")
    check = model_check(lorgnette("doctor", "--json", "--model", f"openvino:{converted}"))
    assert (check["state"], check["mend"]) == ("fail", "pip install 'lorgnette[openvino]'")


def test_the_doctor_finds_a_broken_one(lorgnette: Any, converted: Path) -> None:
    (converted / "openvino_language_model.bin").write_bytes(b"")
    result = lorgnette("doctor", "--json", "--model", f"openvino:{converted}")
    assert result.exit_code == 1 and "it is cut off" in model_check(result)["found"]


def test_a_converted_model_is_remembered_by_its_whole_path(
    lorgnette: Any, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(converted.parent)
    assert lorgnette("model", "use", "openvino:qwen#GPU").exit_code == 0
    assert load_settings().model == f"openvino:{converted}#GPU"


def test_a_folder_that_is_none_is_not_chosen(lorgnette: Any) -> None:
    chosen = lorgnette("model", "use", f"openvino:{tiny_folder()}")
    assert chosen.exit_code == 1 and "run: lorgnette model convert" in chosen.stderr


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the converter, which only writes what one has."""
    asked: list[Any] = []

    def convert(model: str, out: Path, weights: str, home: Path, progress: Callable[[str, float], None]) -> IR:
        asked.append((model, out, weights, home))
        progress("graphs", 0.5)
        return read_ir(write(out))

    monkeypatch.setattr("model.openvino.convert.convert", convert)
    return asked


def test_a_conversion_says_how_the_model_is_used(lorgnette: Any, tmp_path: Path, conversions: list[Any]) -> None:
    result = lorgnette("model", "convert", "tiny", str(tmp_path / "out"), "--weights", "int4")
    assert (result.exit_code, result.stdout) == (0, f"openvino:{tmp_path / 'out'}\n")
    assert conversions == [("tiny", tmp_path / "out", "int4", data_home() / "converter")]


def test_an_adapter_is_merged_before(
    lorgnette: Any, tmp_path: Path, conversions: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    merged: list[Any] = []

    def export(adapter: Path, base: str, out: Path) -> Any:
        merged.append((adapter, base))
        return type("Exported", (), {"folder": out})

    monkeypatch.setattr("finetune.export.export.export", export)
    result = lorgnette("model", "convert", "tiny", str(tmp_path / "out"), "--adapter", "lens")
    assert result.exit_code == 0 and merged == [(Path("lens"), "tiny")]
    (model, _, weights, _), *_ = conversions
    assert Path(model).name == "merged" and not Path(model).parent.exists() and weights == "int8"


def test_a_form_that_there_is_none_of_is_bad_usage(lorgnette: Any, tmp_path: Path) -> None:
    assert lorgnette("model", "convert", "tiny", str(tmp_path / "out"), "--weights", "int2").exit_code == 2


def test_a_ready_model_is_downloaded_without_what_is_not_its_own(tmp_path: Path) -> None:
    asked: list[tuple[str, list[str]]] = []

    def download(name: str, *, allow_patterns: list[str], **_: Any) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    assert pull("openvino:OpenVINO/qwen#GPU", download=download) == tmp_path
    assert asked == [("OpenVINO/qwen", ["config.json"]), ("OpenVINO/qwen", IR_FILES)]
    assert not any("safetensors" in pattern or pattern == "*.bin" for pattern in IR_FILES)


def test_a_downloaded_one_is_listed_by_the_name_that_opens_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--OpenVINO--qwen"
    snapshot = write(repository / "snapshots" / ("0" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    (repository / "blobs").mkdir()
    (found,) = [model for model in list_local(tmp_path) if model.model != "tiny"]
    assert (found.model, found.folder, found.whole) == ("openvino:OpenVINO/qwen", snapshot, True)
    (snapshot / "openvino_detokenizer.bin").unlink()
    (found,) = [model for model in list_local(tmp_path) if model.model != "tiny"]
    assert not found.whole
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert find_local("openvino:OpenVINO/qwen").resolve() == snapshot.resolve()
