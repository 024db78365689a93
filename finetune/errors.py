"""What can go wrong between a data file and a trained adapter; each child stands in the module that raises it."""

from common.errors import LorgnetteError


class FinetuneError(LorgnetteError):
    """Training, its data or its evaluation cannot go on; the message says what to do."""
