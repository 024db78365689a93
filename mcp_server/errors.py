"""What several parts of the server refuse."""

from model.errors import LorgnetteError


class NothingHere(LorgnetteError):
    """The server holds nothing under this address."""
