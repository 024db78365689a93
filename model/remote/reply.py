"""What servers put into the pieces of an answer, brought into one form. It sends nothing.

Servers differ in where they put thinking (`reasoning_content`: vLLM, SGLang, DeepSeek, llama.cpp; `reasoning`:
Ollama, OpenRouter, later vLLM; a part of type `thinking`: Mistral), in the form of the content (a text, parts, null)
and in what they leave out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from model.thinking import THINKING_KEY

ARGUMENTS_KEY = "arguments"
"""Key of a piece's `additional_kwargs` that holds the arguments of a call to a tool."""
_THINKING_FIELDS = (THINKING_KEY, "reasoning", "thinking")
_ENDS = {"max_tokens": "length", "model_length": "length", "max_length": "length"}


@dataclass(frozen=True)
class Reply:
    """A piece of an answer."""

    chunk: dict[str, Any]
    """As LangChain reads it; what is no piece of an answer at all is left as it is."""
    thought: str = ""
    arguments: str = ""
    """Of a tool that the model called although it was offered none: some put their JSON there."""


def in_one_form(chunk: Mapping[str, Any]) -> Reply:
    """Return a piece with its content as a text."""
    choices = chunk.get("choices")
    whole = {**chunk, "choices": choices if choices is not None else []}
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return Reply(whole)
    choice = choices[0]
    if not isinstance(choice.get("delta"), dict):
        return Reply(whole)
    delta = choice["delta"]
    said, thought = _told(delta.get("content"))
    thought = next((t for key in _THINKING_FIELDS if isinstance(t := delta.get(key), str) and t), "") + thought
    delta = {**delta, "content": said, "role": "assistant"}
    arguments = _arguments(delta.pop("tool_calls", None)) + _arguments([{"function": delta.pop("function_call", None)}])
    return Reply({**whole, "choices": [{**choice, "delta": delta}, *choices[1:]]}, thought, arguments)


def end_of(reason: str) -> str:
    """Return why an answer ended, in the words of `Generated.finish_reason` where there is one."""
    return _ENDS.get(reason.lower(), reason)


def _told(content: Any) -> tuple[str, str]:
    """Return the text of a content and its thinking."""
    if not isinstance(content, list):
        return content if isinstance(content, str) else "", ""
    said, thought = "", ""
    for part in content:
        if isinstance(part, str):
            said += part
        elif isinstance(part, dict) and part.get("type") in ("thinking", "reasoning"):
            inner = part.get("thinking", part.get("text", ""))
            thought += inner if isinstance(inner, str) else _told(inner)[0]
        elif isinstance(part, dict) and isinstance(part.get("text"), str):
            said += part["text"]
    return said, thought


def _arguments(calls: Any) -> str:
    """Return the arguments of the tools that are called, which some servers give as an object and others as a text."""
    written = ""
    for call in calls if isinstance(calls, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        written += arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
    return written
