"""The steps of a blob's upload, spoken by hand with plain HTTP."""

import time
from typing import Final
from urllib.parse import urljoin

import requests

from tests.clients.content import digest_of
from tests.clients.remote import Repository

_SECONDS: Final = 30


def push_blob(repository: Repository, data: bytes) -> None:
    """Sends the blob in one PUT."""
    answer = finish_upload(start_upload(repository), digest_of(data), data)
    assert answer.status_code == 201, answer.text


def start_upload(repository: Repository) -> str:
    answer = requests.post(repository.url("blobs/uploads/"), timeout=_SECONDS)
    assert answer.status_code == 202, answer.text
    return urljoin(answer.url, answer.headers["Location"])


def patch_upload(location: str, piece: bytes, offset: int) -> requests.Response:
    span = f"{offset}-{offset + len(piece) - 1}"
    headers = {"Content-Range": span, "Content-Type": "application/octet-stream"}
    return requests.patch(location, data=piece, headers=headers, timeout=_SECONDS)


def finish_upload(location: str, digest: str, rest: bytes = b"") -> requests.Response:
    headers = {"Content-Type": "application/octet-stream"}
    return requests.put(location, params={"digest": digest}, data=rest, headers=headers, timeout=_SECONDS)


def next_location(answer: requests.Response) -> str:
    return urljoin(answer.url, answer.headers["Location"])


def offset_of(location: str) -> tuple[int, str]:
    """Returns how many bytes the registry has, and where to send the rest."""
    answer = requests.get(location, timeout=_SECONDS)
    assert answer.status_code == 204, answer.text
    last = int(answer.headers["Range"].rpartition("-")[2])
    return (last + 1 if last else 0), next_location(answer)


def wait_for_offset(location: str) -> tuple[int, str]:
    """What the registry has once it has noticed that the client is gone: twice the same, a moment apart."""
    deadline, seen = time.monotonic() + 10, -1
    while time.monotonic() < deadline:
        offset, following = offset_of(location)
        if offset == seen and offset > 0:
            break
        seen = offset
        time.sleep(0.3)
    return offset, following
