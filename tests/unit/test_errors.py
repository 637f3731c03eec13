"""Errors (distribution-spec, "Error Codes"): each has a code, a status, and one way to be rendered."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

import pytest

from functions.api.web import responses
from functions.registry.oci import errors
from functions.registry.oci.errors import OciError

# Distribution-spec, "Error Codes"; then what it does not list, but registries in use send; then our own API's.
CODES: Final = {
    *("BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN"),
    *("MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED"),
    *("DENIED", "UNSUPPORTED", "TOOMANYREQUESTS"),
    *("RANGE_INVALID", "PAGINATION_NUMBER_INVALID", "UNKNOWN"),
    *("INVALID_PARAMETER", "NOT_FOUND", "CONFLICT", "NAME_CONFLICT"),
}
# What is raised is one of its children.
WITHOUT_STATUS: Final[set[type[errors.OciError]]] = {errors.InUse}


def subclasses(parent: type[OciError] = OciError) -> set[type[OciError]]:
    """Those of errors.py: tests may make some of their own."""
    found = {child for child in parent.__subclasses__() if child.__module__ == errors.__name__}
    return found.union(*map(subclasses, found))


def body_of(error: OciError) -> Any:
    response = responses.refused(error)
    assert response.content_type == "application/json"
    return json.loads(response.get_data())


def test_every_error_has_a_status_that_says_who_is_at_fault() -> None:
    assert subclasses() - WITHOUT_STATUS <= set(responses.STATUSES)
    assert all(400 <= status < 500 for status in responses.STATUSES.values())


@pytest.mark.parametrize("error", sorted({OciError, *subclasses()}, key=str))
def test_every_error_has_a_code_in_upper_case_and_a_message(error: type[OciError]) -> None:
    assert error.code in CODES
    assert error.code == error.code.upper()
    assert error.message
    assert error.message == error.message.strip()


def test_every_error_but_the_root_says_more_than_unknown() -> None:
    assert {error for error in subclasses() if error.code == OciError.code} == set()


def test_an_answer_has_the_code_the_message_and_no_empty_detail() -> None:
    assert body_of(errors.NameUnknown()) == {
        "errors": [{"code": "NAME_UNKNOWN", "message": "repository name not known to registry"}]
    }


def test_a_reason_takes_the_messages_place_and_the_detail_is_shown() -> None:
    error = errors.ManifestBlobUnknown("these are missing", digests=["sha256:a", "sha256:b"], count=2)
    assert body_of(error) == {
        "errors": [
            {
                "code": "MANIFEST_BLOB_UNKNOWN",
                "message": "these are missing",
                "detail": {"digests": ["sha256:a", "sha256:b"], "count": 2},
            }
        ]
    }
    assert str(error) == "these are missing"


def test_odd_characters_in_a_detail_arrive_as_they_were() -> None:
    text = 'é🐳"\\\n\x01\u2028</script>'
    [entry] = body_of(errors.NameInvalid(name=text))["errors"]
    assert entry["detail"] == {"name": text}


@pytest.mark.parametrize(("error", "status"), responses.STATUSES.items())
def test_every_error_is_rendered_with_its_status(error: type[OciError], status: HTTPStatus) -> None:
    response = responses.refused(_any(error))
    assert response.status_code == status
    [entry] = json.loads(response.get_data())["errors"]
    assert entry["code"] == error.code


def _any(error: type[OciError]) -> OciError:
    match error:
        case errors.UploadOutOfOrder:
            return errors.UploadOutOfOrder(10, "/v2/a/blobs/uploads/1")
        case errors.RangeInvalid:
            return errors.RangeInvalid(10)
        case errors.MethodNotAllowed:
            return errors.MethodNotAllowed(("GET", "HEAD"))
        case errors.Unauthorized:
            return errors.Unauthorized("sign in", 'Bearer realm="https://registry.example/token"')
        case errors.TooManyRequests:
            return errors.TooManyRequests("wait", 3)
    return error(["sha256:a", "sha256:b"]) if issubclass(error, errors.InUse) else error()


def test_who_has_to_sign_in_is_told_where_and_who_has_to_wait_how_long() -> None:
    challenge = 'Bearer realm="https://registry.example/token"'
    assert responses.refused(errors.Unauthorized("x", challenge)).headers["WWW-Authenticate"] == challenge
    assert responses.refused(errors.TooManyRequests("x", 3)).headers["Retry-After"] == "3"


def test_a_chunk_out_of_order_is_told_where_the_upload_stands() -> None:
    response = responses.refused(errors.UploadOutOfOrder(10, "/v2/a/blobs/uploads/1"))
    assert response.status_code == 416
    assert response.headers["Location"] == "/v2/a/blobs/uploads/1"
    assert response.headers["Range"] == "0-9"


@pytest.mark.parametrize(("received", "expected"), [(0, "0-0"), (1, "0-0"), (2, "0-1"), (1 << 40, "0-1099511627775")])
def test_an_uploads_range_ends_with_its_last_byte(received: int, expected: str) -> None:
    assert responses.upload_range(received) == expected


def test_a_range_outside_a_blob_is_told_the_blobs_size() -> None:
    assert responses.refused(errors.RangeInvalid(10)).headers["Content-Range"] == "bytes */10"


def test_a_method_that_is_not_allowed_is_told_those_that_are() -> None:
    assert responses.refused(errors.MethodNotAllowed(("GET", "HEAD"))).headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("error", [errors.BlobReferenced, errors.ManifestReferenced])
def test_what_is_in_use_is_told_by_what_and_what_to_delete_first(error: type[errors.InUse]) -> None:
    response = responses.refused(error(["sha256:a"]))
    assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD")
    [entry] = json.loads(response.get_data())["errors"]
    assert (entry["code"], entry["detail"]) == ("UNSUPPORTED", {"manifests": ["sha256:a"]})
    assert "sha256:a: delete that first" in entry["message"]
    assert "sha256:a and others: delete those first" in str(error(["sha256:a", "sha256:b"]))


def test_half_of_a_surrogate_pair_makes_no_fault_of_an_answer() -> None:
    for document in ("\ud800", {"\udfff": ["a\ud83d"]}):
        assert json.loads(responses.json_response(document).get_data()) == json.loads(
            json.dumps(document, ensure_ascii=False).encode(errors="replace")
        )


def test_a_dependency_that_is_down_asks_the_client_to_come_back() -> None:
    response = responses.unavailable()
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert json.loads(response.get_data())["errors"][0]["code"] == "UNKNOWN"


def test_a_fault_of_ours_shows_nothing_of_itself() -> None:
    response = responses.failed()
    assert response.status_code == 500
    assert json.loads(response.get_data()) == {"errors": [{"code": "UNKNOWN", "message": "unknown error"}]}


def test_an_empty_answer_has_no_content_type() -> None:
    response = responses.empty(HTTPStatus.ACCEPTED, {"Location": "/v2/"})
    assert response.status_code == 202
    assert response.get_data() == b""
    assert "Content-Type" not in response.headers
    assert response.headers["Location"] == "/v2/"
