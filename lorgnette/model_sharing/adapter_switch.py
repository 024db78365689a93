"""Changes the adapter of a running server: a small file in the data folder says which one is wished for.

`lorgnette adapter use` writes it; each process that holds the same model looks at it before a question and changes when
no question is being answered. What the settings say holds at the start: an older file is not looked at. The model does
the change; an adapter that does not fit leaves the one of before, and every answer says so.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from graph.agent import Agent
from lorgnette.settings import data_home
from model.call_options import POLL_S, Cancelled
from model.errors import ModelError
from model.open import Wears
from model.worker import ModelBusy

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from graph.agent import Archive, Knowledge
    from graph.answer import Answer
    from graph.settings import AgentSettings
    from model.open import ModelIdentity

logger = logging.getLogger(__name__)

FILE = "adapter.json"

Stamp = tuple[int, int] | None


class AdapterRequest(BaseModel):
    """What the file says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """As the settings of the servers that are meant name theirs."""
    adapter: Path | None
    """Absolute; none takes the adapter off."""


def request_adapter(request: AdapterRequest) -> Path:
    """Write the file; returns where."""
    path = data_home() / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json.dumps(request.model_dump(mode="json")) + "\n", encoding="utf-8")
    part.replace(path)
    return path


def agent_for(
    chat: "BaseChatModel",
    identity: "ModelIdentity",
    settings: "AgentSettings",
    knowledge: "Knowledge | None",
    archive: "Archive | None",
    problems: Sequence[str],
) -> Agent:
    """Return the agent; where the model is in this process, one that follows the file."""
    kind: Callable[..., Agent] = AdapterSwitch if isinstance(chat, Wears) else Agent
    return kind(chat, identity, settings, knowledge, archive, problems)


class AdapterSwitch(Agent):
    """An agent that changes its model's adapter between questions."""

    # `_running`, `_followed`, `_problem` and the identity change only under `_changed`, and the adapter only while no
    # question runs: its nodes must all have the same.

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take what `Agent` takes; the file is looked at from now on."""
        super().__init__(*args, **kwargs)
        self._path = data_home() / FILE
        self._changed = threading.Condition()
        self._running = 0
        self._followed = _stamp(self._path)
        self._problem: str | None = None

    def ask(self, question: str, images: Sequence[str] = (), **options: Any) -> "Answer":
        """Answer as `Agent.ask` does, with the adapter that is wished for; the time it takes to change counts."""
        began = time.monotonic()
        with self._turn(options.get("cancel")):
            budget_s = options.get("time_budget_s")
            budget_s = self._settings.time_budget_s if budget_s is None else budget_s
            options["time_budget_s"] = max(0.0, budget_s - (time.monotonic() - began))
            problem = self._problem
            answer = super().ask(question, images, **options)
        if problem is None:
            return answer
        return answer.model_copy(update={"degraded": [*answer.degraded, problem]})

    @property
    def refused(self) -> str | None:
        """Why the adapter that was wished for last is not in use; none where it is."""
        return self._problem

    def settle(self) -> None:
        """Change now where that is wished for; waits until no question runs."""
        with self._turn(None):
            pass

    @contextmanager
    def _turn(self, cancel: threading.Event | None) -> Iterator[None]:
        with self._changed:
            while (stamp := _stamp(self._path)) != self._followed and self._running:
                if cancel is not None and cancel.is_set():
                    raise Cancelled
                self._changed.wait(POLL_S)
            if stamp != self._followed:
                self._follow(stamp)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _follow(self, stamp: Stamp) -> None:
        """Change the adapter as the file wishes; to be called while no question runs."""
        request = _read(self._path)
        if request is not None and request.model == self._settings.model:
            assert isinstance(self._chat, Wears), "agent_for chose this class for it"
            try:
                self._chat.swap_adapter(request.adapter)
            except ModelBusy:
                return  # calls that belong to no question; the next question tries again
            except (ModelError, RuntimeError, OSError) as error:  # torch's want of memory is a RuntimeError
                active = repr(self._identity.adapter) if self._identity.adapter else "none"
                self._problem = f"adapter: {error} In use as before: {active}."
                logger.warning("the adapter was not changed: %s", error)
            else:
                self._problem = None
                self._identity = replace(
                    self._identity, adapter=None if request.adapter is None else str(request.adapter)
                )
                logger.info("the model now uses %s", request.adapter or "no adapter")
        self._followed = stamp


def _stamp(path: Path) -> Stamp:
    """Return what changes when the file is replaced."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _read(path: Path) -> AdapterRequest | None:
    try:
        return AdapterRequest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        logger.warning("the wish for an adapter cannot be read: %s", error)
        return None
