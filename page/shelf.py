"""What the view of models asks for: what is loaded, what is here, what fits, downloads, adapters. No elements."""

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from common.errors import LorgnetteError
from common.home import data_home
from lorgnette.model_choice import Choice, choose_model
from lorgnette.settings import Settings
from mcp_server.state.agent_loader import AgentLoader
from model.adapters.found import FoundAdapter, find_adapters
from model.fit import Machine, bytes_needed, machine, offered
from model.hub import LocalModel, list_local, pull
from page.errors import PageError
from retrieval.store import without_password


@dataclass(frozen=True)
class Loaded:
    """The model of this server."""

    name: str
    state: str
    """loading, ready or failed."""
    doing: str
    share: float
    adapter: str | None = None
    quantization: str | None = None
    spread: str = ""
    refused: str | None = None
    """Why the adapter that was wished for last is not in use."""


@dataclass(frozen=True)
class Known:
    """A model that is here, or that could be."""

    name: str
    bytes: int | None
    """On disk; none where it is not here."""
    needed: int | None
    """Memory that it wants; none where its folder does not say."""
    whole: bool = True


@dataclass(frozen=True)
class Shelf:
    """How everything stands."""

    loaded: Loaded
    machine: Machine
    process_bytes: int
    """Memory that this process holds."""
    models: tuple[Known, ...]
    adapters: tuple[FoundAdapter, ...]

    def fits(self, known: Known) -> bool | None:
        """Return whether a model fits beside what is loaded; None where nobody knows."""
        return None if known.needed is None else known.needed <= self.machine.free


@dataclass(frozen=True)
class Download:
    """How far a download is."""

    model: str
    done: int = 0
    total: int = 0
    error: str | None = None
    ended: bool = False


@dataclass(frozen=True)
class Other:
    """The model that is to answer instead."""

    model: str
    quantization: str | None = None
    """Form of its weights; none as it is set."""


ChangeModel = Callable[[Other], None]


class Models:
    """One for all tabs of a server."""

    def __init__(self, settings: Settings, loader: AgentLoader, change_model: ChangeModel | None = None) -> None:
        self._settings, self._loader, self._change = settings, loader, change_model
        self._lock = threading.Lock()
        self.download: Download | None = None

    def loaded(self) -> Loaded:
        """Return how the server's model stands; waits for nothing."""
        state, doing, share = self._loader.state()
        agent = self._loader.opened()
        identity = agent.identity if agent is not None else None
        name = without_password(self._settings.model)
        if agent is None or identity is None:
            return Loaded(name, state, without_password(doing), share)
        return Loaded(
            without_password(identity.name), state, "", 1.0, identity.adapter, identity.quantization, identity.spread,
            agent.adapter_refused,
        )  # fmt: skip

    def shelf(self) -> Shelf:
        """Gather everything; reads the disk and asks torch for the device, so call it on a thread."""
        import psutil

        here = [Known(one.model, one.bytes, self._needed(one), one.whole) for one in list_local()]
        names = {one.name for one in here}
        more = [Known(name, None, needed) for name, needed in offered().items() if name not in names]
        return Shelf(
            self.loaded(), machine(), psutil.Process().memory_info().rss, (*here, *more), tuple(self._adapters())
        )

    def pull(self, model: str) -> None:
        """Download a model; blocks, and `download` says how far it is.

        Raises:
            PageError: Another one is being downloaded.
            ModelError: It cannot be downloaded.
        """
        if not self._lock.acquire(blocking=False):
            raise PageError("page_download_runs", model=self.download.model if self.download is not None else "")
        self.download = Download(model)
        try:
            pull(model, lambda done, total: self._tell(Download(model, done, total)))
            self._tell(Download(model, ended=True))
        except LorgnetteError as error:
            self._tell(Download(model, error=str(error), ended=True))
            raise
        finally:
            self._lock.release()

    def choose(self, model: str) -> Choice:
        """Let a model answer from the next start on.

        Raises:
            ModelError: It cannot be loaded.
            ConfigUnreadable: The settings file cannot be changed.
        """
        return choose_model(model)

    @property
    def can_change(self) -> bool:
        """Whether another model can answer without a new start by hand."""
        return self._change is not None

    def change(self, other: Other) -> None:
        """Start the server again with another model; the tabs come back by themselves.

        Raises:
            ModelError: It cannot be loaded; the present one stays.
            PageError: This server keeps its model.
        """
        from model.checkpoint import read_checkpoint
        from model.hub import find_local
        from model.open import is_converted, is_remote

        if self._change is None:
            raise PageError("page_model_fixed")
        if not is_remote(other.model) and not is_converted(other.model):
            read_checkpoint(find_local(other.model))
        self._change(other)

    def here(self) -> list[str]:
        """Return the whole models on this machine other than the one that answers; reads the disk."""
        own = self.loaded().name
        return [one.model for one in list_local() if one.whole and one.model != own]

    def wear(self, folder: Path | None) -> None:
        """Let the running servers of this model use an adapter, or none; waits until no question runs.

        Raises:
            AdapterError: It is none; what was in use stays.
            PageError: It does not fit, or this model's adapter cannot be changed while it runs.
        """
        from lorgnette.model_sharing.adapter_switch import AdapterRequest, request_adapter

        if folder is not None:
            from model.adapters.attach import read_adapter

            folder = folder.expanduser().absolute()
            read_adapter(folder)
        request_adapter(AdapterRequest(model=self._settings.model, adapter=folder))
        agent = self._loader.opened()
        if agent is not None:
            agent.settle()
            if agent.adapter_refused is not None:
                raise PageError("page_adapter_refused", reason=agent.adapter_refused)
            worn = agent.identity.adapter if agent.identity is not None else None
            if _real(worn) != _real(folder):
                raise PageError("page_adapter_fixed")

    def _tell(self, download: Download) -> None:
        self.download = download

    def _needed(self, found: LocalModel) -> int | None:
        try:
            return bytes_needed(found, self._settings)
        except LorgnetteError:
            return None

    def _adapters(self) -> Iterable[FoundAdapter]:
        """Yield the adapters below the folders of training: the working folder's runs, and the page's own."""
        seen = set[str]()
        for top in (Path("runs"), data_home() / "page" / "runs"):
            for found in find_adapters(top.absolute()) if top.is_dir() else ():
                if (real := os.path.realpath(found.folder)) not in seen:
                    seen.add(real)
                    yield found


def _real(folder: str | Path | None) -> str | None:
    return None if folder is None else os.path.realpath(folder)
