"""Function calls as the words that Qwen's chat template writes for them. It calls nothing.

Source: the `tools` part of the chat template in the tokenizer of Qwen3-VL (tool list in the system message, calls in
<tool_call>, results as a user's <tool_response>).
"""

import json
from typing import Any

from finetune.data.sample import Part
from finetune.data.talk import Said, checked_text
from finetune.data.unusable import Unusable

_BEFORE = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
"""
_AFTER = """
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""


def called(call: object) -> str:
    """Return one call, or several, given as JSON text or as objects with name and arguments.

    Raises:
        Unusable: It is no such object.
    """
    if isinstance(call, str):
        try:
            call = json.loads(call)
        except ValueError:
            raise Unusable("a function call is no JSON object") from None
    calls = call if isinstance(call, list) else [call]
    return "\n".join(f"<tool_call>\n{_one(each)}\n</tool_call>" for each in calls)


def returned(text: str) -> str:
    """Return what a function gave back."""
    return f"<tool_response>\n{text}\n</tool_response>"


def with_tools(said: list[Said], system: str, tools: object) -> list[Said]:
    """Put the system text and the list of tools in front, and join results that follow one another.

    Raises:
        Unusable: Two system texts, or tools that are no list of objects.
    """
    parts: list[Part] = []
    if said and said[0][0] == "system":
        if system:
            raise Unusable("a system text in its column and another among the messages")
        parts, said = list(said[0][1]), said[1:]
    elif system:
        parts = [system]
    if tools:
        parts = [*parts, "\n\n"] if parts else []
        parts.append(_listed(tools))
    joined: list[Said] = [("system", parts)] if parts else []
    for role, words in said:
        if joined and role == joined[-1][0] == "user" and _is_result(words) and _is_result(joined[-1][1]):
            joined[-1] = (role, [*joined[-1][1], "\n", *words])
        else:
            joined.append((role, words))
    return joined


def _is_result(parts: Any) -> bool:
    return bool(parts) and isinstance(parts[0], str) and parts[0].startswith("<tool_response>\n")


def _one(call: Any) -> str:
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise Unusable("a function call without a name")
    arguments = function.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            raise Unusable("the arguments of a function call are no JSON") from None
    text = json.dumps({"name": function["name"], "arguments": arguments}, ensure_ascii=False)
    return checked_text(text, "a function call")


def _listed(tools: object) -> str:
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except ValueError:
            raise Unusable("'tools' is no JSON list") from None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise Unusable("'tools' is no list of objects")
    lines = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in tools)
    return checked_text(f"{_BEFORE}{lines}{_AFTER}", "tools")
