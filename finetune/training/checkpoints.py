"""Checkpoints on the disk: written aside and renamed when whole, found again, and told from what is broken or foreign.

A process that is killed while it saves leaves the checkpoint before. Knows no model.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from common.atomic_files import is_disk_full
from finetune.config.schema import RESOLVED, FinetuneConfig
from finetune.errors import FinetuneError
from finetune.training.arguments import follows_best
from model.adapters.attach import WEIGHTS
from model.checkpoint import ModelFolderError, read_checkpoint, read_json, read_tensors

STATE = "trainer_state.json"
STAGING = ".saving"
DISCARDED = ".saving.old"
NAME = re.compile(r"checkpoint-(\d+)")
OURS = ("adapter_config.json", WEIGHTS, STATE, RESOLVED, "train_log.jsonl", "answers.jsonl", "report.html")
WHOLE_MODEL = ("config.json", "model*.safetensors", "model.safetensors.index.json")
"""Of a run that trains the model itself."""
FULL_BELOW = 16 * 2**20  # bytes free, under which a failed write is put down to a full disk
# What a checkpoint's weights and step count mean hangs on these; other keys may change at a resumption.
BINDING = ("model.model_name_or_path",)
OF_THE_BEST = ("evaluation.metric_for_best_model",)  # likewise, where the best checkpoint is followed


class CheckpointBroken(FinetuneError):
    """A checkpoint that was named and cannot be gone on from."""

    def __init__(self, folder: Path, reason: str, others: list[Path]) -> None:
        self.folder, self.reason, self.others = folder, reason, others
        instead = f"name {str(others[-1])!r} instead" if others else "begin anew without resume_from_checkpoint"
        super().__init__(f"The checkpoint {str(folder)!r} {reason}; {instead}.")


class ResumeMismatch(FinetuneError):
    """The configuration is not that of the run which is gone on with."""

    def __init__(self, key: str, was: object, now: object) -> None:
        self.key, self.was, self.now = key, was, now
        super().__init__(
            f"The checkpoint was trained with {key}: {was!r}, and the configuration says {now!r}; put it back, or "
            "begin anew in another output_dir."
        )


class OutputNotEmpty(FinetuneError):
    """The output folder holds a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"The folder {str(folder)!r} holds a run already; go on with it (resume_from_checkpoint: true), begin anew "
            "in it (overwrite_output_dir: true), or choose another output_dir."
        )


class CheckpointNotSaved(FinetuneError):
    """Nothing could be written; `last` is the newest whole checkpoint."""

    def __init__(self, folder: Path, reason: str, last: Path | None) -> None:
        self.folder, self.reason, self.last = folder, reason, last
        kept = f"the run is safe up to {str(last)!r}" if last else "no checkpoint was written yet"
        super().__init__(
            f"Nothing more could be written into {str(folder)!r}: {reason}; {kept}. Make room and go on with "
            "resume_from_checkpoint: true."
        )


def find_checkpoint(config: FinetuneConfig) -> Path | None:
    """Return the checkpoint to resume from; None to begin anew.

    Raises:
        CheckpointBroken: The one that is named; with `true`, broken ones are passed over for the one before.
        ResumeMismatch: It belongs to another configuration.
    """
    wanted, folder = config.training.resume_from_checkpoint, config.training.output_dir.expanduser()
    if not wanted:
        return None
    whole = [path for path in checkpoints(folder) if what_is_broken(path) is None]
    if wanted is True:
        found = whole[-1] if whole else None
    else:
        found = Path(str(wanted)).expanduser()
        if (reason := what_is_broken(found)) is not None:
            raise CheckpointBroken(found, reason, whole)
    if found is not None:
        _check_same(found, config)
    return found


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the oldest first."""
    if not folder.is_dir():
        return []
    found = [(int(match[1]), path) for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found)]


def what_is_missing(checkpoint: Path) -> str | None:
    """Return in words why a checkpoint's weights cannot be used; None if they can."""
    if not checkpoint.is_dir():
        return "it was deleted"
    try:
        _read_weights(checkpoint)
    except ModelFolderError as error:
        return error.reason
    return None


def _read_weights(checkpoint: Path) -> None:
    """Check an adapter's weights, or those of a model that is trained itself."""
    if (checkpoint / "config.json").is_file():
        read_checkpoint(checkpoint)
    else:
        read_tensors(checkpoint, WEIGHTS, "")


def what_is_broken(checkpoint: Path) -> str | None:
    """Return in words why a checkpoint cannot be resumed from; None if it can."""
    if not checkpoint.is_dir():
        return "does not exist"
    try:
        read_json(checkpoint, STATE, "")
        if not any(path.name.startswith("pytorch_model_fsdp") for path in checkpoint.iterdir()):
            _read_weights(checkpoint)
    except ModelFolderError as error:
        return error.reason
    if not any(path.name.startswith("optimizer") for path in checkpoint.iterdir()):
        return "was saved without the optimizer (save_only_model)"
    if not (checkpoint / "scheduler.pt").is_file():  # transformers would go on without the optimizer, too
        return "has no scheduler.pt"
    for path in sorted(checkpoint.glob("*.pt*")):
        if not is_zipfile(path):  # torch's own form; its end is written last
            return f"has an incomplete {path.name}"
    return None


