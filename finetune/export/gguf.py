"""A whole model in llama.cpp's form, GGUF: made by llama.cpp's own converter, the words and the vision part apart.

It converts nothing itself. An adapter goes in before: merged into its base, and the merged model converted.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from common.errors import CodedError
from finetune.errors import FinetuneError

CONVERTER = "convert_hf_to_gguf.py"
Outtype = Literal["f32", "f16", "bf16", "q8_0"]
LAST_LINES = 3  # of what a converter said that failed


class GgufRefused(CodedError, FinetuneError):
    """No GGUF could be written."""

    SENTENCES: ClassVar[dict[str, str]] = {
        "converter_missing": (
            f"GGUF is written by llama.cpp's {CONVERTER}, and there is none {{where}}; clone llama.cpp, install its "
            "Python packages (`pip install -r requirements.txt` there), and name its folder with --llama-cpp DIR."
        ),
        "conversion_failed": (
            "llama.cpp's converter {converter!r} could not convert {model!r}: {reason}; a newer llama.cpp may know "
            "the model."
        ),
    }


@dataclass(frozen=True)
class Gguf:
    """What was written."""

    words: Path
    vision: Path


def find_converter(named: Path | None) -> Path:
    """Return llama.cpp's converter: the one that is named, else the one on the path.

    Args:
        named: The script, or the folder of llama.cpp that has it.

    Raises:
        GgufRefused: There is none; it says what to install.
    """
    if named is not None:
        script = named / CONVERTER if named.is_dir() else named
        if script.is_file():
            return script
    elif found := shutil.which(CONVERTER):
        return Path(found)
    where = f"in {str(named)!r}" if named is not None else "on the path"
    raise GgufRefused("converter_missing", where=where)


def write_gguf(model: Path, converter: Path, *, outtype: Outtype = "f16") -> Gguf:
    """Write a folder's model as two files into it.

    Args:
        model: Folder of a merged model.
        converter: llama.cpp's script.
        outtype: Form of the words' matrices; the vision part is f16, or f32 where that is asked for.

    Raises:
        GgufRefused: The converter failed; its last lines, and nothing is left half written.
    """
    words = _convert(model, converter, model / f"model-{outtype}.gguf", ["--outtype", outtype])
    seen = "f32" if outtype == "f32" else "f16"
    try:
        vision = _convert(model, converter, model / f"mmproj-{seen}.gguf", ["--outtype", seen, "--mmproj"])
    except GgufRefused:
        words.unlink(missing_ok=True)
        raise
    return Gguf(words, vision)


def _convert(model: Path, converter: Path, out: Path, options: list[str]) -> Path:
    part = out.with_name(f".{out.name}")
    # some versions put "mmproj-" in front of the name that they are given, others do not
    parts = [part, part.with_name(f"mmproj-{part.name}")]
    starter = [sys.executable] if converter.suffix == ".py" and not os.access(converter, os.X_OK) else []
    command = [*starter, str(converter), str(model), "--outfile", str(part), *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        said = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
        code = done.returncode
    except OSError as error:
        said, code = [str(error)], -1
    written = next((path for path in parts if path.is_file() and path.stat().st_size), None)
    if code == 0 and written is not None:
        os.replace(written, out)
        return out
    for path in parts:
        path.unlink(missing_ok=True)
    reason = " / ".join(line.strip() for line in said[-LAST_LINES:]) or f"it ended with {code} and wrote nothing"
    raise GgufRefused("conversion_failed", converter=str(converter), model=str(model), reason=reason.rstrip("."))
