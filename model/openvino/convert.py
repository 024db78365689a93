"""Converts a checkpoint for OpenVINO: graphs and weights in another form, in a folder that is whole or not there.

The work is optimum-intel's, in an environment and a process of its own, which ends with this one.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

from common.atomic_files import whole_folder
from model.checkpoint import Checkpoint, ModelUnsupported, read_checkpoint, read_json
from model.errors import ModelError
from model.hub import find_local
from model.ir import GRAPHS, IR, MODEL_TYPE, read_ir
from model.openvino import vision_memo
from model.openvino.converter import converter_python
from model.openvino.staging import PICTURES, link_file

Weights = Literal["int4", "int8", "fp16", "fp32"]
Progress = Callable[[str, float], None]
"""Called with a phase ("environment", "graphs", "weights", "ready") and its share from 0 to 1."""

_POLL_S = 0.5
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "chat_template.j*")
_COPIED = (*_TOKENIZER, "generation_config.json", "LICENSE*")
_ALSO_READ = (*_COPIED, "config.json", "*.safetensors", "model.safetensors.index.json")
# It ends when our end of its standard input closes, which a kill does as well. The memory of the vision tower goes in
# last; runpy, because our packages are not in the environment.
_SCRIPT = """
import os, runpy, shutil, sys, threading
source, out, weights, memo, beside = sys.argv[1:]
def leave():
    sys.stdin.read()
    os._exit(1)
threading.Thread(target=leave, daemon=True).start()
from pathlib import Path
from optimum.commands.optimum_cli import main
sys.argv[1:] = ["export", "openvino", "-m", source, "--task", "image-text-to-text", "--weight-format", weights, out]
main()
if memo and runpy.run_path(memo)["write_memo"](Path(out), Path(beside)):
    for path in Path(beside).iterdir():
        shutil.move(str(path), os.path.join(out, path.name))
"""
# HF_HUB_OFFLINE: the checkpoint is here. CI: NNCF and OpenVINO's tools send nobody's use anywhere then.
_QUIET = {"HF_HUB_OFFLINE": "1", "CI": "true", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}


class OutNotEmpty(ModelError):
    """Something is there already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(f"The folder {str(folder)!r} exists and is not empty; name a new one.")


class ConversionFailed(ModelError):
    """The converter gave up."""

    def __init__(self, model: str, reason: str, fix: str) -> None:
        self.model, self.reason, self.fix = model, reason, fix
        super().__init__(f"The model {model!r} could not be converted: {reason}; {fix}.")


def convert(
    model: str, out: Path, weights: Weights, home: Path, progress: Progress | None = None, *, remembers: bool = True
) -> IR:
    """Convert a checkpoint that is on this machine, and return the folder as it is read again.

    Args:
        model: As the setting model names it: `tiny`, a folder, a hub id that was downloaded.
        out: New folder; not there, or empty.
        weights: Form of the weights. int4 is the fastest and loses most.
        home: Folder for the converter's environment.
        progress: Told the phase and its share.
        remembers: Give the vision tower its memory now (`model.openvino.vision_memo`), not at each start.

    Raises:
        OutNotEmpty: `out`.
        ModelNotFound, ModelIncomplete, ModelCorrupt, ModelUnsupported: The checkpoint.
        ConverterUnavailable: The converter.
        ConversionFailed: No room, no memory, or the converter's own reason.
    """
    report = progress or (lambda phase, share: None)
    out = out.expanduser()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutNotEmpty(out)
    checkpoint = read_checkpoint(find_local(model))
    _check(checkpoint)
    report("environment", 0.0)
    python = converter_python(home.expanduser())
    report("environment", 1.0)
    try:
        with whole_folder(out) as unfinished, _prepared(checkpoint) as source:
            _export(python, source, unfinished, weights, report, model, vision_memo.__file__ if remembers else "")
            for pattern in (*_COPIED, PICTURES):
                for path in source.glob(pattern):
                    shutil.copyfile(path, unfinished / path.name)
            for path in unfinished.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
            read_ir(unfinished)
    except OSError as error:
        raise ConversionFailed(model, error.strerror or str(error), f"see that {str(out)!r} can be written") from error
    report("ready", 1.0)
    return read_ir(out)


def _check(checkpoint: Checkpoint) -> None:
    """Refuse what the converter or OpenVINO GenAI cannot take."""
    if (found := checkpoint.config["model_type"]) != MODEL_TYPE:
        reason = f"holds a model of type {found!r}, which OpenVINO GenAI does not know"
        raise ModelUnsupported(checkpoint.folder, reason, "choose a Qwen3-VL without experts")
    if checkpoint.stored_form is not None:
        reason = f"has {checkpoint.stored_form} weights, which are not converted"
        raise ModelUnsupported(checkpoint.folder, reason, "choose the unquantised model")


@contextlib.contextmanager
def _prepared(checkpoint: Checkpoint) -> Iterator[Path]:
    """Yield a folder with the checkpoint's files in the layout that the converter knows."""
    with tempfile.TemporaryDirectory(prefix="lorgnette-", ignore_cleanup_errors=True) as temporary:
        source = Path(temporary)
        for pattern in _ALSO_READ:
            for path in checkpoint.folder.glob(pattern):
                link_file(path, source / path.name)
        (source / PICTURES).write_text(json.dumps(_picture_config(checkpoint.folder)), encoding="utf-8")
        yield source


def _picture_config(folder: Path) -> dict[str, object]:
    """Return how pictures are prepared, from whichever of the two places it is kept in."""
    fix = "copy or download the folder again"
    if (folder / PICTURES).is_file():
        return read_json(folder, PICTURES, fix)
    return dict(read_json(folder, "processor_config.json", fix)["image_processor"])


def _export(python: Path, source: Path, out: Path, weights: Weights, report: Progress, model: str, memo: str) -> None:
    """Run the converter; it ends with this process, or when this is left by an exception."""
    environment = {**os.environ, **_QUIET}
    environment.pop("PYTHONPATH", None)
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        tempfile.TemporaryDirectory() as beside,
    ):
        arguments = [str(source), str(out), weights, memo, beside]
        process = subprocess.Popen(
            [str(python), "-c", _SCRIPT, *arguments],
            stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, env=environment,
        )  # fmt: skip
        try:
            while process.poll() is None:
                written = sum((out / f"{name}.xml").exists() for name in GRAPHS)
                report("graphs" if written < len(GRAPHS) else "weights", written / len(GRAPHS))
                time.sleep(_POLL_S)
        finally:
            process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()
        log.seek(0)
        _check_end(process.returncode, log.read(), model)


def _check_end(code: int, log: str, model: str) -> None:
    """Raise what the converter said where it did not come to its end."""
    if code == 0:
        return
    if "No space left" in log or "Disk quota" in log:
        raise ConversionFailed(model, "the disk is full", "make room and try again")
    if code == -9 or "MemoryError" in log or "allocate memory" in log:
        raise ConversionFailed(
            model, "the memory ran out", "close other programs, or convert it on a machine with more memory"
        )
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    last = lines[-1] if lines else f"it ended with {code}"
    raise ConversionFailed(model, last[:300].rstrip("."), "choose other weights, or report it with this sentence")
