"""What the tools and resources share for the life of the server. It does nothing by itself."""

import threading
from dataclasses import dataclass

from lorgnette.documents import Documents
from lorgnette.settings import Settings
from mcp_server.state.agent_loader import AgentLoader
from mcp_server.state.box_pictures import DrawnPictures
from mcp_server.state.jobs import Jobs
from mcp_server.state.limits import Places
from mcp_server.state.notifications import ResourceNotifier


@dataclass(frozen=True)
class App:
    """Reached as `ctx.request_context.lifespan_context`."""

    settings: Settings
    documents: Documents
    first_sync: threading.Event
    """Set when the documents have been read once, or cannot be."""
    loader: AgentLoader
    heartbeat_s: float
    """Longest time without a progress report."""
    places: Places
    """For questions."""
    jobs: Jobs
    """Questions that go on after their call."""
    drawn: DrawnPictures
    """Pictures with boxes."""
    news: ResourceNotifier
    """For clients that wait for changes."""
