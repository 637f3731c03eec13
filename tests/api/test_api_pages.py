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
from local.api_tables import API_PAGE, ERRORS_PAGE, PageDiffers, api_page, errors_page
from tests.api.description import ANYWHERE, DOCUMENT, REFUSALS, SERVED

PAGE: Final = API_PAGE.read_text()
API: Final = re.sub(r"(?ms)^```.*?^```$", "", PAGE)  # but for its examples
ERRORS: Final = ERRORS_PAGE.read_text()
QUOTED: Final = re.compile(r"`([^`]+)`")


def rows(text: str) -> Iterator[list[str]]:
    """The cells of each row of a table, without its head."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_tables_are_those_that_the_description_makes() -> None:
    """`make api-tables` writes them anew. A section that is missing, or of no endpoint, is an error as well."""
    assert api_page(PAGE, DOCUMENT) == PAGE
    assert errors_page(ERRORS, DOCUMENT) == ERRORS


def test_an_endpoint_without_a_section_is_noticed() -> None:
    with pytest.raises(PageDiffers, match=r"/v2/$"):
        api_page(PAGE.replace("### `/v2/`", "### Is it there?"), DOCUMENT)


def test_a_table_says_what_an_endpoint_takes_gives_and_refuses() -> None:
    [section] = re.findall(r"### `/v2/{name}/manifests/{reference}`\n\n((?:\|.*\n)+)", PAGE)
    told = {method: cells for names, *cells in rows(section) for method in QUOTED.findall(names)}
    assert set(told) == SERVED["/v2/{name}/manifests/{reference}"]
    takes, gives, refuses = told["PUT"]
    assert takes == "`tag`"
    assert "201 `Location` `Docker-Content-Digest` *`OCI-Subject`*" in gives
    assert {"400", "`MANIFEST_INVALID`", "`DIGEST_INVALID`"} <= set(refuses.split("<br>")[0].split())
    assert "TOOMANYREQUESTS" not in refuses


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
