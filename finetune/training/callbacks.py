"""What happens beside the steps: a bar on stderr, the log's lines, and the stop that a signal asks for."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from tqdm import tqdm
from transformers import TrainerCallback

from finetune.training.checkpoints import translating
from finetune.training.reporting.log import LOG, read_log

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Bar(TrainerCallback):
    """A bar over the steps on a terminal; a line with each line of the log where stderr is none."""

    def __init__(self, say: Callable[[str], None] | None = None) -> None:
        self._bar: tqdm[Any] | None = None
        self._say = say
        self._began, self._first = 0.0, 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Draw it."""
        self._began, self._first = time.monotonic(), state.global_step
        if state.is_world_process_zero:
            self._bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc="training", unit="step", disable=None
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move it."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Show the loss."""
        if self._bar is not None and logs and "loss" in logs:
            self._bar.set_postfix(loss=f"{logs['loss']:.4g}")
            if self._say is not None and self._bar.disable:
                self._say(self._line(state, logs))

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Leave it as it is."""
        self.close()

    def _line(self, state: Any, logs: Any) -> str:
        done = state.global_step - self._first
        left = (time.monotonic() - self._began) / max(1, done) * (state.max_steps - state.global_step)
        rate = f", learning rate {logs['learning_rate']:.3g}" if "learning_rate" in logs else ""
        clock = f"{int(left) // 3600}:{int(left) // 60 % 60:02d}:{int(left) % 60:02d}"
        return f"step {state.global_step} of {state.max_steps}: loss {logs['loss']:.4g}{rate}, {clock} left"

    def close(self) -> None:
        """End it, also after an error."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Lines(TrainerCallback):
    """train_log.jsonl: one object a line, those of a former attempt beyond the resumption left out."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / LOG
        self._began = 0.0

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Drop lines of steps that are done again."""
        self._began = time.monotonic()
        if state.is_world_process_zero and self.file.is_file():
            kept = [line for line in read_log(self.file) if line["step"] <= state.global_step]
            text = "".join(json.dumps(line) + "\n" for line in kept)
            part = self.file.with_suffix(".part")
            part.write_text(text, "utf-8")
            part.replace(self.file)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Write one."""
        if not state.is_world_process_zero or not logs:
            return
        line = {"step": state.global_step, **logs, "seconds": round(time.monotonic() - self._began, 3)}
        if usage := getattr(state, "expert_usage", None):
            line["expert_usage"] = usage
        with translating(self.file.parent), self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


class Stop(TrainerCallback):
    """Ends the run after the step at hand, with a checkpoint, once it is asked to."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Stop where any process was asked to."""
        if self._anywhere(args) and state.global_step < state.max_steps:
            self.stopped = True
            control.should_training_stop = control.should_save = True
        return control

    def _anywhere(self, args: Any) -> bool:
        if args.world_size == 1:
            return self.asked.is_set()
        flag = torch.tensor(int(self.asked.is_set()), device=args.device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return bool(flag.item())


@contextmanager
def stopped_by_signals(stop: Stop, say: Any) -> Iterator[None]:
    """Within this context the first Ctrl-C or SIGTERM asks for the stop; the second one ends at once.

    Signals can only be caught on the main thread; elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop.asked.is_set():
            raise KeyboardInterrupt
        stop.asked.set()
        say("Stopping after the step at hand, with a checkpoint …")

    before = {number: signal.signal(number, ask) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
