"""A decision read from what a model wrote, however it wrote it. It asks nobody and guesses nothing that is not there.

Keys may be of another case or language, numbers may be words, lists may stand where a text is due, a verdict may come
without its JSON. What a decision cannot be without (a verdict, a number, a query) must be there, else it is unreadable.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from common.safe_text import shortened
from graph.answer import Choice, Decision, Grade, Plan, Query, Review
from graph.reading.json_values import json_values
from model.thinking import split_thinking

D = TypeVar("D", bound=Decision)

ALIASES = {
    "任务": "task", "type": "task", "任务类型": "task", "步骤": "steps", "plan": "steps", "步驟": "steps",
    "需要文档": "needs_knowledge", "是否需要文档": "needs_knowledge", "needs_documents": "needs_knowledge",
    "needsknowledge": "needs_knowledge", "needs_docs": "needs_knowledge", "search": "queries", "查询": "queries",
    "搜索": "queries", "搜索词": "query", "query": "queries", "search_queries": "queries", "queries": "query",
    "相关": "relevant", "relevant_passages": "relevant", "relevant_numbers": "relevant", "numbers": "relevant",
    "passages": "relevant", "search_query": "query", "判断": "verdict", "结论": "verdict", "decision": "verdict",
    "result": "verdict", "反馈": "feedback", "看到的答案": "feedback", "答案": "feedback", "answer": "feedback",
    "reason": "feedback", "best_draft": "best", "最好": "best", "最佳": "best", "choice": "best", "number": "best",
    "save": "save_conversation", "保存": "save_conversation",
}  # fmt: skip
"""What a key is called elsewhere; one that the decision itself has is never renamed."""
DEFAULTS: dict[str, Any] = {
    "task": "answer", "steps": [], "needs_knowledge": False, "queries": [], "feedback": "", "categories": [],
    "reason": "",
}  # fmt: skip
TASKS = {
    "问答": "answer", "回答": "answer", "描述": "caption", "describe": "caption", "description": "caption",
    "ocr": "read_text", "read": "read_text", "transcribe": "read_text", "文字": "read_text", "detect": "locate",
    "detection": "locate", "grounding": "locate", "定位": "locate", "比较": "compare", "提取": "extract",
    "解答": "solve", "count": "answer", "qa": "answer", "vqa": "answer",
}  # fmt: skip
_VERDICTS = {"pass": "PASS", "通过": "PASS", "retry": "RETRY", "重试": "RETRY", "重写": "RETRY"}
_VERDICT = re.compile(r"(?<![A-Za-z])(PASS|RETRY)(?:ED)?(?![A-Za-z])|(通过|重试|重写)")
_ALONE = re.compile(r"\A\W*(pass|retry)(ed)?\W*(\Z|[:：,\n])|(\A|[:：\n])\W*(pass|retry)(ed)?\W*\Z", re.IGNORECASE)
_NOT_PASSED = re.compile(r"\b(not|no|cannot|can't|doesn't|n't)\b.{0,12}\bpass|不通过|未通过|没有通过", re.IGNORECASE)
_YES = ("true", "yes", "1", "是", "需要", "y")
_NO = ("false", "no", "0", "否", "不需要", "n", "none", "null", "")
_LINE = re.compile(r"^[\s*_#>-]*[\"'`]?([\w ]{1,24}?)[\"'`]?[\s*_]*[:：=]\s*(.*)$", re.MULTILINE)
_MARKUP = re.compile(r"^[\s\-*•#>\d.)`\"'*_]+|[\s`\"'*_]+$")


class Unreadable(ValueError):
    """There is no such decision in the text."""


def read_decision(schema: type[D], text: str) -> D:
    """Return the decision that a model's text holds.

    Raises:
        Unreadable: It holds none.
    """
    said = split_thinking(text)[1]
    try:
        return schema.model_validate_json(said)
    except ValidationError:
        pass
    for value in json_values(said):
        if (decision := _of_value(schema, value)) is not None:
            return decision
    decision = _of_lines(schema, said) or _of_words(schema, said)
    if decision is None:
        found = f"no {schema.__name__.lower()} is in {shortened(said, 80)!r}" if said.strip() else "it is empty"
        raise Unreadable(found)
    return decision


def read_fields(fields: Collection[str], text: str) -> dict[str, str | None] | None:
    """Return the asked fields of a JSON object in a text, null for what is not there; none where there is no object."""
    for value in json_values(split_thinking(text)[1]):
        for part in [value, *value.values()] if isinstance(value, dict) else value:
            if isinstance(part, dict):
                known = {str(key).strip().lower(): found for key, found in part.items()}
                if any(name.lower() in known for name in fields):
                    found = {name: known.get(name.lower()) for name in fields}
                    return {name: None if value is None else _text(value) for name, value in found.items()}
    return None


def _of_value(schema: type[D], value: Any) -> D | None:
    if isinstance(value, list):
        if len(value) == 1 and isinstance(value[0], dict):
            value = value[0]
        elif schema is Grade:
            value = {"relevant": value}
        else:
            return None
    named = _named(schema, value)
    if not named:  # one that holds it: {"plan": {...}}, {"name": "Plan", "arguments": {...}}
        inner = [part for part in value.values() if isinstance(part, dict)]
        return next((found for part in inner if (found := _of_value(schema, part)) is not None), None)
    return _built(schema, named)


def _named(schema: type[Decision], value: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what the object says under the decision's own keys."""
    plain = {re.sub(r"[\s-]+", "_", str(key).strip().lower()): found for key, found in value.items()}
    own = {name: found for name, found in plain.items() if name in schema.model_fields}
    others = {
        name: found
        for key, found in plain.items()
        if (name := ALIASES.get(key, "")) in schema.model_fields and not isinstance(found, dict)
    }
    return others | own


