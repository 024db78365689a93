"""Opening the agent in the background, so that the handshake never waits for weights.

It knows neither the protocol nor what a model is: it runs one opening function on a thread, says how
far it got, and tries again after a failure.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Literal

import anyio

from common.errors import LorgnetteError
from graph.served_agent import ServedAgent
from lorgnette.opening import OpenAgent
from lorgnette.settings import Settings

logger = logging.getLogger(__name__)

HANDSHAKE_S = 1.0  # importing torch holds the interpreter lock; the client's first requests go first


class StillLoading(LorgnetteError):
    """The model is not ready within the call's time."""

    def __init__(self, name: str, seconds: float, phase: str) -> None:
        self.name, self.seconds, self.phase = name, seconds, phase
        super().__init__(f"The model {name!r} is still loading, {seconds:.0f} s so far ({phase}); call again.")


class AgentLoader:
    """One agent, opened on a thread; an opening that failed is repeated for the next who asks."""

    def __init__(self, settings: Settings, open_agent: OpenAgent, first_s: float = HANDSHAKE_S) -> None:
        """Load nothing yet.

        Args:
            settings: Which model.
            open_agent: Opens it.
            first_s: Seconds for which the loading waits at most until the client has what it needs first.
        """
        self._settings, self._open, self._first_s = settings, open_agent, first_s
        self._phase, self._share, self._began = "starting", 0.0, time.monotonic()
        self._handshake_done = threading.Event()
        self._opening: Future[ServedAgent] | None = None  # only set on the event loop's thread

    def start(self, ended: Callable[[], None] = lambda: None) -> None:
        """Begin to load, after the handshake or when its time is over; `ended` hears of the loading's end."""
        self._attempt().add_done_callback(lambda _: ended())

    def handshake_done(self) -> None:
        """Tell that the client has what it needed first."""
        self._handshake_done.set()

    def wait_for_handshake(self) -> None:
        """Wait until the client has what it needed first, or its time is over; to be called on another thread."""
        self._handshake_done.wait(self._first_s)

    def opened(self) -> ServedAgent | None:
        """Return the agent if it is there; from any thread, and without waiting."""
        opening = self._opening
        return opening.result() if opening and opening.done() and opening.exception() is None else None

    def state(self) -> tuple[Literal["loading", "ready", "failed"], str, float]:
        """Return how the opening stands, how far it is or why it failed in words, and its share; from any thread."""
        opening = self._opening
        if opening is None or not opening.done():
            return "loading", self._phase, self._share
        failure = opening.exception()
        if failure is None:
            return "ready", "ready", 1.0
        known = isinstance(failure, LorgnetteError)  # another one's text is for the log alone
        return "failed", str(failure) if known else f"an unexpected {type(failure).__name__}, see the log", 0.0

    def describe(self) -> str:
        """Say how far the loading is."""
        return f"loading {self._settings.model}: {self._phase} {self._share:.0%}"

    async def agent(self, timeout_s: float) -> ServedAgent:
        """Return the agent as soon as it is there.

        Raises:
            StillLoading: It is not there after `timeout_s`; the loading goes on.
            LorgnetteError: The loading failed; the next call tries again.
        """
        self._handshake_done.set()
        opening = self._attempt()
        with anyio.move_on_after(timeout_s):
            agent = await asyncio.wrap_future(opening)
            if not await anyio.to_thread.run_sync(agent.is_lost, abandon_on_cancel=True):
                return agent
            if self._opening is opening:
                self._opening = None
            return await asyncio.wrap_future(self._attempt())
        raise StillLoading(self._settings.model, time.monotonic() - self._began, f"{self._phase} {self._share:.0%}")

    def _attempt(self) -> Future[ServedAgent]:
        if self._opening is None or (self._opening.done() and self._opening.exception() is not None):
            self._phase, self._share, self._began = "starting", 0.0, time.monotonic()
            self._opening = Future()
            self._opening.set_running_or_notify_cancel()  # a caller that gives up must not cancel it for the others
            threading.Thread(target=self._load, args=(self._opening,), name="model-load", daemon=True).start()
        return self._opening

    def _load(self, opening: "Future[ServedAgent]") -> None:
        self.wait_for_handshake()
        try:
            opening.set_result(self._open(self._settings, self._progress))
        except BaseException as error:  # a thread's edge: whoever waits must hear of it, whatever it is
            if isinstance(error, LorgnetteError):
                logger.warning("the model could not be loaded: %s", error)
            opening.set_exception(error)

    def _progress(self, phase: str, share: float) -> None:
        self._phase, self._share = phase, share
