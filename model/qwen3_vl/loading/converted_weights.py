"""Weights that were converted to nf4 or int8 on a CPU, kept on the disk: converting takes half a minute at each start.

A folder is named for the files it was made of and for the libraries that made it, so that nothing out of date is ever
found. All folders together are bounded: what was used longest ago goes first.
"""

import hashlib
import json
import logging
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.atomic_files import remove_left_folders, whole_folder
from common.safe_text import first_sentence
from model.checkpoint import Checkpoint, ModelCorrupt, ModelFolderError, read_json, read_tensors

if TYPE_CHECKING:
    from model.qwen3_vl.loading.weight_form import Form

logger = logging.getLogger(__name__)

WORTH_BYTES = 256 * 2**20
"""A smaller model is converted in less time than the user notices."""
LEAVE_FREE = 2 * 2**30  # bytes on the disk, whatever the bound says


def worth_keeping(checkpoint: Checkpoint, form: "Form") -> bool:
    """Return whether the conversion takes long: on a CPU, of a model of some size."""
    converted = form.quantization != "none" and form.device.type == "cpu" and not form.placement.is_spread
    return converted and _bytes_of(checkpoint, form) >= WORTH_BYTES


class ConvertedWeights:
    """The folder of them all."""

    def __init__(self, root: Path, limit_bytes: int) -> None:
        """Keep the place; `root` need not be there, and with a limit of 0 nothing is found or kept."""
        self._root, self._limit = root, limit_bytes

    def find(self, checkpoint: Checkpoint, form: "Form") -> Path | None:
        """Return the folder with this checkpoint's weights in this form; None if there is none that is whole."""
        folder = self._root / _key(checkpoint, form)
        if not self._limit or not folder.is_dir():
            return None
        try:
            _check(folder, checkpoint)
        except ModelFolderError as error:  # the machine went down, or somebody cut it
            logger.warning("converted weights are made again: %s", first_sentence(error))
            self.forget(folder)
            return None
        try:
            os.utime(folder)
        except OSError:
            logger.info("the use of %s cannot be noted", folder)
        return folder

    def keep(self, model: Any, checkpoint: Checkpoint, form: "Form") -> None:
        """Write the weights of a model that has computed nothing yet; where it cannot be, the log says why.

        bitsandbytes lays nf4 weights out anew when they are first used, and rounds when they are laid back.
        """
        size = _bytes_of(checkpoint, form)
        if size > self._limit:
            return
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            remove_left_folders(self._root)
            self._make_room(size)
            if shutil.disk_usage(self._root).free < size + LEAVE_FREE:
                logger.warning("converted weights are not kept: the disk of %s is nearly full", self._root)
                return
            with whole_folder(self._root / _key(checkpoint, form)) as folder:
                model.save_pretrained(folder)
        except Exception as error:  # safetensors' own is an Exception; the model is loaded, and answers without this
            logger.warning("converted weights are not kept: %s", first_sentence(error))

    def forget(self, folder: Path) -> None:
        """Remove one of the folders."""
        shutil.rmtree(folder, ignore_errors=True)

    def _make_room(self, size: int) -> None:
        whole = [folder for folder in self._root.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
        folders = sorted(whole, key=lambda folder: folder.stat().st_mtime)
        used = {folder: sum(file.stat().st_size for file in folder.iterdir()) for folder in folders}
        for folder in folders:
            if sum(used.values()) + size <= self._limit:
                return
            self.forget(folder)
            del used[folder]


def _check(folder: Path, checkpoint: Checkpoint) -> None:
    """Raise ModelFolderError if files are cut off, or describe a model of another shape, whatever its size."""
    for file in sorted(folder.glob("*.safetensors")):
        read_tensors(folder, file.name, "")
    config = read_json(folder, "config.json", "")
    for part in ("text_config", "vision_config"):
        numbers = {key: value for key, value in checkpoint.config.get(part, {}).items() if type(value) is int}
        kept = config.get(part)
        if not isinstance(kept, dict) or any(kept.get(key, value) != value for key, value in numbers.items()):
            raise ModelCorrupt(folder, f"has another {part} than the model it was made of", "it is made again")


def _bytes_of(checkpoint: Checkpoint, form: "Form") -> int:
    return checkpoint.bytes_needed(form.dtype.itemsize, form.quantization)


def _key(checkpoint: Checkpoint, form: "Form") -> str:
    """Return a name for what decides every bit of the converted weights."""
    files = sorted(path for path in checkpoint.folder.iterdir() if path.suffix == ".safetensors")
    made_of = {
        "files": [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files],
        "config": checkpoint.config,
        "form": [form.quantization, str(form.dtype)],
        "libraries": [version(name) for name in ("torch", "transformers", "bitsandbytes")],
    }
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:20]
