"""What a door needs of an agent, each with a default, so that a door never looks at an agent's class."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graph.answer import Answer, Event
from graph.question import Question, QuestionOptions
from model.pictures.picture import Picture

if TYPE_CHECKING:
    from typing import Unpack

    from langchain_core.language_models import BaseChatModel

    from model.open import ModelIdentity
    from retrieval.sync.captions import Captioner

OnEvent = Callable[[Event], None]
"""Hears what each node does; called on the thread that asks."""
OnPictures = Callable[[Sequence[Picture], int], None]
"""Gets the opened pictures of a question once, and the number that a box has which is in the first of them."""


class ServedAgent(ABC):
    """An agent that a door serves; `graph.agent.Agent` is the real one."""

    @abstractmethod
    def answer(
        self,
        question: Question,
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
    ) -> Answer:
        """Answer a question.

        Args:
            question: With its pictures and options.
            on_event: Hears of each node.
            on_pictures: Gets the opened pictures; those of earlier questions of the session come before them.
            cancel: Set it from another thread to stop within one token.

        Raises:
            GraphError: The question cannot be answered as it was asked.
            ImageError: A picture was refused.
            ModelError: The model failed, is busy, or was cancelled.
        """

    def ask(
        self,
        question: str,
        images: Sequence[str] = (),
        *,
        on_event: OnEvent | None = None,
        on_pictures: OnPictures | None = None,
        cancel: threading.Event | None = None,
        **options: "Unpack[QuestionOptions]",
    ) -> Answer:
        """Answer a question given in words; as `answer`."""
        asked = Question(question, tuple(images), **options)
        return self.answer(asked, on_event=on_event, on_pictures=on_pictures, cancel=cancel)

    @property
    def chat(self) -> "BaseChatModel | None":
        """The model that answers; None if it cannot be asked for itself."""
        return None

    @property
    def identity(self) -> "ModelIdentity | None":
        """Which model answers; None if there is none that can be asked for itself."""
        return None

    @property
    def captioner(self) -> "Captioner | None":
        """Who describes the documents' pictures; None if nobody does."""
        return None

    def is_lost(self) -> bool:
        """Return whether the process that holds the model has ended; the agent must then be opened again."""
        return False

    @property
    def adapter_refused(self) -> str | None:
        """Why the adapter that was requested last is not in use; None if it is."""
        return None

    def settle(self) -> None:  # noqa: B027 - most agents have nothing to settle
        """Change the adapter now if that was requested; waits until no question runs."""
