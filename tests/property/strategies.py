"""Requests that Hypothesis makes: an endpoint's path with good and hostile parts, and whatever comes with it."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import quote, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from functions.registry.oci.digest import Digest
from tests.api.description import SERVED
from tests.property.requests import Request
from tests.support import Image
from tests.unit import strategies as parts

# What the registry holds before the requests come, so that some of them find it.
REPOSITORY: Final = "a/b"
IMAGE: Final = Image(config=b"{}", layers=(b"layer",))
TAG: Final = "v1"
# Stands for an upload that is open when the request is sent.
OPEN_UPLOAD: Final = "00000000-0000-4000-8000-000000000000"

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
HEADERS: Final = ("Content-Range", "Range", "If-None-Match", "Content-Type", "Accept", "X-Cloud-Trace-Context", "Host")
QUERY: Final = ("n", "last", "digest", "digest-algorithm", "mount", "from", "tag", "artifactType")


def _known_digests() -> SearchStrategy[str]:
    return st.sampled_from([str(IMAGE.digest), *(str(Digest.of(blob)) for blob in IMAGE.blobs)])


def _part(name: str) -> SearchStrategy[str]:
    """What may stand for a placeholder, not yet percent-encoded."""
    known: dict[str, SearchStrategy[str]] = {
        "name": st.just(REPOSITORY) | parts.repository_texts(),
        "reference": st.just(TAG) | _known_digests() | parts.tag_texts() | parts.digests().map(str),
        "digest": _known_digests() | parts.digests().map(str),
        "upload": st.just(OPEN_UPLOAD) | st.uuids().map(str),
    }
    return st.one_of(known[name], known[name], known[name], parts.hostile_texts())


@st.composite
def _paths(draw: st.DrawFn, template: str) -> str:
    safe = draw(st.sampled_from(["/:", "", "/:.%"]))
    for name in ("name", "reference", "digest", "upload"):
        if f"{{{name}}}" in template:
            template = template.replace(f"{{{name}}}", quote(draw(_part(name)), safe=safe, errors="replace"))
    return template


def _odd_paths() -> SearchStrategy[str]:
    escaped = st.binary(max_size=20).map(lambda raw: "/v2/" + "".join(f"%{byte:02x}" for byte in raw))
    return parts.hostile_paths().map(lambda path: quote(path, safe="/%", errors="replace")) | escaped


def paths() -> SearchStrategy[str]:
    served = st.one_of([_paths(template) for template in SERVED])
    return st.one_of(served, served, served, _odd_paths())


def queries() -> SearchStrategy[str]:
    values = _known_digests() | st.sampled_from([REPOSITORY, TAG, "0", "1", "sha512", "application/x", OPEN_UPLOAD])
    pairs = st.lists(st.tuples(st.sampled_from(QUERY), values | parts.hostile_texts()), max_size=4)
    return pairs.map(lambda some: urlencode(some, errors="replace")) | st.text(
        st.characters(max_codepoint=126, min_codepoint=33), max_size=30
    )


def headers() -> SearchStrategy[tuple[tuple[str, str], ...]]:
    """Values as a server lets them through: Latin-1, without line ends."""
    odd = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=40)
    ranges = st.from_regex(r"(bytes[ =])?[0-9]{0,3}-[0-9]{0,3}(/[0-9*])?", fullmatch=True)
    values = odd | ranges | parts.media_types() | st.just(f'"{IMAGE.digest}"')
    return st.dictionaries(st.sampled_from(HEADERS), values, max_size=3).map(lambda some: tuple(some.items()))


def bodies() -> SearchStrategy[bytes]:
    documents = (parts.images() | parts.indexes()).map(lambda document: json.dumps(document).encode())
    return st.just(b"") | st.binary(max_size=50) | documents | parts.hostile_payloads() | st.just(IMAGE.manifest)


def lengths() -> SearchStrategy[str | None]:
    """None is the true one."""
    return st.one_of(
        st.none(), st.none(), st.sampled_from(["chunked", "0", "1", "-1", "999", "nonsense", "", "9" * 30, "\xb2"])
    )


def requests() -> SearchStrategy[Request]:
    odd_methods = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=10)
    methods = st.sampled_from(METHODS)
    return st.builds(
        Request, st.one_of(methods, methods, methods, odd_methods), paths(), queries(), headers(), bodies(), lengths()
    )
