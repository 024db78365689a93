"""Finds the folder of a model that is on this machine; never asks a hub."""

import hashlib
from pathlib import Path

_SAMPLE_BYTES = 1 << 20
_WEIGHTS = (".safetensors", ".bin", ".onnx")


def model_folder(name: str) -> Path | None:
    """Return the folder of a model given by folder or hub id, None where its weights are not on disk."""
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

        try:
            folder = Path(snapshot_download(name, local_files_only=True))
        except (HFValidationError, LocalEntryNotFoundError):
            return None
    # A download that was broken off has its configuration, but no weights.
    return folder if any(file.suffix in _WEIGHTS for file in folder.iterdir()) else None


def digest(folder: Path) -> str:
    """Return 16 hex digits that change with any file: names, sizes, and the first and last MiB of each.

    Reading whole weights would cost seconds at every start.
    """
    sha = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix in (*_WEIGHTS, ".json")):
        size = file.stat().st_size
        sha.update(f"{file.relative_to(folder).as_posix()}\0{size}\0".encode())
        with file.open("rb") as opened:
            sha.update(opened.read(_SAMPLE_BYTES))
            opened.seek(max(0, size - _SAMPLE_BYTES))
            sha.update(opened.read())
    return sha.hexdigest()[:16]
