"""What a chat model of ours can do beyond LangChain's interface, each with a default for those that cannot.

Every question whether a model can do a thing is asked here; nobody else looks at a model's class.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from model.errors import ModelError

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


class NotOffered(ModelError):
    """The model cannot do what was asked of it."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"This model {what}; use a model that is loaded on this machine.")


class ServedModel:
    """A chat model that is served; by itself one that can do nothing beyond answering."""

    gives_probabilities: ClassVar[bool] = False
    """Whether `choice_probabilities` answers."""
    swaps_adapters: ClassVar[bool] = False
    """Whether `swap_adapter` works while the model is loaded."""

    def is_lost(self) -> bool:
        """Return whether the process that holds the model has ended, so that it must be opened again."""
        return False

    def looking_pixels(self, seconds: float, pictures: int) -> int | None:
        """Return how many pixels each of so many pictures may have so that looking takes at most `seconds`.

        None if nobody knows how fast it looks.
        """
        return None

    def choice_probabilities(
        self, messages: "list[BaseMessage]", words: Sequence[str], *, cancel: threading.Event | None = None
    ) -> list[float]:
        """Return how likely each of the words begins the answer, among them alone.

        Raises:
            NotOffered: The model does not tell.
        """
        raise NotOffered("gives no probabilities")

    def swap_adapter(self, folder: Path | None) -> None:
        """Change the adapter, or take it off; the model stays as it was where the adapter does not fit.

        Raises:
            NotOffered: The model's adapter cannot be changed.
            AdapterError: It does not fit.
        """
        raise NotOffered("does not change its adapter")


def served(chat: Any) -> ServedModel:
    """Return the chat model under this interface; one of LangChain's own can do nothing beyond answering."""
    return chat if isinstance(chat, ServedModel) else ServedModel()