def _built(schema: type[D], named: dict[str, Any]) -> D | None:
    properties = schema.model_json_schema()["properties"]
    whole: dict[str, Any] = {}
    for name, form in properties.items():
        try:
            whole[name] = _as(form, named[name]) if named.get(name) is not None else DEFAULTS[name]
        except (KeyError, Unreadable):
            if name not in DEFAULTS or (schema is Grade):
                return None
            whole[name] = DEFAULTS[name]
    if "needs_knowledge" in whole and named.get("needs_knowledge") is None:
        whole["needs_knowledge"] = bool(whole.get("queries"))
    try:
        return schema.model_validate(whole)
    except ValidationError:
        return None


def _as(form: Mapping[str, Any], value: Any) -> Any:
    """Return the value in the form that the schema has, where that is what the value means."""
    if "enum" in form:
        return _one_of(form["enum"], value)
    kind = form.get("type")
    if kind == "string":
        return _text(value)[: form.get("maxLength")]
    if kind == "boolean":
        return _truth(value)
    if kind == "integer":
        return _number(value)
    if kind == "array":
        items = form.get("items", {})
        listed = _listed(value, items)
        if items.get("type") == "integer":
            least, most = items.get("minimum", 0), items.get("maximum", 10**6)
            listed = [number for number in listed if least <= number <= most]
        return listed[: form.get("maxItems")]
    return value


def _listed(value: Any, items: Mapping[str, Any]) -> list[Any]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, str):
        if items.get("type") == "integer":
            value = re.findall(r"\d+", value)
        else:
            value = [part for line in value.splitlines() if (part := _MARKUP.sub("", line))]
    if not isinstance(value, list):
        value = [value]
    if "$ref" in items:
        return value
    listed = []
    for item in value:
        if isinstance(item, dict):  # {"step": 1, "action": "look"}, {"id": 2}
            texts = [part for part in item.values() if isinstance(part, str) and not part.isdigit()]
            item = texts[0] if texts and items.get("type") == "string" else next(iter(item.values()), "")
        converted = _as(items, item)
        if converted != "" and converted not in listed:
            listed.append(converted)
    return listed


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return "; ".join(_text(part) for part in value)
    return "" if value is None else str(value).strip()


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).lower().rstrip(".!。")
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise Unreadable(f"{word!r} is neither yes nor no")


def _number(value: Any) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    found = re.search(r"\d+", _text(value))
    if found is None:
        raise Unreadable("there is no number")
    return int(found[0])


def _one_of(words: list[str], value: Any) -> str:
    said = _text(value)
    plain = re.sub(r"[\s-]+", "_", said.lower())
    for word in words:
        if plain == word.lower():
            return word
    known = TASKS.get(plain) or _VERDICTS.get(plain)
    if known in words:
        return str(known)
    if "PASS" in words and (verdict := _verdict(said)):
        return verdict
    raise Unreadable(f"{said!r} is none of {words}")


def _verdict(text: str) -> str | None:
    """Return the one verdict that a text names; none where it names both, or a pass that it denies."""
    found = {_VERDICTS[(mark[1] or mark[2]).lower()] for mark in _VERDICT.finditer(text)}
    if not found and (alone := _ALONE.search(text)):
        found = {_VERDICTS[(alone[1] or alone[5]).lower()]}
    return found.pop() if len(found) == 1 and not _NOT_PASSED.search(text) else None


def _of_lines(schema: type[D], text: str) -> D | None:
    """Read lines such as `Task: locate`."""
    lines = {found[1].strip(): found[2].strip().rstrip(",") for found in _LINE.finditer(text)}
    named = _named(schema, lines)
    needed = {"task"} if schema is Plan else set(schema.model_fields) - set(DEFAULTS)
    return _built(schema, named) if needed and needed <= set(named) else None


def _of_words(schema: type[D], text: str) -> D | None:
    """Read a decision that is nothing but its word: `PASS`, `RETRY: it is red`, `[1, 3]`, `2`, a query."""
    plain = text.strip().strip("`*_").strip()
    values: dict[str, Any] | None = None
    if schema is Review and (verdict := _verdict(plain)):
        feedback = re.sub(
            r"\A\W*(pass|retry|通过|重试|重写)(ed)?\W*|\W*(pass|retry)\W*\Z", "", plain, flags=re.IGNORECASE
        )
        values = {"feedback": feedback[:200], "verdict": verdict}
    elif schema is Grade and re.fullmatch(r"[\[\]\s\d,;.and和、]*\d[\[\]\s\d,;.and和、]*", plain):
        values = {"relevant": plain}
    elif schema is Grade and re.fullmatch(r"\W*(none|no passages?|nothing|没有|无|\[\s*\])\W*", plain, re.IGNORECASE):
        values = {"relevant": []}
    elif schema is Choice and (number := re.fullmatch(r"\D{0,20}(\d)\D{0,3}", plain)):
        values = {"feedback": "", "best": int(number[1])}
    elif schema is Query and 0 < len(plain) <= 120 and "\n" not in plain and "{" not in plain:
        values = {"query": plain.strip("\"'“”")}
    return _built(schema, values) if values is not None else None
