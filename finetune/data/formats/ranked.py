"""Pairs of answers that are written as two whole conversations, or beside a prompt, brought into the form that is read.

So LLaMA-Factory's second generation writes them (`chosen_messages`, `rejected_messages`), and so do sets for TRL
(`chosen` and `rejected` as lists of messages, or `prompt` beside both).
"""

from collections.abc import Mapping
from typing import Any, TypeGuard

from finetune.data.unusable import Unusable

SIDES = (("chosen_messages", "rejected_messages"), ("chosen", "rejected"))


def parted(row: dict[str, Any]) -> dict[str, Any]:
    """Return the row with what both conversations share as `messages`, and the last messages as the two answers.

    Raises:
        Unusable: They differ before their last message, or one has no last message.
    """
    for names in SIDES:
        chosen, rejected = (row.get(name) for name in names)
        if _is_talk(chosen) and _is_talk(rejected):
            if chosen[:-1] != rejected[:-1]:
                raise Unusable(f"{names[0]!r} and {names[1]!r} differ before their last message")
            rest = {name: value for name, value in row.items() if name not in (*names, "messages", "prompt")}
            return rest | {"messages": chosen[:-1], "chosen": _answer(chosen), "rejected": _answer(rejected)}
    if "messages" not in row and "prompt" in row and {"chosen", "rejected"} <= set(row):
        prompt = row["prompt"]
        asked = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return {name: value for name, value in row.items() if name != "prompt"} | {"messages": asked}
    return row


def _is_talk(value: object) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, dict) for one in value)


def _answer(talk: list[dict[str, Any]]) -> Mapping[str, Any]:
    """Return the last message, its parts as one text."""
    last = talk[-1]
    content = last.get("content", last.get("value"))
    if not isinstance(content, list):
        return last
    texts = [part if isinstance(part, str) else part.get("text", part.get("value")) for part in content]
    if not all(isinstance(text, str) for text in texts):
        raise Unusable("an answer to choose holds more than text")
    return {"role": "assistant", "content": "".join(texts)}
