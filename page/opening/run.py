"""Starts the page's server, or joins one that runs, and shows it in a browser or a window."""

import gc
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Literal
from urllib.parse import urlsplit

from lorgnette.model_sharing.registry import find_server
from lorgnette.opening import OpenAgent
from lorgnette.settings import Settings
from mcp_server.http_server import HttpServer
from mcp_server.transport.bind import PortInUse
from model.open import is_remote
from page.desk import uploads_folder
from page.opening.browser import has_windows, open_app_window, open_browser, show_window
from page.opening.mount import Page
from page.opening.running import advertise_page, find_page, take_over, ticket_of
from page.shelf import Other
from retrieval.library import library_folder, remembered

How = Literal["browser", "window", "none"]
StartAgain = Callable[[int, Other], None]
"""Serves the page anew on a port, with another model; returns only where it cannot."""


class Opening:
    """One `lorgnette open`."""

    def __init__(
        self,
        settings: Settings,
        host: str,
        port: int | None,
        usual_port: int,
        open_agent: OpenAgent | None,
        *,
        say: Callable[[str], None],
        print_address: Callable[[str], None],
        start_again: StartAgain | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            settings: Read once by the caller.
            host: Where to listen.
            port: None takes the usual one, or any that is free.
            usual_port: Where MCP clients look first.
            open_agent: Loads the agent; None loads the real one.
            say: Tells the user what goes on.
            print_address: Gets the page's address where nothing is opened.
            start_again: Called after the end where another model was chosen in the page; None lets it keep its model.
        """
        self._settings, self._host, self._port, self._usual_port = settings, host, port, usual_port
        self._open_agent, self._say, self._print = open_agent, say, print_address
        self._start_again, self._other = start_again, list[Other]()
        self._stop: Callable[[], None] = lambda: None

    def run(self, how: How) -> None:
        """Show the page, and serve it until it is stopped; where one runs already, show that and return.

        Raises:
            ListenRefused: By a child.
            KeyboardInterrupt: It was stopped by Ctrl-C.
        """
        settings = with_library(self._settings)
        running = find_page(settings)
        if running is not None and (ticket := ticket_of(running)) is not None:
            self._show(how, running.page, ticket)
            self._say(f"Lorgnette runs already, in process {running.pid}; its page is {running.page}")
            return
        self._serve(settings, how)

    def _serve(self, settings: Settings, how: How) -> None:
        served = settings.model_copy(update={"roots": (*settings.roots, uploads_folder())})
        uploads_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
        attaches = settings.attach == "auto" and not is_remote(settings.model) and find_server(settings) is not None
        own_window = how == "window" and has_windows()
        changes_model = self._start_again is not None and not own_window
        page, server = self._server(served, attaches, changes_model)
        address = f"{server.url}{page.address.path}/"
        with ExitStack() as told:

            def started(text: str) -> None:
                gc.freeze()
                gc.enable()
                key, goes_on = server.key, lambda: bool(self._other)
                told.enter_context(advertise_page(server.url, key, address, settings, goes_on))
                self._say(f"Lorgnette's page is {address}")
                self._say(text)
                if not own_window:
                    self._show(how, address, server.url + page.address.ticket())

            if own_window:
                self._in_window(server, page, started)
            else:
                server.run(started)
        if self._other and self._start_again is not None:
            self._start_again(urlsplit(server.url).port or 0, self._other[-1])

    def _server(self, settings: Settings, attaches: bool, changes_model: bool) -> tuple[Page, HttpServer]:
        """Take the first port that is free; at the one of a page that was killed, go on as that one."""
        left = take_over(self._port or None)
        ports = (self._usual_port, 0) if self._port is None else (self._port,)
        if left is not None and left.port not in ports:
            ports = (left.port, *ports)
        for port in ports:
            secret = left.secret if left is not None and port == left.port else None
            page = Page(secret, self._change_model if changes_model else None)
            try:
                server = HttpServer(settings, self._host, port, self._open_agent, beside=page.beside, attaches=attaches)
            except PortInUse:
                if port == ports[-1]:
                    raise
            else:
                self._stop = server.stop
                return page, server
        raise AssertionError("there is at least one port")

    def _change_model(self, other: Other) -> None:
        self._other.append(other)
        self._stop()

    def _in_window(self, server: HttpServer, page: Page, started: Callable[[str], None]) -> None:
        """Serve on a thread: a window's own loop wants the main one."""
        ready = threading.Event()

        def begun(text: str) -> None:
            started(text)
            ready.set()

        serving = threading.Thread(target=server.run, args=(begun,), name="serve")
        serving.start()
        try:
            while not ready.wait(0.1) and serving.is_alive():
                pass
            if serving.is_alive():
                show_window(server.url + page.address.ticket())
        finally:
            server.stop()
            serving.join()

    def _show(self, how: How, address: str, ticket: str) -> None:
        if how == "none":
            self._print(address)
        elif not (how == "window" and open_app_window(ticket)) and not open_browser(ticket):
            self._say("There is no browser here that could be opened; open the address by hand.")


def with_library(settings: Settings) -> Settings:
    """Let the page work on the library itself, whose folders can be added and removed while it runs.

    A folder that was named, or that lies in the working folder, stays as it is.
    """
    known = remembered()
    of_library = known is not None and settings.kb == known
    if not of_library and ("kb" in settings.model_fields_set or settings.kb.is_dir()):
        return settings
    library = library_folder()
    library.mkdir(parents=True, exist_ok=True)
    return settings.model_copy(update={"kb": library})
