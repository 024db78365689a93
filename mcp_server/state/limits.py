"""How much clients may ask: calls of one client in a minute, and questions of all clients at once.

It knows neither tools nor the protocol; `middleware` and `asking` ask it before they let anything through.
"""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable

from model.worker import CLIENTS, ModelBusy

KEPT_CLIENTS = 1000  # names come from clients and must not fill the memory


class RateLimit:
    """A token bucket for each client: as many calls at once as in a minute, then evenly."""

    def __init__(self, calls_per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls_per_minute, self._clock = calls_per_minute, clock
        # Calls left and when that was counted, the client that was heard last at the end.
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str) -> float:
        """Count a call; returns 0, or the seconds after which this client may call again."""
        if self.calls_per_minute == 0:
            return 0.0
        now, per_s = self._clock(), self.calls_per_minute / 60
        left, counted = self._left.pop(client, (float(self.calls_per_minute), now))
        left = min(float(self.calls_per_minute), left + (now - counted) * per_s)
        allowed = left >= 1
        self._left[client] = (left - 1 if allowed else left, now)
        if len(self._left) > KEPT_CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1 - left) / per_s


class Places:
    """Places for questions: of each client one that is answered and some that wait, and a bounded number of all.

    The model has a queue of its own, but of its calls, of which a question makes several: one that was let in must
    not be turned away before its last.
    """

    def __init__(self, waiting: int) -> None:
        self._waiting = waiting
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, client: str) -> None:
        """Take a place.

        Raises:
            ModelBusy: This client has taken all of its own, or all clients together all that there are.
        """
        with self._lock:
            if self._taken[client] > self._waiting:
                raise ModelBusy(self._waiting)
            if self._taken.total() > self._waiting * CLIENTS:
                raise ModelBusy(self._taken.total() - 1)
            self._taken[client] += 1

    @property
    def taken(self) -> int:
        """How many questions are answered or wait, of all clients."""
        with self._lock:
            return self._taken.total()

    def give_back(self, client: str) -> None:
        """Give a place back; from any thread."""
        with self._lock:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]
