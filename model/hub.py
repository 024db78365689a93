"""Finds models on this machine and, when asked by name, downloads them from Hugging Face or ModelScope.

Nothing here is called by an answer: only `pull` uses the network, and only for the id that the user typed. Loads no
weights.
"""

import errno
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from common.safe_text import first_line
from model.checkpoint import MODEL_TYPES, ModelUnsupported, why_unsupported
from model.errors import ModelError

TINY = "tiny"
MODELSCOPE = "modelscope:"
OPENVINO = "openvino:"
"""Before a folder or a hub id: it holds a model that was converted for OpenVINO."""
OPENVINO_DEVICE = re.compile(r"#(CPU|GPU(?:\.\d+)?)$")
"""Behind it: where it computes; nothing is the processor."""
# The files of a checkpoint and no others: no pickles, no second copy in another format.
FILES = ["*.json", "*.safetensors", "*.jinja", "*.txt", "LICENSE*", "README.md"]
IR_FILES = ["*.json", "openvino_*.xml", "openvino_*.bin", "*.jinja", "*.txt", "LICENSE*", "README.md"]
"""Of a converted model, in the root of its repository."""
IR = "openvino_language_model.xml"
"""The file by which a folder of a converted model is known."""
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all); the whole grows while the files are being listed."""


class ModelNotFound(ModelError):
    """No folder of that name and no downloaded model of that id."""

    def __init__(self, model: str, fix: str) -> None:
        self.model, self.fix = model, fix
        super().__init__(f"The model {model!r} is not on this machine; {fix}.")


class ModelNotAFolder(ModelError):
    """A file was given where a folder belongs."""

    def __init__(self, model: str) -> None:
        super().__init__(f"The model {model!r} is a file; give the folder that holds config.json and the weights.")
        self.model = model


class ModelUnavailable(ModelError):
    """A download that did not come about; `reason` is the hub's or the network's."""

    def __init__(self, model: str, reason: str, fix: str) -> None:
        self.model, self.reason, self.fix = model, reason, fix
        super().__init__(f"The model {model!r} could not be downloaded: {reason}; {fix}.")


class MissingExtra(ModelError, ImportError):
    """An optional package is not installed; `extra` is the one of ours that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        self.package, self.extra = package, extra
        super().__init__(f"This needs the package {package!r}; run `pip install 'lorgnette[{extra}]'`.")


@dataclass(frozen=True)
class LocalModel:
    """A model that needs no download."""

    model: str
    """What to give as `model`: `tiny` or a hub id."""
    folder: Path
    bytes: int
    """On disk."""
    whole: bool
    """False when a download was broken off; `pull` goes on with it."""


def tiny_folder() -> Path:
    """Return the folder of the bundled checkpoint."""
    return Path(str(files("model"))) / TINY


def find_local(model: str) -> Path:
    """Return the folder of `tiny`, of a local path, or of a hub id that was downloaded before.

    `openvino:` before it, and a device behind that, say how the folder is used and are no part of its name.

    Raises:
        ModelNotFound: There is none; the message says how to get it.
        MissingExtra: A ModelScope id without the package that knows its cache.
    """
    if model == TINY:
        return tiny_folder()
    named, (model, files) = OPENVINO_DEVICE.sub("", model), _files_of(model)
    folder = Path(model).expanduser()
    try:
        if folder.is_dir():
            return folder
        is_file = folder.is_file()
    except OSError as error:  # a name longer than any file's
        raise ModelNotFound(f"{model[:40]}…", "give a folder, `tiny`, or a hub id") from error
    if is_file:
        raise ModelNotAFolder(model)
    if not HUB_ID.fullmatch(model.removeprefix(MODELSCOPE)):
        raise ModelNotFound(model, "give a folder, `tiny`, or a hub id such as 'Qwen/Qwen3-VL-2B-Instruct'")
    try:
        return Path(_snapshot(model)(model.removeprefix(MODELSCOPE), allow_patterns=files, local_files_only=True))
    except (OSError, ValueError) as error:  # LocalEntryNotFoundError is an OSError, ModelScope raises both
        raise ModelNotFound(named, f"run: lorgnette model pull {named}") from error


def pull(model: str, progress: Progress | None = None, *, download: Callable[..., str | Path] | None = None) -> Path:
    """Download a model, or what is missing of it, and return its folder.

    Args:
        model: A hub id, or `modelscope:ORG/NAME`; `openvino:` before it where the hub has it converted.
        progress: Called with bytes; a ModelScope download counts each file for itself.
        download: Takes the place of the hub's `snapshot_download`.

    Its configuration comes first, so that a model which cannot be loaded costs a few kilobytes.

    Raises:
        ModelUnavailable: No network, no such model, no access, no space.
        ModelUnsupported: It is no Qwen3-VL, or its weights want a package that is not installed.
        MissingExtra: A ModelScope id without the `modelscope` package.
    """
    address, files = _files_of(model)
    name = address.removeprefix(MODELSCOPE)
    if not HUB_ID.fullmatch(name):
        raise ModelUnavailable(model, "this is no hub id", "an id looks like 'Qwen/Qwen3-VL-2B-Instruct'")
    download = download or _snapshot(address)
    try:
        _check_before(Path(download(name, allow_patterns=["config.json"], **_reporting(address, None))))
        return Path(download(name, allow_patterns=files, **_reporting(address, progress)))
    except OSError as error:  # hub errors, connection errors and a full disk all derive from it
        raise ModelUnavailable(model, first_line(error.__cause__ or error), _fix(error)) from error
    except (RuntimeError, ValueError) as error:
        raise ModelUnavailable(model, first_line(error.__cause__ or error), "look at the id and try again") from error


