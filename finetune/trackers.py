"""Where a run is followed beside its own log: TensorBoard, Weights & Biases, SwanLab. It writes nothing itself."""

import importlib.util
from typing import Any

from finetune.config import FinetuneConfig
from finetune.errors import FinetuneError
from model.hub import MissingExtra

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "swanlab": "swanlab"}


class TrackerUnknown(FinetuneError):
    """No such tracker."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"report_to cannot be {name!r}; write {', '.join(PACKAGES)} or none.")


def trackers(config: FinetuneConfig) -> list[str]:
    """Return the trackers that are asked for, and are installed.

    Raises:
        TrackerUnknown, MissingExtra: Before anything is loaded.
    """
    wanted = dict.fromkeys((*config.report.report_to, *(("swanlab",) if config.report.use_swanlab else ())))
    for name in wanted:
        if name not in PACKAGES:
            raise TrackerUnknown(name)
        if importlib.util.find_spec(PACKAGES[name]) is None:
            raise MissingExtra(PACKAGES[name], "finetune" if name == "tensorboard" else name)
    return list(wanted)


def follow(config: FinetuneConfig, *, first: bool) -> list[Any]:
    """Return the trackers' callbacks; only the first process has any."""
    if not first:
        return []
    from transformers.integrations import SwanLabCallback, TensorBoardCallback, WandbCallback

    made: list[Any] = []
    for name in trackers(config):
        if name == "tensorboard":
            from torch.utils.tensorboard import SummaryWriter

            folder = config.training.output_dir.expanduser() / "tensorboard"
            made.append(TensorBoardCallback(SummaryWriter(log_dir=str(folder))))
        elif name == "swanlab":
            _open_swanlab(config)
            made.append(SwanLabCallback())
        else:
            made.append(WandbCallback())
    return made


def _open_swanlab(config: FinetuneConfig) -> None:
    """Begin SwanLab's run ourselves: transformers would choose its cloud."""
    import swanlab  # type: ignore[import-not-found, unused-ignore]

    report, output = config.report, config.training.output_dir.expanduser()
    mode: str = {"cloud": "online"}.get(report.swanlab_mode, report.swanlab_mode)
    if mode == "local" and importlib.util.find_spec("swanboard") is None:
        mode = "offline"  # the same files; only the board that draws them is not there
    swanlab.init(
        project=report.swanlab_project,
        experiment_name=report.run_name or output.name,
        mode=mode,
        logdir=str(output / "swanlog"),
        config=config.to_dict(),
    )
