"""Batches of deletions: what is sent, and what is made of an answer."""

from __future__ import annotations

import pytest

from functions.registry.blobs.batch import Answer, answers, deletions

GONE = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
REFUSED = 'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\n\r\n{"error":\r\n\r\n{}}'


def mixed(*parts: str, line_end: str = "\r\n") -> bytes:
    framed = "".join(f"--b\r\nContent-Type: application/http\r\n\r\n{part}\r\n" for part in parts)
    return (framed + "--b--\r\n").replace("\r\n", line_end).encode()


def test_a_call_for_each_object_in_order() -> None:
    content_type, body = deletions("bucket", ["a", "b/c"])
    boundary = content_type.partition('boundary="')[2].rstrip('"').encode()
    parts = body.split(b"--" + boundary)
    assert [part.split(b"\r\n\r\n")[1] for part in parts[1:-1]] == [
        b"DELETE /storage/v1/b/bucket/o/a HTTP/1.1",
        b"DELETE /storage/v1/b/bucket/o/b%2Fc HTTP/1.1",
    ]
    assert parts[-1] == b"--\r\n"


@pytest.mark.parametrize("name", ["a\r\nDELETE /storage/v1/b/other/o/x HTTP/1.1", "a b", "ä", "a?x=1#y", "a%2F"])
def test_a_name_stays_within_its_line(name: str) -> None:
    _, body = deletions("bucket", [name])
    (line,) = [line for line in body.split(b"\r\n") if line.startswith(b"DELETE")]
    assert line.count(b" ") == 2
    assert not set(line) & set(b"?#\n")


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
@pytest.mark.parametrize("content_type", ["multipart/mixed; boundary=b", 'Multipart/Mixed; charset=x; boundary="b"'])
def test_each_answer_has_its_status_and_body(content_type: str, line_end: str) -> None:
    found = answers(content_type, mixed(GONE, REFUSED, line_end=line_end), 2)
    assert [answer.status for answer in found] == [204, 403]
    assert [answer.is_gone for answer in found] == [True, False]
    assert "".join(found[1].body.split()) == '{"error":{}}'


@pytest.mark.parametrize("part", ["HTTP/1.1 204", "HTTP/2 204 \r\n", "HTTP/1.1 204 No Content\r\nA: b"])
def test_an_answer_needs_no_body(part: str) -> None:
    assert answers("multipart/mixed; boundary=b", mixed(part), 1) == [Answer(204, "")]


@pytest.mark.parametrize(("status", "is_gone"), [(200, True), (299, True), (404, True), (300, False), (412, False)])
def test_what_was_not_there_is_gone(*, status: int, is_gone: bool) -> None:
    assert Answer(status, "").is_gone is is_gone


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("application/json", b"{}", "of type"),
        ("multipart/mixed", mixed(GONE), "of type"),
        ("multipart/mixed; boundary=b", b"", "0 answers to 1"),
        ("multipart/mixed; boundary=b", mixed(GONE, GONE), "2 answers to 1"),
        ("multipart/mixed; boundary=other", mixed(GONE), "0 answers to 1"),
        ("multipart/mixed; boundary=b", mixed(GONE)[:-9], "0 answers to 1"),
        ("multipart/mixed; boundary=b", mixed("SMTP 204"), "no answer of HTTP"),
        ("multipart/mixed; boundary=b", mixed("HTTP/1.1 2040 x"), "no answer of HTTP"),
        ("multipart/mixed; boundary=b", b"--b\r\n\r\n--b--\r\n", "no answer of HTTP"),
    ],
)
def test_what_is_no_answer_is_refused(content_type: str, body: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        answers(content_type, body, 1)
