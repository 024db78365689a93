"""The conversations that are kept: where the settings say, or nowhere."""

from typing import TYPE_CHECKING

from common.errors import LorgnetteError
from common.home import data_home
from lorgnette.settings import Settings

if TYPE_CHECKING:
    from graph.archive import Archive


class SessionsOff(LorgnetteError):
    """Conversations are not kept."""

    def __init__(self) -> None:
        super().__init__("Sessions are switched off; set sessions to auto.")


def open_archive(settings: Settings) -> "Archive | None":
    """Return the sessions that the settings name, opened with their first use; None if they are switched off."""
    if settings.sessions == "none":
        return None
    from graph.archive import Archive
    from graph.session_store import Sessions

    home = data_home()
    where = str(home / "sessions.sqlite") if settings.sessions == "auto" else settings.sessions
    reports = None if settings.read_only else settings.reports or home / "reports"
    return Archive(Sessions(where, home / "sessions"), reports)


def required_archive(settings: Settings) -> "Archive":
    """Return the sessions that the settings name.

    Raises:
        SessionsOff: They are switched off.
    """
    archive = open_archive(settings)
    if archive is None:
        raise SessionsOff
    return archive
