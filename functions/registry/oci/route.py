"""From a request's method, path and query to a typed route, and back to a path.

Everything in a URL is checked here, before anything is touched. Distribution-spec, "Endpoints".
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from functions.registry.oci.digest import Digest, parse_algorithm
from functions.registry.oci.errors import (
    DigestInvalid,
    EndpointUnknown,
    ManifestInvalid,
    MethodNotAllowed,
    UploadUnknown,
)
from functions.registry.oci.name import Reference, RepositoryName, Tag, parse_reference
from functions.registry.oci.page import Page

MOST_TAGS_PER_PUSH: Final = 100


@dataclass(frozen=True, slots=True)
class CheckVersion:
    """Is this a registry? (end-1)"""


@dataclass(frozen=True, slots=True)
class GetDescription:
    """What this API is, for programs (docs/api.md is for people)."""


@dataclass(frozen=True, slots=True)
class ListRepositories:
    page: Page


@dataclass(frozen=True, slots=True)
class InRepository:
    """What every route below shares."""

    repository: RepositoryName


@dataclass(frozen=True, slots=True)
class ListTags(InRepository):
    """end-8a, end-8b"""

    page: Page


@dataclass(frozen=True, slots=True)
class GetManifest(InRepository):
    """GET and HEAD (end-3)"""

    reference: Reference


@dataclass(frozen=True, slots=True)
class PutManifest(InRepository):
    """end-7; `tags` are those of `?tag=`, for a push by digest."""

    reference: Reference
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteManifest(InRepository):
    """A tag alone, or a manifest with its tags (end-9)"""

    reference: Reference


@dataclass(frozen=True, slots=True)
class GetBlob(InRepository):
    """end-2"""

    digest: Digest


@dataclass(frozen=True, slots=True)
class HeadBlob(InRepository):
    """end-2"""

    digest: Digest


@dataclass(frozen=True, slots=True)
class DeleteBlob(InRepository):
    """end-10"""

    digest: Digest


@dataclass(frozen=True, slots=True)
class StartUpload(InRepository):
    """end-4a (an upload), end-4b (`digest`: the whole blob at once), end-11 (`mount`)"""

    digest: Digest | None = None
    algorithm: str | None = None
    mount: Digest | None = None
    source: RepositoryName | None = None


@dataclass(frozen=True, slots=True)
class GetUpload(InRepository):
    """end-13"""

    upload: uuid.UUID


@dataclass(frozen=True, slots=True)
class PatchUpload(InRepository):
    """end-5"""

    upload: uuid.UUID


@dataclass(frozen=True, slots=True)
class PutUpload(InRepository):
    """end-6"""

    upload: uuid.UUID
    digest: Digest


@dataclass(frozen=True, slots=True)
class DeleteUpload(InRepository):
    """end-14"""

    upload: uuid.UUID


@dataclass(frozen=True, slots=True)
class ListReferrers(InRepository):
    """end-12a, end-12b"""

    digest: Digest
    artifact_type: str | None = None
    last: str = ""


Route = (
    CheckVersion
    | GetDescription
    | ListRepositories
    | ListTags
    | GetManifest
    | PutManifest
    | DeleteManifest
    | GetBlob
    | HeadBlob
    | DeleteBlob
    | StartUpload
    | GetUpload
    | PatchUpload
    | PutUpload
    | DeleteUpload
    | ListReferrers
)


@dataclass(frozen=True, slots=True)
class Query:
    """A query string's values, by name, in order."""

    pairs: Sequence[tuple[str, str]] = field(default=())

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.pairs if key == name), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.pairs if key == name]


Parser = Callable[[re.Match[str], Query], Route]


def _name(match: re.Match[str]) -> RepositoryName:
    return RepositoryName.parse(match["name"])


def _list_tags(match: re.Match[str], query: Query) -> Route:
    return ListTags(_name(match), Page.parse(query.get("n"), query.get("last")))


def _list_repositories(_: re.Match[str], query: Query) -> Route:
    return ListRepositories(Page.parse(query.get("n"), query.get("last")))


def _put_manifest(match: re.Match[str], query: Query) -> Route:
    tags = query.all("tag")
    if len(tags) > MOST_TAGS_PER_PUSH:
        raise ManifestInvalid(f"at most {MOST_TAGS_PER_PUSH} tags in one push")
    parsed = tuple(sorted({Tag.parse(tag) for tag in tags}))
    return PutManifest(_name(match), parse_reference(match["reference"]), parsed)


