"""What can go wrong with a knowledge base; each child is named for what the caller can do about it."""

from common.errors import LorgnetteError


class RetrievalError(LorgnetteError):
    """The knowledge base cannot do what was asked; the message says what to do."""
