"""Everything a user can get wrong about pictures, models and settings, asked through the real command.

Each case is one sentence on stderr that names what to do, nothing on stdout, exit code 1 and no traceback.
"""

import base64
import io
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from langchain_core.language_models import BaseChatModel
from PIL import Image

from cli.edge import Run
from cli.main import app
from graph.agent import Agent
from lorgnette.settings import load_settings
from model.hub import tiny_folder
from model.open import ModelIdentity, open_chat

pytestmark = pytest.mark.heavy

on_posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX files")
Make = Callable[[Path], object]


# The pictures, each made by hand and small


def encoded(form: str) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((64, 48), 90).save(buffer, form)
    return buffer.getvalue()


def png_bomb(side: int) -> bytes:
    """A valid black PNG of `side` x `side` pixels; zeros compressed to a thousandth."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    # One deflated block of a hundredth of the rows, a hundred times; the checksum of n zeros is n above, 1 below.
    packer, size = zlib.compressobj(wbits=-15), side * (side + 1)
    block = packer.compress(bytes(size // 100)) + packer.flush(zlib.Z_FULL_FLUSH)
    pixels = b"\x78\x9c" + block * 100 + packer.flush() + struct.pack(">HH", size % 65521, 1)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def animation(frames: int) -> bytes:
    """A GIF of one white pixel, again and again."""
    screen = struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + screen + frame * frames + b";"


def too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)  # sparse: it takes no room on the disk


def write(data: bytes) -> Make:
    return lambda path: path.write_bytes(data)


def nothing(path: Path) -> None:
    """The case needs no file."""


DATA_PNG = base64.b64encode(encoded("PNG")).decode()
PICTURES: dict[str, tuple[str, Make, str, str]] = {
    # what: (argument, {root} filled in; how the file bad.png is made; what is wrong; what to do)
    "missing file": ("bad.png", nothing, "There is no file 'bad.png'", "check the name"),
    "misspelt file": ("shape.png", nothing, "There is no file 'shape.png'", "did you mean 'shapes.png'?"),
    "folder": ("bad.png", Path.mkdir, "is a folder", "give the path of a picture file"),
    "empty file": ("bad.png", Path.touch, "is empty", "export or copy the picture again"),
    "text": ("bad.png", write(b"Dear Sir or Madam,\n"), "holds no picture of a known format", "convert it to PNG"),
    "truncated JPEG": ("bad.png", write(encoded("JPEG")[:-900]), "damaged or truncated", "export or copy it again"),
    "PNG bomb": ("bad.png", write(png_bomb(30_000)), "is too large to decode, where 70,000,000", "scale it down"),
    "long animation": ("bad.png", write(animation(10_000)), "more than 1,000 frames", "save the frame that matters"),
    "too large": ("bad.png", too_large, "has more than 67,108,864 bytes", "save it smaller"),
    "file address": ("file://server/shapes.png", nothing, "is a file: address", "copy the picture here"),
    "web address": ("http://example.org/a.png", nothing, "never fetched", "download it and give the path"),
    "data of no base64": ("data:image/png;base64,%%%", nothing, "does not hold valid base64", "write it as 'data:"),
    "data of no picture": ("data:text/plain,hello", nothing, "is not an image/* or video/* type", "write it as 'data:"),
    "data cut off": (f"data:image/png;base64,{DATA_PNG[:400]}", nothing, "damaged or truncated", "copy it again"),
    "empty name": ("", nothing, "The name of the picture is empty", "give a path"),
}
if os.name == "posix":
    PICTURES |= {
        "pipe": ("bad.png", os.mkfifo, "is a pipe", "give the path of a picture file"),
        "link loop": ("bad.png", lambda path: path.symlink_to(path), "cannot be read", "check its name"),
    }


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder and only root, with one good picture."""
    folder = tmp_path / "pics"
    folder.mkdir()
    Image.new("RGB", (64, 48), "red").save(folder / "shapes.png")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def chat() -> tuple[BaseChatModel, ModelIdentity]:
    """The bundled model, loaded once for all pictures."""
    return open_chat(load_settings(model="tiny"))


def refusal(*arguments: str, run: Run | None = None) -> str:
    """Run the command in this process and return its one sentence."""
    result = CliRunner().invoke(app, list(arguments), obj=run or Run())
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    return sentence(result.stderr)


