"""The reason why a row cannot be used, on its way from a reader to the list of broken rows."""


class Unusable(Exception):
    """Raised while one row is read; `reason` is listed beside the row's place and never ends a program."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
