"""The API's description (functions/api/v1/openapi.json) says what the registry does: no more, and nothing else."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.api.dispatch import endpoints
from functions.api.route import Query
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import OciError
from tests.api.description import DOCUMENT, OPERATIONS, REFUSALS, SERVED, Operation, resolve, template_of
from tests.api.test_live_description import HEADER_EFFECTS
from tests.support import Registry

DIGEST: Final = Digest.of(b"content")
PARTS: Final = {
    "name": "a/b", "reference": "v1", "digest": str(DIGEST), "upload": str(uuid.uuid4()),
    "namespace": "a", "principal": "ci", "secret": "abcdefghijkl", "trusted_publisher": "1", "grant": "1", "rule": "1",
    "import": "1", "migration": "tag_subjects", "act": "pause", "check": "1", "backup": "1", "subscription": "1",
    "tag": "v1", "ranking": "largest", "id": "1",
    "policy": "tidy", "run": "1", "decision": "apply",
}  # fmt: skip

# Parameters of a query without which it is refused.
NEEDED: Final = {"action": "pull", "repository": "a/b", "q": "a"}


def every(value: Any) -> Iterator[dict[str, Any]]:
    """All objects of a document, at any depth."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from every(inner)


def test_it_is_served_to_anyone_and_may_be_kept_for_an_hour(registry: Registry) -> None:
    response = registry.get("/api/openapi.json")
    assert (response.status_code, response.get_json()) == (200, DOCUMENT)
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "public, max-age=3600"
    assert registry.statements("GET", "/api/openapi.json") == []


def test_it_has_every_endpoint_and_method_and_no_other() -> None:
    described = {path: {method.upper() for method in item if method != "parameters"} for path, item in _paths()}
    assert described == SERVED


def _paths() -> Iterator[tuple[str, dict[str, Any]]]:
    yield from DOCUMENT["paths"].items()


def test_every_error_is_told_of_with_its_status() -> None:
    told = {refusal for operation in OPERATIONS for refusal in operation.refusals}
    anywhere = {
        (int(status), code)
        for response in DOCUMENT["components"]["responses"].values()
        for status, code in re.findall(r"^(\d{3}) ([A-Z_]+)", response["description"])
    }
    assert told | anywhere == REFUSALS


def test_the_list_of_codes_is_that_of_the_errors() -> None:
    codes = DOCUMENT["components"]["schemas"]["ErrorCode"]["enum"]
    assert codes == sorted({OciError.code, *(code for _, code in REFUSALS)})


class Asked(Query):
    """Remembers which parameters the route table looks at."""

    names: set[str] = set()  # noqa: RUF012  # each test's own, see below

    def get(self, name: str) -> str | None:
        self.names.add(name)
        if name in NEEDED:
            return NEEDED[name]
        return str(DIGEST) if "digest" in name and "algorithm" not in name else None

    def all(self, name: str) -> list[str]:
        self.names.add(name)
        return []


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_parameters_of_the_query_are_those_that_are_read(
    operation: Operation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Asked, "names", set())
    endpoints().match(operation.method, operation.path.format(**PARTS), Asked())
    assert set(operation.parameters("query")) == Asked.names


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_parameters_of_the_path_are_those_of_the_endpoint(operation: Operation) -> None:
    parameters = operation.parameters("path")
    assert set(parameters) == set(re.findall(r"{(\w+)}", operation.path))
    assert all(parameter["required"] for parameter in parameters.values())


def test_every_header_of_a_request_is_one_whose_effect_is_tested() -> None:
    named = {(str(operation), header) for operation in OPERATIONS for header in operation.parameters("header")}
    assert named == set(HEADER_EFFECTS)


def test_an_example_path_of_each_endpoint_leads_to_it() -> None:
    assert [template_of(path.format(**PARTS)) for path in SERVED] == list(SERVED)


# ---- its structure


def test_it_is_what_openapi_3_1_asks_for() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    references = {value["$ref"] for value in every(DOCUMENT) if "$ref" in value}
    assert all(resolve({"$ref": reference}) for reference in references)
    components = {f"#/components/{kind}/{name}" for kind, items in DOCUMENT["components"].items() for name in items}
    # What a path that is no endpoint is answered belongs to no endpoint.
    assert components - references == {"#/components/responses/NoEndpoint", "#/components/responses/NoMethod"}


def test_every_operation_has_a_name_of_its_own_a_summary_and_a_declared_tag() -> None:
    documents = [operation._document for operation in OPERATIONS]
    assert all(document["operationId"] for document in documents)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert all(document["summary"] and set(document["tags"]) <= tags for document in documents)
    assert all(operation.successes for operation in OPERATIONS)


def test_the_answer_to_head_has_no_content_where_it_succeeds() -> None:
    heads = [operation for operation in OPERATIONS if operation.method == "HEAD"]
    assert all("content" not in response for head in heads for response in head.successes.values())


def test_no_name_stands_twice_in_one_object() -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    json.loads(json.dumps(DOCUMENT), object_pairs_hook=once)
