"""What can go wrong with a knowledge base; each child is named for what the caller can do about it."""


class RetrievalError(Exception):
    """The knowledge base cannot do what was asked; the message says what to do."""