def _files_of(model: str) -> tuple[str, list[str]]:
    """Return where a model lies, without what says how it is used, and which of the files there are its own."""
    if model.startswith(OPENVINO):
        return OPENVINO_DEVICE.sub("", model.removeprefix(OPENVINO)), IR_FILES
    return model, FILES


def _reporting(model: str, progress: Progress | None) -> dict[str, Any]:
    """Return what a hub's download takes to report its bytes, and to draw nothing of its own."""
    if model.startswith(MODELSCOPE):
        return {"progress_callbacks": [_modelscope_callback(progress)] if progress else None}
    return {"tqdm_class": _bar(progress)}


def _check_before(folder: Path) -> None:
    """Refuse a model that could not be loaded, by its configuration alone."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # without one, or with a broken one, the whole folder says what is wrong
    if isinstance(config, dict) and (refusal := why_unsupported(config)):
        raise ModelUnsupported(folder, *refusal)


def list_local(cache: Path | None = None) -> list[LocalModel]:
    """Return the bundled model and every Qwen3-VL in the Hugging Face cache, smallest first.

    Args:
        cache: Another cache folder than the user's own.
    """
    from huggingface_hub import CacheNotFound, scan_cache_dir

    folder = tiny_folder()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    found = [LocalModel(TINY, folder, size, whole=True)]
    try:
        repositories = scan_cache_dir(cache).repos
    except CacheNotFound:
        return found
    for repository in repositories:
        revisions = [revision for revision in repository.revisions if _is_ours(revision.snapshot_path)]
        if repository.repo_type == "model" and revisions:
            newest = max(revisions, key=lambda revision: revision.last_modified)
            folder, converted = newest.snapshot_path, (newest.snapshot_path / IR).is_file()
            name = OPENVINO + repository.repo_id if converted else repository.repo_id
            found.append(LocalModel(name, folder, newest.size_on_disk, _whole(folder, converted)))
    return sorted(found, key=lambda model: model.bytes)


def _is_ours(folder: Path) -> bool:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and config.get("model_type") in MODEL_TYPES


def _whole(folder: Path, converted: bool) -> bool:
    from model.checkpoint import ModelFolderError, read_checkpoint
    from model.ir import read_ir

    try:
        read_ir(folder) if converted else read_checkpoint(folder)
    except ModelFolderError:
        return False
    return True


def _snapshot(model: str) -> Callable[..., str | Path]:
    if not model.startswith(MODELSCOPE):
        from huggingface_hub import snapshot_download

        return snapshot_download
    try:
        from modelscope import snapshot_download as from_modelscope
        from modelscope_hub.errors import HubError  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingExtra("modelscope", "modelscope") from error

    def download(name: str, **options: Any) -> str:
        try:
            return str(from_modelscope(name, **options))
        except HubError as error:  # an Exception of its own; OSError is what Hugging Face's derive from
            raise OSError(str(error)) from error

    return download


def _bar(progress: Progress | None) -> type:
    """Return a tqdm that draws nothing and reports the bytes written."""
    from tqdm import tqdm

    class Reported(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # snapshot_download makes three bars: files, bytes received, bytes written; the last one is the whole
            name = kwargs.pop("name", "")
            self.reported = name == "huggingface_hub.snapshot_download"
            super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere(), "mininterval": 0.1})

        def update(self, n: float | None = 1) -> bool | None:
            drawn = super().update(n)
            if self.reported and progress is not None:
                progress(int(self.n), int(self.total or 0))
            return drawn

    return Reported


class _Nowhere:
    """A stream that forgets, so that tqdm counts and draws nothing."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def _modelscope_callback(progress: Progress | None) -> type:
    class Reported:
        def __init__(self, filename: str, file_size: int) -> None:
            self.done, self.size = 0, file_size

        def update(self, size: int) -> None:
            self.done += size
            if progress is not None:
                progress(self.done, self.size)

        def end(self) -> None:
            """Do nothing."""

    return Reported


def _fix(error: OSError) -> str:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if error.errno == errno.ENOSPC:
        return "make room on the disk and try again; what was downloaded is kept"
    if isinstance(error, GatedRepoError):
        return "accept its licence on the hub and log in with `hf auth login`"
    if isinstance(error, RepositoryNotFoundError):
        return "look at the spelling of the id, or log in with `hf auth login` if it is private"
    return "check the network (a mirror can be named in HF_ENDPOINT) and the free disk space, then try again"