def sentence(stderr: str) -> str:
    (line,) = stderr.splitlines()
    assert line.startswith("Error: ")
    assert "--verbose" not in line, "an error that nobody foresaw"
    assert line.endswith((".", "?"))
    return line.removeprefix("Error: ")


def ask(*arguments: str) -> str:
    """Ask for real, loading what the settings name."""
    return refusal("ask", "How many objects are there?", "shapes.png", *arguments)


# Pictures


@pytest.mark.parametrize("case", PICTURES)
def test_a_picture_that_cannot_be_used(case: str, root: Path, chat: tuple[BaseChatModel, ModelIdentity]) -> None:
    argument, make, wrong, fix = PICTURES[case]
    make(root / "bad.png")
    run = Run(open_agent=lambda settings, _progress: Agent(*chat, settings))
    said = refusal("ask", "How many objects are there?", argument.format(root=root), run=run)
    assert wrong in said
    assert fix in said


@on_posix
def test_a_device_is_refused_and_not_read(root: Path) -> None:
    said = refusal("ask", "What is it?", "/dev/zero", "--root", "/dev", "--effort", "quick")
    assert said == "'/dev/zero' is a device; give the path of a picture file."


def test_one_bad_picture_among_good_ones_is_named(root: Path) -> None:
    assert ask("shapes.png", "gone.png").startswith("There is no file 'gone.png'")


# Models


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def without(name: str) -> Make:
    return lambda folder: (folder / name).unlink()


def holding(name: str, data: bytes) -> Make:
    return lambda folder: (folder / name).write_bytes(data)


def cut(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 1_000_000)


def no_second_shard(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def unknown_dtype(folder: Path) -> None:
    header = json.dumps({"a": {"dtype": "F33", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)


def no_heads(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", text_config=config["text_config"] | {"num_attention_heads": 0})


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


MODELS: dict[str, tuple[Make, str, str]] = {
    "empty folder": (empty, "has no config.json", "copy it again"),
    "garbage config": (holding("config.json", b"\xff\x00garbage"), "config.json that cannot be read", "copy it again"),
    "bottomless config": (holding("config.json", b"[" * 100_000), "config.json that cannot be read", "copy it again"),
    "config of no parts": (
        holding("config.json", b'{"model_type": "qwen3_vl"}'), "config.json without a text_config", "copy it again"
    ),
    "impossible config": (no_heads, "do not fit together", "copy it again"),
    "another architecture": (
        lambda f: edit(f / "config.json", model_type="llama"), "a model of type 'llama'", "choose a Qwen3-VL"
    ),
    "no weights": (without("model.safetensors"), "lacks model.safetensors", "copy it again"),
    "weights cut off": (cut, "it is cut off", "copy it again"),
    "pointer of git lfs": (
        holding("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"), "no safetensors file", "copy it"
    ),
    "unknown dtype": (unknown_dtype, "do not fit together", "copy it again"),
    "shard missing": (no_second_shard, "lacks model-00002-of-00002.safetensors", "copy it again"),
    "index of no names": (
        holding("model.safetensors.index.json", b'{"weight_map": {"a": ["b"]}}'), "without a weight_map", "copy it"
    ),
    "no tokenizer": (without("tokenizer.json"), "has no tokenizer", "copy it again"),
    "garbage tokenizer": (holding("tokenizer.json", b"\x00\x01"), "that cannot be read", "copy it again"),
    "no processor": (without("processor_config.json"), "has no processor_config.json", "copy it again"),
    "no template": (without("chat_template.jinja"), "has no chat template", "copy it again"),
    "broken template": (holding("chat_template.jinja", b"{% for"), "template that cannot be used", "copy it again"),
    "template of words": (holding("chat_template.jinja", b"Hello."), "leaves pictures out", "copy it again"),
}  # fmt: skip


@pytest.mark.parametrize("case", MODELS)
def test_a_model_folder_that_cannot_be_used(case: str, root: Path) -> None:
    spoil, wrong, fix = MODELS[case]
    spoil(Path(shutil.copytree(tiny_folder(), root / "model")))
    said = ask("--model", "model")
    assert said.startswith("The model folder 'model' ")
    assert wrong in said
    assert fix in said


def test_a_model_folder_that_does_not_exist(root: Path) -> None:
    assert "give a folder, `tiny`, or a hub id" in ask("--model", "./nowhere")


def test_a_model_that_was_never_pulled(root: Path) -> None:
    assert ask("--model", "nobody/no-such").endswith("run: lorgnette model pull nobody/no-such.")


def test_a_server_that_is_not_there(root: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1#m"
    assert "cannot be reached" in ask("--model", address)


def test_no_free_memory_is_told_before_the_weights_are_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1_000_000))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    said = ask()
    assert "The model 'tiny' needs about" in said
    assert said.endswith("choose a smaller model, or close other programs.")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("can't allocate memory"), OSError(12, "Cannot allocate memory")]
)
def test_memory_that_runs_out_while_the_weights_are_read(
    error: Exception, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("transformers.Qwen3VLForConditionalGeneration.from_pretrained", no_memory)
    assert ask().endswith("choose a smaller model, or close other programs.")


# Adapters


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA of one layer, for a base that is a thousand numbers wide."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("lora")
    config = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj"], "base_model_name_or_path": "other/base"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    name = "base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_{}.weight"
    tensors = {name.format("A"): torch.zeros(2, 1000), name.format("B"): torch.zeros(1000, 2)}
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


ADAPTERS: dict[str, tuple[Make, str, str]] = {
    "another width": (nothing, "does not fit this model", "it was made for 'other/base', so load it with that model"),
    "another architecture": (
        lambda f: edit(f / "adapter_config.json", target_modules=["c_attn"]), "targets 'c_attn'", "load it with that"
    ),
    "no config": (without("adapter_config.json"), "has no adapter_config.json", "give the folder that"),
    "no weights": (without("adapter_model.safetensors"), "lacks adapter_model.safetensors", "save or copy it again"),
    "garbage config": (holding("adapter_config.json", b"\xff"), "an adapter_config.json that cannot", "copy it again"),
    "no folder": (shutil.rmtree, "does not exist", "give the folder that"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADAPTERS)
def test_an_adapter_that_cannot_be_used(case: str, root: Path, lora: Path) -> None:
    spoil, wrong, fix = ADAPTERS[case]
    spoil(Path(shutil.copytree(lora, root / "lens")))
    said = ask("--adapter", "lens")
    assert said.startswith(f"The adapter {str(root / 'lens')!r} ")
    assert wrong in said
    assert fix in said


# Settings and the disk


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"model: [", "is not valid YAML in line 1; mend it or move it away"),
        (b"\xff\xfe\x00", "cannot be used: "),
        (b"- a list", "it should hold lines such as 'model: tiny'"),
        (b"modle: tiny", "has no setting 'modle': did you mean 'model'?"),
        (b"seed: often", "seed in "),
    ],
)
def test_settings_that_cannot_be_read(content: bytes, words: str, root: Path) -> None:
    (root / "lorgnette.yaml").write_bytes(content)
    assert words in ask()