def clear_output(folder: Path, *, overwrite: bool) -> None:
    """Make the output folder ready for a new run.

    Raises:
        OutputNotEmpty: It holds one, and `overwrite` is false.
    """
    held = [folder / name for name in OURS if (folder / name).exists()] + checkpoints(folder)
    if held and not overwrite:
        raise OutputNotEmpty(folder)
    if (folder / RESOLVED).exists():  # else a model there is nobody's run
        held += [path for pattern in WHOLE_MODEL for path in folder.glob(pattern)]
    for path in held:
        _discard(path) if path.is_dir() else path.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def staging_folder(folder: Path) -> Path:
    """Return where a checkpoint is written before it is whole; what a killed process left there is removed."""
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    shutil.rmtree(folder / DISCARDED, ignore_errors=True)
    return staging


def commit(written: Path, folder: Path) -> Path:
    """Give a whole checkpoint its place, in one step, once its bytes are on the disk."""
    for path in written.rglob("*"):
        if path.is_file():
            sync(path)
    target = folder / written.name
    if target.exists():  # the same step again, after a resumption
        _discard(target)
    os.replace(written, target)
    return target


def drop_old(folder: Path, keep: int | None, best: Path | None = None) -> None:
    """Remove all but the newest checkpoints, and the best one."""
    for path in checkpoints(folder)[:-keep] if keep else []:
        if path != best:
            _discard(path)


def _discard(checkpoint: Path) -> None:
    """Take a checkpoint's name away before its files, so that a kill leaves nothing that is taken for whole."""
    discarded = checkpoint.parent / DISCARDED
    shutil.rmtree(discarded, ignore_errors=True)
    os.replace(checkpoint, discarded)
    shutil.rmtree(discarded, ignore_errors=True)


@contextmanager
def translating(folder: Path) -> Iterator[None]:
    """Turn what goes wrong while saving into one error.

    Raises:
        CheckpointNotSaved: With the reason.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch says a failed write as a RuntimeError
        shutil.rmtree(folder / STAGING, ignore_errors=True)
        whole = [path for path in checkpoints(folder) if what_is_broken(path) is None]
        raise CheckpointNotSaved(folder, why_unwritten(folder, error), whole[-1] if whole else None) from error


def why_unwritten(folder: Path, error: Exception) -> str:
    """Return in words why nothing could be written into the folder."""
    if is_disk_full(error):
        return "the disk is full"
    if shutil.disk_usage(folder if folder.exists() else Path()).free < FULL_BELOW:
        return "the disk is full"
    return " ".join(str(error).split()).partition(". ")[0].rstrip(".")[:200]


def other_batches(checkpoint: Path, config: FinetuneConfig) -> str:
    """Return in words what another number of rows a step means for a run that goes on; nothing where it is the same."""
    import yaml

    file, match = checkpoint / RESOLVED, NAME.fullmatch(checkpoint.name)
    if not file.is_file() or match is None:
        return ""
    was = (yaml.safe_load(file.read_text("utf-8")) or {}).get("training", {})
    now = config.to_dict()["training"]
    before, after = (
        each.get("per_device_train_batch_size", 1) * each.get("gradient_accumulation_steps", 1) for each in (was, now)
    )
    if before == after:
        return ""
    step = int(match[1])
    what = "some rows of this epoch are seen again" if after < before else "some rows of this epoch are left out"
    return (
        f"Note: the run went on with {before} rows a step on each device up to step {step}, and goes on with {after}. "
        f"The place in the data is counted by the new number, {step * after} rows and not {step * before}: {what}, and "
        "num_train_epochs makes another number of steps."
    )


def _check_same(checkpoint: Path, config: FinetuneConfig) -> None:
    import yaml

    file = checkpoint / RESOLVED
    if not file.is_file():  # of transformers' own Trainer, perhaps
        return
    was: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text("utf-8")) or {}
    now = config.to_dict()
    binding = [*(f"adapter.{key}" for key in now["adapter"]), *BINDING, *(OF_THE_BEST if follows_best(config) else ())]
    for name in binding:
        section, _, key = name.partition(".")
        before = was.get(section, {}).get(key, now[section][key])
        if before != now[section][key]:
            raise ResumeMismatch(key, before, now[section][key])


def sync(path: Path) -> None:
    """Wait until a file's bytes are on the disk, so that its new name does not get there first."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems cannot; the rename still is one step
        pass
    finally:
        os.close(descriptor)
