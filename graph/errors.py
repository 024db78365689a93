"""What can go wrong with a question, named for what the caller can do about it."""

from common.errors import LorgnetteError


class GraphError(LorgnetteError):
    """The agent cannot answer as it was asked."""


class QuestionEmpty(GraphError):
    """There is nothing to answer."""

    def __init__(self) -> None:
        super().__init__("The question is empty; ask something.")


class PictureMissing(GraphError):
    """The question came without a picture and there are no documents to turn to."""

    def __init__(self) -> None:
        super().__init__(
            "No picture was given and no documents are indexed; give a picture, or run `lorgnette kb sync FOLDER`."
        )


class Undecided(GraphError):
    """A decision that an answer can be given without was not to be had."""

    def __init__(self, decision: str, reason: str) -> None:
        self.decision, self.reason = decision, reason
        super().__init__(f"There is no {decision}: {reason}.")


class SessionIdInvalid(GraphError):
    """A session's name that could be mistaken for something else, such as a path."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        shown = session_id if len(session_id) <= 80 else session_id[:79] + "…"
        super().__init__(
            f"{shown!r} cannot name a session; use 1 to 64 letters, digits, '-', '_' or '.', and no '.' in front."
        )


class SessionMissing(GraphError):
    """No session has this name."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(f"There is no session {session_id!r}; `lorgnette session list` shows what there is.")


class SessionBusy(GraphError):
    """Another question in the same session did not end in time."""

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        super().__init__(
            f"Another question is still being answered in session {session_id!r}; wait for it, or use another session."
        )


class SessionStoreFailed(GraphError):
    """The store of the sessions cannot be used."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(
            f"The sessions in {where!r} cannot be used ({reason}); free or mend that place, or set sessions to none."
        )


class ReportNotWritten(GraphError):
    """The summary of a session could not be saved."""

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(f"No report could be written in {folder!r} ({reason}); set reports to a folder of yours.")


class ReportsOff(GraphError):
    """Nothing may be saved here."""

    def __init__(self) -> None:
        super().__init__("No conversation is saved while the setting read_only is on; switch it off first.")
