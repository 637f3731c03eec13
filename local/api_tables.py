"""Writes the tables of docs/api.md and docs/errors.md anew from the API's description: `python -m local.api_tables`.

What stands between the tables is written by hand, and stays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
DESCRIPTION: Final = ROOT / "functions" / "api" / "v1" / "openapi.json"
API_PAGE: Final = ROOT / "docs" / "api.md"
ERRORS_PAGE: Final = ROOT / "docs" / "errors.md"

_OF_ENDPOINTS: Final = ("Method", "Takes", "Gives", "Refuses")
_OF_ERRORS: Final = ("Code", "Status", "Message", "When", "What to do")
# A section of an endpoint, with its table; and the one table of the errors.
_SECTION: Final = re.compile(r"(?m)^### `(/[^`]*)`\n\n(?:\|.*\n)*")
_ERRORS: Final = re.compile(rf"(?m)^\| {_OF_ERRORS[0]} .*\n(?:\|.*\n)*")
# As codes are written in the descriptions of answers.
CODE: Final = re.compile(r"\b(?:[A-Z]{4,}|[A-Z]{3}(?=_))(?:_[A-Z]+)*\b")
# What any request may be answered is told of once, above the tables.
_OF_ANY_REQUEST: Final = {"UNSUPPORTED", "TOOMANYREQUESTS", "UNKNOWN"}
_FIRST_ERROR: Final = 400

Document = Mapping[str, Any]


class PageDiffers(Exception):
    """The page's sections are not the endpoints of the description. The message names those that differ."""


def resolve(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    """Follows a reference; what stands beside it goes before what it leads to."""
    if "$ref" not in value:
        return value
    found: Any = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {**resolve(document, found), **{name: beside for name, beside in value.items() if name != "$ref"}}


def api_page(page: str, document: Document) -> str:
    """Returns the page with all its tables made anew. Raises PageDiffers."""
    sections = set(_SECTION.findall(page))
    if sections != document["paths"].keys():
        raise PageDiffers(", ".join(sorted(sections ^ document["paths"].keys())))
    return _SECTION.sub(lambda match: f"### `{match[1]}`\n\n{_endpoint_table(document, match[1])}", page)


def errors_page(page: str, document: Document) -> str:
    """Returns the page with its table made anew."""
    return _ERRORS.sub(lambda _: _errors_table(document), page)


def _endpoint_table(document: Document, path: str) -> str:
    """Writes a line for all methods that take, give and refuse the same."""
    item = document["paths"][path]
    lines: dict[tuple[str, ...], list[str]] = {}
    for method, operation in item.items():
        if method != "parameters":
            parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
            responses = {int(status): resolve(document, each) for status, each in operation["responses"].items()}
            cells = (_takes(document, parameters), _gives(document, responses), _refuses(responses))
            lines.setdefault(cells, []).append(f"`{method.upper()}`")
    return _table(_OF_ENDPOINTS, ([" ".join(methods), *cells] for cells, methods in lines.items()))


def _takes(document: Document, parameters: list[dict[str, Any]]) -> str:
    resolved = [resolve(document, parameter) for parameter in parameters]
    return " ".join(f"`{each['name']}`" for where in ("query", "header") for each in resolved if each["in"] == where)


def _gives(document: Document, responses: Mapping[int, dict[str, Any]]) -> str:
    """Headers that don't always come are in italics."""
    lines = []
    for status, response in responses.items():
        if status < _FIRST_ERROR:
            headers = {name: resolve(document, header) for name, header in response.get("headers", {}).items()}
            named = [f"`{name}`" if header.get("required") else f"*`{name}`*" for name, header in headers.items()]
            lines.append(" ".join([str(status), *named]))
    return "<br>".join(lines)


def _refuses(responses: Mapping[int, dict[str, Any]]) -> str:
    lines = []
    for status, response in responses.items():
        codes = CODE.findall(response["description"]) if status >= _FIRST_ERROR else []
        named = [f"`{code}`" for code in dict.fromkeys(codes) if code not in _OF_ANY_REQUEST]
        if named:
            lines.append(" ".join([str(status), *named]))
    return "<br>".join(lines)


def _errors_table(document: Document) -> str:
    errors = document["components"]["schemas"]["ErrorCode"]["x-errors"]
    rows = ([f"`{each['code']}`", str(each["status"]), each["message"], each["when"], each["do"]] for each in errors)
    return _table(_OF_ERRORS, rows)


def _table(head: tuple[str, ...], rows: Iterator[list[str]]) -> str:
    lines = [_row(head), f"|{'---|' * len(head)}", *map(_row, rows)]
    return "".join(f"{line}\n" for line in lines)


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def main() -> None:
    document = json.loads(DESCRIPTION.read_text())
    API_PAGE.write_text(api_page(API_PAGE.read_text(), document))
    ERRORS_PAGE.write_text(errors_page(ERRORS_PAGE.read_text(), document))


if __name__ == "__main__":
    main()
