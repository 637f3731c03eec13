"""Whether what a command gives is as the API's description says."""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from tests.api.description import DOCUMENT, resolve, template_of


def schema_of(method: str, path: str, status: int) -> dict[str, Any]:
    """Returns the schema of an answer's content; empty where there is none."""
    template = template_of(path)
    assert template is not None, path
    responses = DOCUMENT["paths"][template][method.lower()]["responses"]
    content = resolve(responses[str(status)]).get("content", {})
    found: dict[str, Any] = next((each for kind, each in content.items() if kind.endswith("json")), {})
    return resolve(found.get("schema", {}))


def faults(value: Any, schema: dict[str, Any]) -> list[str]:
    """What is wrong, each with its place; none for a document that fits."""
    validator = Draft202012Validator({**schema, "components": DOCUMENT["components"]})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def faults_of_output(output: Any, method: str, path: str, status: int) -> list[str]:
    """Finds what is wrong with a command's output: the API's document, or the array that it has."""
    schema = schema_of(method, path, status)
    assert schema, path
    if isinstance(output, dict):
        return faults(output, schema)
    arrays = [resolve(each) for each in schema.get("properties", {}).values() if resolve(each).get("type") == "array"]
    assert arrays, path
    return min((faults(output, array) for array in arrays), key=len)
