"""Where a run is followed beside its own log: TensorBoard, Weights & Biases, SwanLab. It writes nothing itself."""

import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from finetune.config.schema import FinetuneConfig
from finetune.errors import FinetuneError
from model.hub import MissingExtra

PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "swanlab": "swanlab"}
OFFLINE = {
    "wandb": "run `wandb login`, or set WANDB_MODE=offline",
    "swanlab": "run `swanlab login`, or write swanlab_mode: local",
    "tensorboard": "choose another output_dir",
}
PROJECT = "lorgnette"


class TrackerUnknown(FinetuneError):
    """No such tracker."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"report_to cannot be {name!r}; write {', '.join(PACKAGES)} or none.")


class TrackerRefused(FinetuneError):
    """A tracker cannot begin its run."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name} cannot follow the run ({reason.rstrip('.')}); {OFFLINE[name]}.")


def trackers(config: FinetuneConfig) -> list[str]:
    """Return the trackers that are asked for, and are installed.

    Raises:
        TrackerUnknown, MissingExtra: Before anything is loaded.
    """
    wanted = dict.fromkeys((*config.report.report_to, *(("swanlab",) if config.report.use_swanlab else ())))
    for name in wanted:
        if name not in PACKAGES:
            raise TrackerUnknown(name)
        spec = importlib.util.find_spec(PACKAGES[name])
        if spec is None or spec.origin is None:  # without a file it is the folder that W&B leaves where it ran
            raise MissingExtra(PACKAGES[name], "finetune" if name == "tensorboard" else name)
    return list(wanted)


@contextmanager
def following(config: FinetuneConfig, *, first: bool) -> Iterator[list[Any]]:
    """Begin the runs of the trackers, yield their callbacks, and end the runs when the body ends, however it does.

    Everything is written below output_dir. Only the first process has any.

    Raises:
        TrackerRefused: A tracker that wants an account or a network has none.
    """
    with ExitStack() as ends:
        made: list[Any] = []
        if first:
            for name in trackers(config):
                try:
                    made.append(ends.enter_context(_RUNS[name](config)))
                except _refusals(name) as error:
                    raise TrackerRefused(name, " ".join(str(error).split())) from error
        yield made


@contextmanager
def _tensorboard(config: FinetuneConfig) -> Iterator[Any]:
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    folder = str(config.training.output_dir.expanduser() / "tensorboard")
    callback = TensorBoardCallback(SummaryWriter(log_dir=folder))
    callback.logging_dir = folder  # it closes its writer after the last step and opens another for the evaluation
    try:
        yield callback
    finally:
        if callback.tb_writer is not None:
            callback.tb_writer.close()


@contextmanager
def _wandb(config: FinetuneConfig) -> Iterator[Any]:
    import wandb
    from transformers.integrations import WandbCallback

    output = config.training.output_dir.expanduser()
    run = wandb.init(
        project=wandb.setup().settings.project or PROJECT,  # WANDB_PROJECT
        name=config.report.run_name or output.name,
        dir=str(output.absolute()),
        config={"lorgnette": config.to_dict()},
    )
    code = 1
    try:
        yield WandbCallback()
        code = 0
    finally:
        run.finish(exit_code=code)
        wandb.teardown(code)  # waits until its own process has written everything; ours may end at once


@contextmanager
def _swanlab(config: FinetuneConfig) -> Iterator[Any]:
    import swanlab
    from transformers.integrations import SwanLabCallback

    report, output = config.report, config.training.output_dir.expanduser()
    mode: str = {"cloud": "online"}.get(report.swanlab_mode, report.swanlab_mode)
    if mode == "local" and importlib.util.find_spec("swanboard") is None:
        mode = "offline"  # the same files; only the board that draws them is not there
    # transformers would begin it in SwanLab's cloud
    swanlab.init(
        project=report.swanlab_project,
        name=report.run_name or output.name,
        mode=mode,
        log_dir=str(output.absolute() / "swanlog"),
        config=config.to_dict(),
    )
    end: dict[str, str] = {"state": "crashed", "error": "the training ended with an error"}
    try:
        yield SwanLabCallback()
        end = {"state": "success"}
    finally:
        swanlab.finish(**end)


_RUNS: Mapping[str, Callable[[FinetuneConfig], AbstractContextManager[Any]]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "swanlab": _swanlab,
}


def _refusals(name: str) -> tuple[type[Exception], ...]:
    """Return what a tracker raises if it has no account, no network or no place to write."""
    if name == "wandb":
        from wandb.errors import Error

        return (OSError, Error)
    if name == "swanlab":
        from swanlab.exceptions import ApiError, AuthenticationError

        return (OSError, RuntimeError, ApiError, AuthenticationError)
    return (OSError,)
