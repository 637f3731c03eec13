"""docs/api.md and docs/errors.md, for people, say what the description says, for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import pytest

from functions.api.v2.paths import MOST_TAGS, MOST_TAGS_PER_PUSH
from functions.api.v2.referrers import PAGE_SIZE
from functions.api.web.responses import STATUSES, failed, unavailable
from functions.registry.oci.manifest import MOST_REFERENCES
from functions.registry.oci.name import NAME_LENGTH
from functions.registry.oci.page import LARGEST_SIZE
from tests.api.description import ANYWHERE, OPERATIONS, REFUSALS, SERVED, Operation
from tests.conftest import ROOT

API: Final = re.sub(r"(?ms)^```.*?^```$", "", (ROOT / "docs" / "api.md").read_text())  # but for its examples
ERRORS: Final = (ROOT / "docs" / "errors.md").read_text()
QUOTED: Final = re.compile(r"`([^`]+)`")


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of a table, without its head."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def endpoints() -> dict[str, list[str]]:
    """`GET /v2/` → what its row says in the other columns."""
    found: dict[str, list[str]] = {}
    for section in API.split("\n### ")[1:]:
        path, _, text = section.partition("\n")
        for method, *cells in rows(text):
            found |= {f"{name} {path.strip('`')}": cells for name in QUOTED.findall(method)}
    return found


def by_status(cell: str) -> dict[int, set[str]]:
    """`200 `A` `B`<br>304 `A`` → the names of each status."""
    return {int(line.split()[0]): set(QUOTED.findall(line)) for line in cell.split("<br>") if line}


def test_the_page_has_every_endpoint_and_method_and_no_other() -> None:
    assert set(endpoints()) == {f"{method} {path}" for path, methods in SERVED.items() for method in methods}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_an_endpoints_row_says_what_the_description_says(operation: Operation) -> None:
    takes, gives, refuses = endpoints()[str(operation)]
    assert set(QUOTED.findall(takes)) == {*operation.parameters("query"), *operation.parameters("header")}
    assert by_status(gives) == {status: set(operation.headers(status)) for status in operation.successes}
    told = {(status, code) for status, codes in by_status(refuses).items() for code in codes}
    assert told == operation.refusals - ANYWHERE


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_headers_that_do_not_always_come_are_in_italics(operation: Operation) -> None:
    _, gives, _ = endpoints()[str(operation)]
    sometimes = {
        name
        for status in operation.successes
        for name, header in operation.headers(status).items()
        if not header.get("required")
    }
    assert set(re.findall(r"\*`([^`]+)`\*", gives)) == sometimes


def test_the_page_tells_what_any_request_may_be_answered() -> None:
    introduction = API.partition("\n## ")[0]
    assert {(int(status), code) for status, code in re.findall(r"(\d{3}) `([A-Z_]+)`", introduction)} == ANYWHERE


def test_the_page_names_no_other_code() -> None:
    codes = {code for _, code in REFUSALS}
    named = {name for name in QUOTED.findall(API) if re.fullmatch(r"[A-Z]+(_[A-Z]+)*", name)}
    assert named - {method for methods in SERVED.values() for method in methods} == codes


def test_every_error_has_a_row_with_its_code_its_status_and_its_message() -> None:
    told = {(cells[0].strip("`"), int(cells[1]), cells[2]) for cells in rows(ERRORS)}
    given = {(error.code, int(status), error.message) for error, status in STATUSES.items()}
    for response in (failed(), unavailable()):
        [error] = response.get_json()["errors"]
        given.add((error["code"], response.status_code, error["message"]))
    assert told == given


def test_every_error_says_when_it_comes_and_what_to_do() -> None:
    table = list(rows(ERRORS))
    assert all(len(cells) == 5 and all(cells) for cells in table)
    assert [cells[:2] for cells in table] == sorted(cells[:2] for cells in table)


def test_numbers_on_the_pages_are_those_of_the_code() -> None:
    assert f"as many as {MOST_TAGS_PER_PUSH}" in API
    assert f"Pages of {PAGE_SIZE}" in API
    assert f"more than {LARGEST_SIZE} counts as {LARGEST_SIZE}, of tags more than {MOST_TAGS:,} as {MOST_TAGS:,}" in API
    assert f"more than {MOST_REFERENCES:,} references" in ERRORS
    assert f"more than {NAME_LENGTH} characters" in ERRORS
