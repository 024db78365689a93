"""Why a file is not in the knowledge base, in a sentence for `kb list --skipped`. It opens nothing.

Each child is named for what the user can do about the file; `reason` does not repeat the file's name.
"""

from retrieval.errors import RetrievalError


class Unreadable(RetrievalError):
    """This file cannot be read; the others can."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnknownType(Unreadable):
    """Its format is none of ours."""

    def __init__(self, suffix: str, known: str) -> None:
        super().__init__(f"files of type {suffix!r} are not read; convert it to {known}")
        self.suffix = suffix


class Misnamed(Unreadable):
    """Its content is not what its name says, and nothing that we read."""

    def __init__(self, suffix: str, content: str) -> None:
        super().__init__(f"named {suffix!r} but holds {content}; rename or convert it")
        self.suffix = suffix
        self.content = content


class CannotOpen(Unreadable):
    """The system does not let us read it."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"cannot be opened ({cause}); check that it exists and may be read")
        self.cause = cause


class NotAFile(Unreadable):
    """A pipe, a device, a socket or a folder."""

    def __init__(self) -> None:
        super().__init__("not a regular file; put a copy of its content in its place")


class ChangedWhileRead(Unreadable):
    """Somebody wrote it meanwhile."""

    def __init__(self) -> None:
        super().__init__("changed while it was read; sync again when it is written")


class TooLarge(Unreadable):
    """Reading it would cost more than allowed."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"{what} is {size:,}, more than the {limit:,} allowed; split it or raise the limit")
        self.size = size
        self.limit = limit


class Encrypted(Unreadable):
    """It wants a password."""

    def __init__(self) -> None:
        super().__init__("protected by a password; save a copy without one")


class Broken(Unreadable):
    """Its content contradicts its format."""

    def __init__(self, kind: str, cause: str) -> None:
        super().__init__(f"not a whole {kind} ({cause}); write it again or open and save it with its program")
        self.kind = kind
        self.cause = cause


class NotText(Unreadable):
    """Binary data under a text's name."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"not text ({cause}); save it as UTF-8 text if it is")
        self.cause = cause


class Empty(Unreadable):
    """No words in it."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"no words to index ({cause}); add some or remove it")
        self.cause = cause
