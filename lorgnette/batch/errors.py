"""What can go wrong with a batch, or with one row of it."""

from typing import ClassVar

from common.errors import CodedError


class BatchError(CodedError):
    """The batch cannot be worked on; nothing was asked."""

    SENTENCES: ClassVar[dict[str, str]] = {
        "batch_missing": "There is no file or folder {path!r} to take questions from; name one that is there.",
        "batch_unreadable": "The questions in {path!r} cannot be read ({reason}); mend that place or name another.",
        "batch_empty": "There is nothing to ask in {path!r}; a file has a JSON object in each line, a folder pictures.",
        "batch_question_missing": "A folder of pictures needs a question; give it as the argument QUESTION.",
        "batch_output_is_input": "--out {path!r} is the file of the questions itself; name another file.",
        "batch_output_foreign": "Line {line} of {path!r} is no answer of a batch; name another file as --out.",
        "batch_output_unwritable": "The answers cannot be written to {path!r} ({reason}); name another file as --out.",
        "batch_review_foreign": "{path!r} is no review page of a batch and is not overwritten; name another table.",
        "batch_output_busy": "Another batch writes to {path!r} at this moment; wait for it or name another file.",
    }


class RowError(CodedError):
    """One row of a batch cannot be asked."""

    SENTENCES: ClassVar[dict[str, str]] = {
        "row_invalid": "Line {line} cannot be asked: {reason}; mend it and use --retry-failed.",
        "row_id_taken": "Line {line} has the id {id!r} of another row; give it one of its own.",
    }
