"""The API's description, the route table and the error table, in a form that tests can compare."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from functions.api.dispatch import endpoints
from functions.api.endpoint import allowed
from functions.api.web.responses import STATUSES
from functions.registry.oci.errors import OciError, TooManyRequests
from local.api_tables import CODE, DESCRIPTION
from local.api_tables import resolve as in_document

DOCUMENT: Final[dict[str, Any]] = json.loads(DESCRIPTION.read_text())
# What every path and method may be answered, whatever it is: no endpoint, no such method, too many requests, a fault, a
# dependency down.
ANYWHERE: Final = {
    (404, "UNSUPPORTED"),
    (405, "UNSUPPORTED"),
    (429, TooManyRequests.code),
    (500, OciError.code),
    (503, OciError.code),
}
REFUSALS: Final = {(int(status), error.code) for error, status in STATUSES.items()} | ANYWHERE


def template(pattern: re.Pattern[str]) -> str:
    """A path of the route table as people write it: `/v2/{name}/tags/list`."""
    named = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"{\1}", pattern.pattern)
    return named.replace("/?", "/").replace("\\", "")


SERVED: Final = {template(pattern): set(allowed(methods)) for pattern, methods in endpoints().paths}


def template_of(path: str) -> str | None:
    """The endpoint that serves `path`, percent-decoded."""
    return next((template(pattern) for pattern, _ in endpoints().paths if pattern.fullmatch(path)), None)


def resolve(value: dict[str, Any]) -> dict[str, Any]:
    """Follows a reference; what stands beside it goes before what it leads to."""
    return in_document(DOCUMENT, value)


@dataclass(frozen=True)
class Operation:
    path: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = DOCUMENT["paths"][self.path][self.method.lower()]
        return document

    @property
    def responses(self) -> dict[int, dict[str, Any]]:
        return {int(status): resolve(response) for status, response in self._document["responses"].items()}

    @property
    def successes(self) -> dict[int, dict[str, Any]]:
        return {status: response for status, response in self.responses.items() if status < 400}

    def headers(self, status: int) -> dict[str, dict[str, Any]]:
        """Those of an answer, by name."""
        return {name: resolve(header) for name, header in self.responses[status].get("headers", {}).items()}

    @property
    def refusals(self) -> set[tuple[int, str]]:
        """Statuses and codes."""
        return {
            (status, code)
            for status, response in self.responses.items()
            if status >= 400
            for code in CODE.findall(response["description"])
        }

    def parameters(self, where: str) -> dict[str, dict[str, Any]]:
        """Those in `path`, `query` or `header`, by name."""
        shared = DOCUMENT["paths"][self.path].get("parameters", [])
        found = [resolve(parameter) for parameter in [*shared, *self._document.get("parameters", [])]]
        return {parameter["name"]: parameter for parameter in found if parameter["in"] == where}

    def describes(self, status: int, code: str | None) -> bool:
        """Says whether an answer is one of those that are told of. The answer to HEAD has no code."""
        if status < 400:
            return status in self.successes
        refusals = self.refusals | ANYWHERE
        return (status, code) in refusals if code is not None else status in {status for status, _ in refusals}


OPERATIONS: Final = [
    Operation(path, method.upper())
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method != "parameters"
]
