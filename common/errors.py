"""The base of every error whose text is meant for the user.

A child exists where a caller acts on it; where callers only pass the sentence on, one class serves with a `code`.
"""

import re
from typing import Any, ClassVar

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class LorgnetteError(Exception):
    """An error whose text is one sentence for the user, ending with what to do."""

    code: str = "lorgnette_error"
    """What went wrong, in snake_case: for programs, such as clients of the OpenAI endpoint."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name the class's code after the class."""
        super().__init_subclass__(**kwargs)
        if "code" not in cls.__dict__:
            cls.code = _HUMP.sub("_", cls.__name__).lower()


class CodedError(LorgnetteError):
    """An error of many causes that callers treat alike: its code says which, its values are attributes.

    A child lists its sentences by code, as format strings over the values.
    """

    SENTENCES: ClassVar[dict[str, str]] = {}

    def __init__(self, code: str, **values: Any) -> None:
        """Fill the code's sentence with the values.

        Raises:
            KeyError: The code has no sentence, or its sentence wants another value.
        """
        self.code, self.values = code, values
        for name, value in values.items():
            setattr(self, name, value)
        super().__init__(self.SENTENCES[code].format(**self.shown(values)))

    def shown(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values as the sentence has them; a child may shorten some."""
        return values
