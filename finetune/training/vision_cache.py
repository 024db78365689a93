"""What the frozen vision tower sees, kept on the disk: each picture is looked at once, however often it is trained on.

A file is named for the tower's weights and the patches that went in, so that nothing out of date is ever found. The
folder is bounded: what was used longest ago goes first, and a run whose pictures do not fit trains without it.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.atomic_files import is_disk_full, is_part, write_whole
from finetune.training.encoding import Vision
from model.checkpoint import ModelFolderError, read_tensors

if TYPE_CHECKING:
    import torch

SUFFIX = ".safetensors"
FORGOTTEN_S = 3600.0  # age of a part of a file that nobody writes any more
GIB = 2**30
LEAVE_FREE = GIB  # on the disk, whatever the bound says


class CacheFull(Exception):
    """The pictures of this run cannot be kept; the message says why."""


class FeatureCache:
    """One folder of features for one tower."""

    def __init__(self, folder: Path, tower: str, limit_bytes: int) -> None:
        """Keep the place.

        Args:
            folder: Made if it does not exist.
            tower: What `tower_key` returned.
            limit_bytes: Of all files in the folder, other towers' too.

        Raises:
            CacheFull: There can be no such folder.
        """
        self.folder, self._tower, self._limit = folder, tower, limit_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        _sweep(folder)
        self._held = {path.name: path.stat().st_size for path in _files(folder)}
        self._used: set[str] = set()

    def key(self, kind: str, grid_thw: Sequence[int], pixel_values: "torch.Tensor") -> str:
        """Return the name of a picture's features."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{self._tower}/{kind}/{tuple(grid_thw)}".encode())
        digest.update(pixel_values.contiguous().numpy().data)
        return digest.hexdigest()

    def __contains__(self, key: str) -> bool:
        name = key + SUFFIX
        if name not in self._used:
            try:
                read_tensors(self.folder, name, "")
            except ModelFolderError:  # not there, or cut off when the machine went down
                return False
            self._used.add(name)
        return True

    def keep(self, key: str, features: "torch.Tensor") -> None:
        """Write (1 + D, n, hidden) features: the tower's output, and those of D deepstack layers.

        Raises:
            CacheFull: There is no room, or the folder takes no files.
        """
        from safetensors.torch import save

        data = save({"features": features.contiguous()})
        self._make_room(len(data))
        name = key + SUFFIX
        try:
            write_whole(self.folder / name, data, private=True, durable=False)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self._held[name] = len(data)
        self._used.add(name)

    def load(self, key: str) -> "torch.Tensor":
        """Return features that were kept."""
        return load_features(self.folder, key)

    def _make_room(self, size: int) -> None:
        used = sum(self._held.values())
        if used + size > self._limit:
            idle = [path for path in _files(self.folder) if path.name not in self._used]
            for path in sorted(idle, key=_last_used):
                used -= self._held.pop(path.name, 0)
                path.unlink(missing_ok=True)
                if used + size <= self._limit:
                    break
            else:
                raise CacheFull(f"they need more than {self._limit / GIB:.3g} GiB (vision_cache_gib)")
        free = shutil.disk_usage(self.folder).free
        if free - size < LEAVE_FREE:
            raise CacheFull(f"only {free / GIB:.1f} GiB are free in {str(self.folder)!r}")


def load_features(folder: Path, key: str) -> "torch.Tensor":
    """Return kept features, (1 + D, n, hidden), and note the use of them."""
    from safetensors.torch import load_file

    path = folder / (key + SUFFIX)
    features: torch.Tensor = load_file(path)["features"]
    return features


def touch(folder: Path, keys: Sequence[str]) -> None:
    """Note that these features were used now, so that others go first."""
    for key in keys:
        os.utime(folder / (key + SUFFIX))


def tower_key(model: Any) -> str:
    """Return a digest of the vision tower's weights and of the library that runs it."""
    import torch
    import transformers

    digest = hashlib.blake2b(transformers.__version__.encode(), digest_size=16)
    for name, tensor in sorted(model.model.visual.state_dict().items()):
        digest.update(f"{name}/{tensor.dtype}/{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def look(model: Any, vision: Vision) -> "torch.Tensor":
    """Return what the tower sees of a picture or video: (1 + D, n, hidden), on the CPU, in the tower's dtype."""
    import torch

    assert vision.pixel_values is not None, "a picture whose patches are still there"
    device = model.device
    with torch.no_grad():
        seen = model.model.get_image_features(
            vision.pixel_values.to(device), torch.tensor([vision.grid_thw], device=device), return_dict=True
        )
    return torch.stack([torch.cat(part) for part in (seen.pooler_output, *seen.deepstack_features)]).cpu()


def _unwritable(folder: Path, error: OSError) -> CacheFull:
    if is_disk_full(error):
        return CacheFull("the disk is full")
    return CacheFull(f"{str(folder)!r} cannot be written ({error.strerror})")


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left half written."""
    for part in filter(is_part, folder.iterdir()):
        if _last_used(part) < time.time() - FORGOTTEN_S:
            part.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix == SUFFIX and not is_part(path)]


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another process was faster
        return 0.0