def test_a_settings_file_that_is_named_and_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORGNETTE_CONFIG", "gone.yaml")
    assert "no such file exists; mend it or move it away." in ask()


def test_a_model_without_a_name(root: Path) -> None:
    assert ask("--model", " ").startswith("--model cannot be ' ': give tiny, a folder")


def test_a_full_disk_ends_a_download_with_what_to_do(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", full)
    said = refusal("model", "pull", "nobody/no-such")
    assert "No space left on device" in said
    assert "make room on the disk" in said


# The same in a process of its own, where a traceback or a library's chatter could not hide


def run(*arguments: str, stdout: int = subprocess.PIPE) -> str:
    command = [sys.executable, "-m", "cli.main", *arguments]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8", timeout=300, env=env)
    assert (done.returncode, done.stdout or "") == (1, ""), done.stderr
    return sentence(done.stderr)


def test_a_bomb_in_a_process_of_its_own(root: Path) -> None:
    (root / "bomb.png").write_bytes(png_bomb(30_000))
    assert "too large to decode" in run("ask", "What is it?", "bomb.png")


def test_a_broken_model_in_a_process_of_its_own(root: Path) -> None:
    cut(Path(shutil.copytree(tiny_folder(), root / "model")))
    assert "it is cut off; copy it again." in run("ask", "What is it?", "shapes.png", "--model", "model")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_an_answer_into_a_full_disk_in_a_process_of_its_own(root: Path) -> None:
    with open("/dev/full", "wb") as disk:
        said = run("model", "list", stdout=disk.fileno())
    assert said == "The disk is full, nothing more can be written; make room and try again."
