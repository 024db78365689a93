"""A tool's arguments as models send them, brought to what the tool's schema means. It refuses nothing.

Models fill in every argument they see, with null or "" where they mean nothing, send one string where a list is due,
write "Quick" for quick, and some clients send the whole object as a JSON string.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def as_meant(arguments: object, schema: Mapping[str, Any]) -> object:
    """Return the arguments with what is meant in place of what was sent.

    Args:
        arguments: As they came.
        schema: JSON schema of the tool's arguments.
    """
    if isinstance(arguments, str):
        arguments = _read(arguments)
    if not isinstance(arguments, dict):
        return {} if arguments is None else arguments
    properties, required = schema.get("properties", {}), schema.get("required", ())
    meant = {}
    for name, value in arguments.items():
        forms = list(_forms(properties.get(name, {}), schema.get("$defs", {})))
        if name not in required and forms and _says_nothing(value):
            continue
        meant[name] = _value(value, forms)
    return meant


def _read(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _says_nothing(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _value(value: object, forms: list[Mapping[str, Any]]) -> object:
    if isinstance(value, str) and _takes(forms, "array") and not _takes(forms, "string"):
        found = _read(value) if value.lstrip().startswith("[") else value
        return found if isinstance(found, list) else [value]
    choices = [choice for form in forms for choice in form.get("enum", ()) if isinstance(choice, str)]
    if isinstance(value, str) and choices and value not in choices:
        return next((choice for choice in choices if choice.lower() == value.strip().lower()), value)
    return value


def _takes(forms: list[Mapping[str, Any]], kind: str) -> bool:
    return any(form.get("type") == kind for form in forms)


def _forms(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every form that a value may have, references and alternatives followed."""
    if "$ref" in schema:
        yield from _forms(definitions.get(schema["$ref"].rpartition("/")[2], {}), definitions)
    elif "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from _forms(option, definitions)
    elif schema:
        yield schema
