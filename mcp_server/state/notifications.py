"""Tells clients of both protocol eras that something they may have read has changed: documents, sessions.

Whoever changes something reports it here, from any thread, and goes on; who hears of it, and that a slow client delays
nobody, is decided here. Clients of 2026 listen on the bus, older ones are remembered with what they subscribed to.
"""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import anyio
from mcp.server.session import ServerSession
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, ServerEvent, SubscriptionBus

from mcp_server.uris import DOCUMENTS, STATUS, session_uris
from retrieval.errors import RetrievalError

logger = logging.getLogger(__name__)

MAX_CLIENTS = 256  # of the older era; their connections do not say when they end
MAX_URIS = 1000  # that one of them may subscribe to
MAX_SESSIONS = 50  # that resources/list names
SEND_S = 5.0  # a client that does not read for so long misses the news


@dataclass
class _Client:
    session: ServerSession
    uris: set[str] = field(default_factory=set)


class RecentSessions:
    """Sessions that were asked in while this server ran; the disk may hold many more."""

    def __init__(self) -> None:
        self._names: OrderedDict[str, None] = OrderedDict()

    def add(self, name: str) -> bool:
        """Put it in front; returns whether it was not there."""
        is_new = name not in self._names
        self._names[name] = None
        self._names.move_to_end(name)
        while len(self._names) > MAX_SESSIONS:
            self._names.popitem(last=False)
        return is_new

    def names(self) -> list[str]:
        """Return them, the latest first."""
        return list(reversed(self._names))


class ResourceNotifier:
    """The clients of one server, and what is new for them."""

    def __init__(self, bus: SubscriptionBus, recent: RecentSessions, stamp: Callable[[str], str | None]) -> None:
        """Begin to tell; on the event loop.

        Args:
            recent: Sessions that are listed.
            bus: Where clients of 2026 listen.
            stamp: Gives for a kb:// address what is another one when its content has changed; may read the disk.
        """
        self._bus, self._recent, self._stamp = bus, recent, stamp
        self._clients: OrderedDict[str, _Client] = OrderedDict()
        self._watched: Counter[str] = Counter()
        self._stamps: dict[str, str | None] = {}
        self._generation: int | None = None
        self._events: dict[ServerEvent, None] = {}
        self._some = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._delivery = asyncio.create_task(self._deliver())

    async def close(self) -> None:
        """End it; what has not been told is not told any more."""
        self._delivery.cancel()
        with suppress(asyncio.CancelledError):
            await self._delivery

    # What has happened; from any thread.

    def knowledge_changed(self, generation: int) -> None:
        """The catalogue stands at this generation; reads it where somebody waits for news of single documents."""
        if generation == self._generation:
            return
        self._generation = generation
        changed = [uri for uri in list(self._watched) if uri.startswith("kb://") and self._is_new(uri)]
        self._tell(ResourcesListChanged(), *map(ResourceUpdated, dict.fromkeys([DOCUMENTS, STATUS, *changed])))

    def session_changed(self, session_id: str) -> None:
        """A question was answered in this session."""
        listed = [ResourcesListChanged()] if self._recent.add(session_id) else []
        self._tell(*listed, *map(ResourceUpdated, session_uris(session_id)))

    def status_changed(self) -> None:
        """The model is there, or cannot be loaded."""
        self._tell(ResourceUpdated(STATUS))

    def note(self, uris: Sequence[str]) -> None:
        """Look at what stands there now, for those who are going to wait for changes of it; reads the disk."""
        for uri in uris[:MAX_URIS]:
            if uri.startswith("kb://") and uri not in self._stamps:
                self._is_new(uri)

    # Who wants to hear of it; on the event loop.

    def joined(self, name: str, session: ServerSession) -> None:
        """Remember a client of the older era."""
        self._clients[name] = _Client(session)
        if len(self._clients) > MAX_CLIENTS:
            _, gone = self._clients.popitem(last=False)
            for uri in gone.uris:
                self._forget(uri)

    def subscribe(self, name: str, session: ServerSession, uri: str) -> bool:
        """Tell this client of changes of one resource from now on; false where it has too many already."""
        client = self._clients.setdefault(name, _Client(session))
        if uri in client.uris:
            return True
        if len(client.uris) >= MAX_URIS:
            return False
        client.uris.add(uri)
        self._watch(uri)
        return True

    def unsubscribe(self, name: str, uri: str) -> None:
        """Tell it no longer."""
        client = self._clients.get(name)
        if client is not None and uri in client.uris:
            client.uris.discard(uri)
            self._forget(uri)

    @contextmanager
    def listening(self, uris: Sequence[str]) -> Iterator[None]:
        """Watch these for a client of 2026 while the body runs."""
        watched = uris[:MAX_URIS]
        for uri in watched:
            self._watch(uri)
        try:
            yield
        finally:
            for uri in watched:
                self._forget(uri)

    def _watch(self, uri: str) -> None:
        self._watched[uri] += 1

    def _forget(self, uri: str) -> None:
        self._watched[uri] -= 1
        if self._watched[uri] <= 0:
            del self._watched[uri]
            self._stamps.pop(uri, None)

    def _is_new(self, uri: str) -> bool:
        try:
            now = self._stamp(uri)
        except RetrievalError as error:  # who reads it will hear the reason
            logger.info("%s cannot be compared: %s", uri, error)
            return True
        before = self._stamps.get(uri)
        self._stamps[uri] = now
        return now != before

    def _tell(self, *events: ServerEvent) -> None:
        with suppress(RuntimeError):  # the server is gone, nobody waits for news
            self._loop.call_soon_threadsafe(self._put, events)

    def _put(self, events: tuple[ServerEvent, ...]) -> None:
        self._events |= dict.fromkeys(events)
        self._some.set()

    async def _deliver(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            events, self._events = list(self._events), {}
            for event in events:
                await self._bus.publish(event)
            for name, client in list(self._clients.items()):
                with anyio.move_on_after(SEND_S) as scope:
                    for event in events:
                        await _send(client, event)
                if scope.cancelled_caught:
                    logger.info("the client %s did not take its news", name)


async def _send(client: _Client, event: ServerEvent) -> None:
    if isinstance(event, ResourcesListChanged):
        await client.session.send_resource_list_changed()
    elif isinstance(event, ResourceUpdated) and event.uri in client.uris:
        await client.session.send_resource_updated(event.uri)
