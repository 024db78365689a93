"""What several parts of the server refuse."""

from common.errors import LorgnetteError


class NothingHere(LorgnetteError):
    """The server holds nothing under this address."""
