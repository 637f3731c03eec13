"""Whether a document is as the API's description says: the part of JSON Schema that it uses, and no more."""

from __future__ import annotations

import re
from typing import Any, Final

from tests.api.description import DOCUMENT, resolve, template_of

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
    "boolean": (bool,), "null": (type(None),),
}  # fmt: skip
KNOWN: Final = {
    "type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "pattern", "minimum", "maximum",
    "minLength", "maxLength", "minItems",
    "maxItems", "minProperties", "maxProperties", "additionalProperties", "format", "description",
    "$ref", "title", "examples", "default",
}  # fmt: skip


def schema_of(method: str, path: str, status: int) -> dict[str, Any]:
    """Of an answer's content; empty where there is none."""
    template = template_of(path)
    assert template is not None, path
    responses = DOCUMENT["paths"][template][method.lower()]["responses"]
    content = resolve(responses[str(status)]).get("content", {})
    found: dict[str, Any] = next((each for kind, each in content.items() if kind.endswith("json")), {})
    return dict(found.get("schema", {}))


def faults(value: Any, schema: dict[str, Any], where: str = "$") -> list[str]:
    """What is wrong, each with its place; none for a document that fits."""
    schema = resolve(schema)
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    for one_of in ("anyOf", "oneOf"):
        if one_of in schema and all(faults(value, each, where) for each in schema[one_of]):
            return [f"{where}: {value!r} is none of {one_of}"]
    found = [*_of_type(value, schema, where), *_of_value(value, schema, where)]
    if isinstance(value, dict) and not found:
        found += _of_object(value, schema, where)
    if isinstance(value, list) and "items" in schema and not found:
        for number, item in enumerate(value):
            found += faults(item, schema["items"], f"{where}[{number}]")
    return found


def _of_type(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    if "type" not in schema:
        return []
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fits = any(isinstance(value, _TYPES[each]) and (each == "boolean" or not isinstance(value, bool)) for each in types)
    return [] if fits else [f"{where}: {value!r} is no {' or '.join(types)}"]


def _of_value(value: Any, schema: dict[str, Any], where: str) -> list[str]:
    size = len(value) if isinstance(value, str | list | dict) else 0
    number = value if isinstance(value, int | float) else 0
    wrong = {
        "enum": value not in schema.get("enum", [value]),
        "const": value != schema.get("const", value),
        "pattern": isinstance(value, str) and not re.search(schema.get("pattern", ""), value),
        "minimum": number < schema.get("minimum", number),
        "maximum": number > schema.get("maximum", number),
        "minLength": isinstance(value, str) and size < schema.get("minLength", 0),
        "maxLength": isinstance(value, str) and size > schema.get("maxLength", size),
        "minItems": isinstance(value, list) and size < schema.get("minItems", 0),
        "maxItems": isinstance(value, list) and size > schema.get("maxItems", size),
        "minProperties": isinstance(value, dict) and size < schema.get("minProperties", 0),
        "maxProperties": isinstance(value, dict) and size > schema.get("maxProperties", size),
    }
    return [f"{where}: {value!r} against {name} {schema[name]!r}" for name, is_wrong in wrong.items() if is_wrong]


def _of_object(value: dict[str, Any], schema: dict[str, Any], where: str) -> list[str]:
    found = [f"{where}: {name} is missing" for name in schema.get("required", []) if name not in value]
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in properties:
            found += faults(inner, properties[name], f"{where}.{name}")
        elif isinstance(others, dict):
            found += faults(inner, others, f"{where}.{name}")
        elif others is False:
            found.append(f"{where}: {name} is no field")
    return found


def faults_of_output(output: Any, method: str, path: str, status: int) -> list[str]:
    """Of what a command gave: the API's document, or the array that it has."""
    schema = resolve(schema_of(method, path, status))
    if isinstance(output, dict):
        return faults(output, schema)
    arrays = [resolve(each) for each in schema.get("properties", {}).values() if resolve(each).get("type") == "array"]
    assert arrays, path
    return min((faults(output, array) for array in arrays), key=len)
