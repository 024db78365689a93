"""Changes the adapter of a running server: a small file in the data folder says which one is wished for.

`lorgnette adapter use` writes it; each process that holds the same model looks at it before a question and changes when
no question is being answered. What the settings say holds at the start: an older file is not looked at. The model does
the change; an adapter that does not fit leaves the one of before, and every answer says so.
"""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from common.atomic_files import write_whole
from common.home import data_home
from graph.agent import Agent
from graph.answer import Answer
from graph.question import Question
from graph.served_agent import OnEvent, OnPictures, ServedAgent
from model.call_options import POLL_S, Cancelled
from model.errors import ModelError
from model.served import served
from model.worker import ModelBusy

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from model.open import ModelIdentity
    from retrieval.sync.captions import Captioner

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
    write_whole(path, json.dumps(request.model_dump(mode="json")) + "\n")
    return path


def with_adapter_switch(agent: Agent) -> ServedAgent:
    """Return an agent that follows the file, if its model can change its adapter; else the agent itself."""
    return AdapterSwitch(agent) if served(agent.chat).swaps_adapters else agent


class AdapterSwitch(ServedAgent):
    """Changes the adapter of an agent's model between its questions."""

    # `_running`, `_followed`, `_problem` and the agent's adapter change only under `_changed`, and the adapter only
    # while no question runs: its nodes must all have the same.

    def __init__(self, agent: Agent) -> None:
        """Stand before the agent; the file is looked at from now on."""
        self._agent = agent
        self._path = data_home() / FILE
        self._changed = threading.Condition()
        self._running = 0
        self._followed = _stamp(self._path)
        self._problem: str | None = None

    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        """Answer with the adapter that is requested; the time that the change takes counts."""
        began = time.monotonic()
        with self._turn(cancel):
            budget_s = self._agent.settings.time_budget_s if question.time_budget_s is None else question.time_budget_s
            left = replace(question, time_budget_s=max(0.0, budget_s - (time.monotonic() - began)))
            problem = self._problem
            answer = self._agent.answer(left, on_event=on_event, on_pictures=on_pictures, cancel=cancel)
        if problem is None:
            return answer
        return answer.model_copy(update={"degraded": [*answer.degraded, problem]})

    @property
    def chat(self) -> "BaseChatModel":
        """The agent's."""
        return self._agent.chat

    @property
    def identity(self) -> "ModelIdentity":
        """The agent's."""
        return self._agent.identity

    @property
    def captioner(self) -> "Captioner":
        """The agent's."""
        return self._agent.captioner

    def is_lost(self) -> bool:
        """Return whether the agent must be opened again."""
        return self._agent.is_lost()

    @property
    def adapter_refused(self) -> str | None:
        """Why the adapter that was requested last is not in use; None if it is."""
        return self._problem

    def settle(self) -> None:
        """Change now if that is requested; waits until no question runs."""
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
        """Change the adapter as the file says; to be called while no question runs."""
        request = _read(self._path)
        if request is not None and request.model == self._agent.settings.model:
            try:
                self._agent.use_adapter(request.adapter)
            except ModelBusy:
                return  # calls that belong to no question; the next question tries again
            except (ModelError, RuntimeError, OSError) as error:  # torch's want of memory is a RuntimeError
                active = repr(self.identity.adapter) if self.identity.adapter else "none"
                self._problem = f"adapter: {error} In use as before: {active}."
                logger.warning("the adapter was not changed: %s", error)
            else:
                self._problem = None
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
