"""GGUF by llama.cpp's converter: a stand-in takes its arguments as that script has them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.edge import Run
from cli.main import app
from finetune.adapters.card import CARD, write_card
from finetune.config.loading import load_config
from finetune.export.gguf import CONVERTER, GgufRefused, find_converter, write_gguf

SCRIPT = """
import argparse, sys
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("--outfile", type=Path)
parser.add_argument("--outtype", choices=["f32", "f16", "bf16", "q8_0", "tq1_0", "tq2_0", "auto"], default="auto")
parser.add_argument("--mmproj", action="store_true")
parser.add_argument("model")
args = parser.parse_args()
assert (Path(args.model) / "config.json").is_file()
out = args.outfile
if args.mmproj:
    {of_vision}
    out = out.with_name("mmproj-" + out.name) if {prefixed} else out
out.write_bytes(b"GGUF" + args.outtype.encode() + (b" seen" if args.mmproj else b" words"))
"""


def converter(folder: Path, *, prefixed: bool = False, of_vision: str = "pass") -> Path:
    file = folder / CONVERTER
    file.write_text(SCRIPT.format(prefixed=prefixed, of_vision=of_vision), "utf-8")
    return file


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}", "utf-8")
    return tmp_path / "model"


@pytest.mark.parametrize("prefixed", [False, True])
def test_words_and_vision_are_two_files(tmp_path: Path, model: Path, prefixed: bool) -> None:
    made = write_gguf(model, converter(tmp_path, prefixed=prefixed), outtype="q8_0")
    assert made.words.read_bytes() == b"GGUFq8_0 words" and made.words.name == "model-q8_0.gguf"
    assert made.vision.read_bytes() == b"GGUFf16 seen" and made.vision.name == "mmproj-f16.gguf"
    assert sorted(path.name for path in model.iterdir()) == ["config.json", "mmproj-f16.gguf", "model-q8_0.gguf"]


def test_a_converter_that_fails_leaves_nothing_and_its_last_words_are_told(tmp_path: Path, model: Path) -> None:
    script = converter(tmp_path, of_vision="sys.exit('Model Qwen9VL is not supported')")
    with pytest.raises(GgufRefused, match=r"Model Qwen9VL is not supported; a newer llama\.cpp may know the model"):
        write_gguf(model, script)
    assert [path.name for path in model.iterdir()] == ["config.json"]


def test_without_a_converter_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for named in (None, tmp_path):
        with pytest.raises(GgufRefused, match="name its folder with --llama-cpp DIR"):
            find_converter(named)
    assert find_converter(tmp_path) if converter(tmp_path) else None
    (tmp_path / CONVERTER).chmod(0o755)
    assert find_converter(None) == tmp_path / CONVERTER


def test_export_asks_for_the_converter_before_it_merges(tmp_path: Path) -> None:
    words = [str(tmp_path / "none"), "--to", str(tmp_path / "out"), "--gguf", "--llama-cpp", str(tmp_path)]
    result = CliRunner().invoke(app, ["finetune", "export", *words], obj=Run())
    assert result.exit_code == 1 and "convert_hf_to_gguf.py" in str(result.exception) + result.output
    assert not (tmp_path / "out").exists()


def test_a_card_names_a_hub_or_nothing_and_never_a_path(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    for name in (str(tmp_path / "base"), "tiny"):
        write_card(tmp_path, load_config(None, [f"--model_name_or_path={name}"]))
        text = (tmp_path / CARD).read_text("utf-8")
        assert "base_model" not in text and str(tmp_path) not in text
    write_card(tmp_path, load_config(None, ["--model_name_or_path=Qwen/Qwen3-VL-2B-Instruct"]))
    assert "base_model: Qwen/Qwen3-VL-2B-Instruct\n" in (tmp_path / CARD).read_text("utf-8")
