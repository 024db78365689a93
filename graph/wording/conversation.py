"""Every conversation as the model gets it, for those who ask to see it (`lorgnette ask --show-prompts`).

It goes through logging at DEBUG, where the words of a question may be seen, and costs nothing where nobody listens.
"""

import logging
from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

logger = logging.getLogger("graph.conversation")
_ROLES = {"human": "user", "ai": "assistant"}


def show(node: str, messages: Sequence[BaseMessage], reply: AIMessage) -> None:
    """Log what a node said to the model and what came back."""
    if logger.isEnabledFor(logging.DEBUG):
        logger.debug("%s", written(node, messages, reply))


def written(node: str, messages: Sequence[BaseMessage], reply: AIMessage) -> str:
    """Return a conversation as text, a heading for each message and a line for each picture."""
    lines = [f"===== {node} ====="]
    for message in messages:
        lines += [f"--- {_ROLES.get(message.type, message.type)}", *_blocks(message.content)]
    return "\n".join([*lines, "--- reply", reply.text])


def _blocks(content: str | list[Any]) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [str(block["text"]) if block.get("type") == "text" else _picture(block) for block in content]


def _picture(block: dict[str, Any]) -> str:
    source = getattr(block.get("image"), "source", "")
    return f"<picture {source[:80]}>"