def _start_upload(match: re.Match[str], query: Query) -> Route:
    digest, algorithm = query.get("digest"), query.get("digest-algorithm")
    mount, source = query.get("mount"), query.get("from")
    return StartUpload(
        _name(match),
        digest=Digest.parse(digest) if digest is not None else None,
        algorithm=parse_algorithm(algorithm) if algorithm is not None else None,
        mount=Digest.parse(mount) if mount is not None else None,
        source=RepositoryName.parse(source) if source else None,
    )


def _upload(match: re.Match[str]) -> uuid.UUID:
    """An id that is none of ours is answered like one that has expired."""
    try:
        return uuid.UUID(match["upload"])
    except ValueError as error:
        raise UploadUnknown from error


def _put_upload(match: re.Match[str], query: Query) -> Route:
    digest = query.get("digest")
    if digest is None:
        raise DigestInvalid("the closing PUT names the blob: ?digest=ALGORITHM:HEX")
    return PutUpload(_name(match), _upload(match), Digest.parse(digest))


def _list_referrers(match: re.Match[str], query: Query) -> Route:
    digest = Digest.parse(match["digest"])
    # No type has a NUL, and a database can't be asked for one: with another character it matches nothing as well.
    artifact_type = (query.get("artifactType") or "").replace("\0", "\ufffd")
    return ListReferrers(_name(match), digest, artifact_type or None, query.get("last") or "")


# A name may itself contain `manifests`, `blobs`, … as parts: the last one divides, since `.+` takes all it can.
_ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], dict[str, Parser]]]] = (
    (re.compile(r"/v2/?"), {"GET": lambda _, __: CheckVersion()}),
    (re.compile(r"/api/openapi\.json"), {"GET": lambda _, __: GetDescription()}),
    (re.compile(r"/v2/_catalog"), {"GET": _list_repositories}),
    (re.compile(r"/v2/(?P<name>.+)/tags/list"), {"GET": _list_tags}),
    (
        re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]*)"),
        {
            "GET": lambda match, _: GetManifest(_name(match), parse_reference(match["reference"])),
            "PUT": _put_manifest,
            "DELETE": lambda match, _: DeleteManifest(_name(match), parse_reference(match["reference"])),
        },
    ),
    (re.compile(r"/v2/(?P<name>.+)/blobs/uploads/?"), {"POST": _start_upload}),
    (
        re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<upload>[^/]+)"),
        {
            "GET": lambda match, _: GetUpload(_name(match), _upload(match)),
            "PATCH": lambda match, _: PatchUpload(_name(match), _upload(match)),
            "PUT": _put_upload,
            "DELETE": lambda match, _: DeleteUpload(_name(match), _upload(match)),
        },
    ),
    (
        re.compile(r"/v2/(?P<name>.+)/blobs/(?P<digest>[^/]*)"),
        {
            "GET": lambda match, _: GetBlob(_name(match), Digest.parse(match["digest"])),
            "HEAD": lambda match, _: HeadBlob(_name(match), Digest.parse(match["digest"])),
            "DELETE": lambda match, _: DeleteBlob(_name(match), Digest.parse(match["digest"])),
        },
    ),
    (re.compile(r"/v2/(?P<name>.+)/referrers/(?P<digest>[^/]*)"), {"GET": _list_referrers}),
)


def parse(method: str, path: str, query: Query) -> Route:
    """`path` is percent-decoded. HEAD is GET's route where it has none of its own.

    Raises EndpointUnknown, MethodNotAllowed, and whatever the parts of the path and the query raise.
    """
    for pattern, parsers in _ENDPOINTS:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        parser = parsers.get(method) or (parsers.get("GET") if method == "HEAD" else None)
        if parser is None:
            raise MethodNotAllowed(_allow(parsers))
        return parser(match, query)
    raise EndpointUnknown


def _allow(parsers: dict[str, Parser]) -> tuple[str, ...]:
    return tuple(sorted({*parsers, *({"HEAD"} if "GET" in parsers else ())}))


def manifest_path(repository: RepositoryName, reference: Reference) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def blob_path(repository: RepositoryName, digest: Digest) -> str:
    return f"/v2/{repository}/blobs/{digest}"


def upload_path(repository: RepositoryName, upload: uuid.UUID) -> str:
    return f"/v2/{repository}/blobs/uploads/{upload}"
