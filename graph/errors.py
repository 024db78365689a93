"""What can go wrong with a question, named for what the caller can do about it."""

from model.errors import LorgnetteError


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
