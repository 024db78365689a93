"""Options of a request that a server may refuse, and how the question is asked without them. It sends nothing."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

_REFUSALS = (400, 404, 415, 422, 501)
_ALSO_OF_500 = ("schema", "grammar", "json", "response_format", "template")
IN_WORDS = "Answer with one JSON object and nothing else. Its JSON schema: {schema}"


def refused_among(options: Collection[str], status: int, text: str) -> frozenset[str]:
    """Return the options to which a refusal may be due; all where its text names none.

    Args:
        options: That were sent and that a server need not know.
        status: HTTP status.
        text: Of the refusal.
    """
    text = text.lower()
    if status not in _REFUSALS and not (status == 500 and any(word in text for word in _ALSO_OF_500)):
        return frozenset()
    named = frozenset(option for option in options if option in text)
    return named or frozenset(option for option in options if option != "stream_options")


def with_schema_in_words(turns: Sequence[BaseMessage], schema: dict[str, Any]) -> list[BaseMessage]:
    """Return the conversation whose last message asks for the form that the server does not take as an option."""
    words = IN_WORDS.format(schema=json.dumps(schema, ensure_ascii=False))
    last = turns[-1]
    content = (
        f"{last.content}\n{words}"
        if isinstance(last.content, str)
        else [*last.content, {"type": "text", "text": words}]
    )
    return [*turns[:-1], last.model_copy(update={"content": content})]
