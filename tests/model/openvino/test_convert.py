import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.checkpoint import ModelUnsupported
from model.hub import tiny_folder
from model.ir import GRAPHS
from model.openvino import convert as conversion
from model.openvino.convert import ConversionFailed, OutNotEmpty, convert
from model.openvino.converter import ConverterUnavailable

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the converter in the converter's place is a script")

GRAPH = '<net><data element_type="u8" offset="0" size="8"/></net>'
WRITES = "\n".join(f'printf \'{GRAPH}\' > "$4/{name}.xml"; printf 12345678 > "$4/{name}.bin"' for name in GRAPHS)
"""What a conversion leaves, in the folder that is the converter's fourth argument."""


@pytest.fixture
def converter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script in the place of the environment's Python; tests write what it does."""
    script = tmp_path / "converter"
    does(script, f'cp "$3/config.json" "$4"\n{WRITES}')
    monkeypatch.setattr(conversion, "converter_python", lambda home: script)
    return script


def does(script: Path, what: str) -> None:
    script.write_text(f"#!/bin/sh\n{what}\n")
    script.chmod(0o755)


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "converter")


def test_a_conversion_takes_tokenizer_template_and_picture_sizes_along(converter: Path, tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    ir = convert("tiny", tmp_path / "out", "int8", tmp_path, lambda phase, share: told.append((phase, share)))
    assert ir.folder == tmp_path / "out" and ir.weights == "int8"
    for name in ("tokenizer.json", "chat_template.jinja", "generation_config.json"):
        assert (ir.folder / name).read_bytes() == (tiny_folder() / name).read_bytes()
    sizes = json.loads((tiny_folder() / "processor_config.json").read_text())["image_processor"]
    assert ir.picture == sizes
    assert told[0] == ("environment", 0.0) and told[-1] == ("ready", 1.0)
    assert left_in(tmp_path) == ["out"]


def test_the_converter_is_told_the_form_and_asks_nobody(converter: Path, tmp_path: Path) -> None:
    does(converter, f'cp "$3/config.json" "$4"\necho "$5 $HF_HUB_OFFLINE $CI" > {tmp_path}/said\n{WRITES}')
    convert("tiny", tmp_path / "out", "int4", tmp_path)
    assert (tmp_path / "said").read_text() == "int4 1 true\n"


def test_what_the_converter_said_last_is_the_reason_and_nothing_is_left(converter: Path, tmp_path: Path) -> None:
    does(converter, 'echo x > "$4/openvino_language_model.xml"; echo; echo "ValueError: no such layer."; exit 1')
    with pytest.raises(ConversionFailed, match="could not be converted: ValueError: no such layer; choose other"):
        convert("tiny", tmp_path / "out", "int8", tmp_path)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("ends", "reason"),
    [("echo 'OSError: No space left on device'; exit 1", "the disk is full"), ("kill -9 $$", "the memory ran out")],
)
def test_a_full_machine_is_named(ends: str, reason: str, converter: Path, tmp_path: Path) -> None:
    does(converter, ends)
    with pytest.raises(ConversionFailed, match=reason):
        convert("tiny", tmp_path / "out", "int8", tmp_path)


def test_a_conversion_that_leaves_a_graph_out_is_none(converter: Path, tmp_path: Path) -> None:
    does(converter, f'cp "$3/config.json" "$4"\n{WRITES}\nrm "$4/openvino_detokenizer.bin"')
    with pytest.raises(Exception, match=r"lacks openvino_detokenizer.bin"):
        convert("tiny", tmp_path / "out", "int8", tmp_path)
    assert left_in(tmp_path) == []


def test_a_folder_with_files_is_not_written_over(converter: Path, tmp_path: Path) -> None:
    with pytest.raises(OutNotEmpty, match="name a new one"):
        convert("tiny", tiny_folder(), "int8", tmp_path)


def test_a_mixture_of_experts_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder(), tmp_path / "moe")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "qwen3_vl_moe"}))
    with pytest.raises(ModelUnsupported, match="OpenVINO GenAI does not know"):
        convert(str(folder), tmp_path / "out", "int8", tmp_path)


def test_an_environment_that_cannot_be_made_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ConverterUnavailable, match="install Python's own venv"):
        convert("tiny", tmp_path / "out", "int8", tmp_path / "home")
    assert not list((tmp_path / "home").iterdir())


KILLED = """
import sys
from pathlib import Path
from model.openvino import convert as conversion
conversion.converter_python = lambda home: Path(sys.argv[1])
conversion.convert("tiny", Path(sys.argv[2]), "int8", Path())
"""


@pytest.mark.heavy
def test_a_killed_conversion_leaves_no_model_and_the_next_one_sweeps(converter: Path, tmp_path: Path) -> None:
    # The real converter reads its standard input in a thread and ends with it; so does this one.
    does(
        converter,
        f"echo $$ > {tmp_path}/pid.part\nmv {tmp_path}/pid.part {tmp_path}/pid\ncat\necho over > {tmp_path}/over",
    )
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(converter), str(out)], env=environment)
    give_up = time.monotonic() + 120
    while not (tmp_path / "pid").exists():
        assert process.poll() is None and time.monotonic() < give_up
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while not (tmp_path / "over").exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    assert not out.exists() and [name for name in left_in(tmp_path) if name.startswith(".out.")]
    does(converter, f'cp "$3/config.json" "$4"\n{WRITES}')
    convert("tiny", out, "int8", tmp_path)
    assert not [name for name in left_in(tmp_path) if name.startswith(".out.")]
