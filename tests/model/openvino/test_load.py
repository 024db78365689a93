import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from model.checkpoint import ModelCorrupt, ModelIncomplete, ModelUnsupported, read_checkpoint
from model.hub import MissingExtra, ModelNotFound, find_local, tiny_folder
from model.ir import read_ir
from model.open import open_chat
from model.openvino.errors import EngineOptionRefused
from model.settings import ModelSettings


@pytest.fixture(autouse=True)
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here is found before OpenVINO is imported, which is not there."""
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "openvino_genai", None)


def opened(folder: Path, **settings: Any) -> Any:
    return open_chat(ModelSettings.model_validate({"model": f"openvino:{folder}", **settings}))


def test_a_whole_folder_tells_its_form_and_its_window(ir_folder: Path) -> None:
    ir = read_ir(ir_folder)
    assert (ir.weights, ir.window, ir.bytes) == ("int4", 4096, 7 * 8)


def test_the_extra_is_named_where_it_is_missing(ir_folder: Path) -> None:
    with pytest.raises(MissingExtra, match=r"pip install 'lorgnette\[openvino\]'"):
        opened(ir_folder)


def test_a_folder_without_an_ir_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnsupported, match="holds no model that was converted for OpenVINO"):
        opened(tmp_path)


def test_a_checkpoint_is_told_how_it_is_converted() -> None:
    with pytest.raises(ModelUnsupported, match="run: lorgnette model convert"):
        opened(tiny_folder())


def test_a_converted_model_without_its_mark_is_told_to_write_it(ir_folder: Path) -> None:
    with pytest.raises(ModelUnsupported, match="write openvino: before its name"):
        read_checkpoint(ir_folder)


def test_an_ir_of_another_model_is_refused(ir_folder: Path) -> None:
    (ir_folder / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(ModelUnsupported, match="holds a converted model of type 'llava', not 'qwen3_vl'"):
        opened(ir_folder)


@pytest.mark.parametrize(
    "name", ["openvino_language_model.bin", "openvino_detokenizer.xml", "config.json", "tokenizer.json",
             "preprocessor_config.json"],
)  # fmt: skip
def test_a_missing_file_is_named(name: str, ir_folder: Path) -> None:
    (ir_folder / name).unlink()
    with pytest.raises(ModelIncomplete, match=f"(lacks|has no) {name}"):
        opened(ir_folder)


def test_weights_that_are_cut_off_are_told_by_their_bytes(ir_folder: Path) -> None:
    (ir_folder / "openvino_language_model.bin").write_bytes(bytes(5))
    with pytest.raises(ModelCorrupt, match=r"openvino_language_model.bin of 5 bytes that should have 8: it is cut off"):
        opened(ir_folder)


def test_a_graph_that_is_cut_off_is_refused(ir_folder: Path) -> None:
    graph = ir_folder / "openvino_language_model.xml"
    graph.write_text(graph.read_text()[:40])
    with pytest.raises(ModelCorrupt, match=r"openvino_language_model.xml that is cut off"):
        opened(ir_folder)


@pytest.mark.parametrize("template", ["{{ nothing.at.all }}", "no pictures", "{% if %}"])
def test_a_template_that_cannot_be_used_is_refused(template: str, ir_folder: Path) -> None:
    (ir_folder / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelCorrupt, match="chat template"):
        opened(ir_folder)


def test_a_broken_tokenizer_is_refused(ir_folder: Path) -> None:
    (ir_folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelCorrupt, match=r"tokenizer.json that cannot be read"):
        opened(ir_folder)


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"adapter": "adapters/a"}, "lorgnette model convert MODEL OUT --adapter FOLDER"),
        ({"node_adapters": {"planner": "a"}}, "use the checkpoint itself"),
        ({"quantization": "nf4"}, "lorgnette model convert --weights"),
        ({"device_map": "balanced"}, "openvino:FOLDER#GPU"),
        ({"offload_folder": "/x"}, "leave it out"),
        ({"attn_implementation": "flash_attention_2"}, "leave it out"),
        ({"max_memory": {"cpu": "1GiB"}}, "leave it out"),
    ],
)  # fmt: skip
def test_a_setting_that_this_engine_does_not_have_is_named(
    settings: dict[str, Any], advice: str, ir_folder: Path
) -> None:
    with pytest.raises(EngineOptionRefused, match=next(iter(settings))) as refused:
        opened(ir_folder, **settings)
    assert advice in str(refused.value)


def test_a_device_behind_the_folder_is_no_part_of_its_name(ir_folder: Path) -> None:
    assert find_local(f"openvino:{ir_folder}#GPU.1") == find_local(f"openvino:{ir_folder}") == ir_folder


def test_an_id_that_was_not_downloaded_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFound, match="run: lorgnette model pull openvino:OpenVINO/no-such-model"):
        find_local("openvino:OpenVINO/no-such-model#GPU")


def test_other_places_of_the_chat_template_are_read(ir_folder: Path) -> None:
    source = (ir_folder / "chat_template.jinja").read_text()
    (ir_folder / "chat_template.jinja").unlink()
    (ir_folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": source}))
    assert read_ir(ir_folder).chat_template == source
    shutil.copy(tiny_folder() / "tokenizer_config.json", ir_folder)
    with pytest.raises(ModelIncomplete, match="has no chat template"):
        read_ir(ir_folder)
