"""The paths of the OCI Distribution API, and the parsers that make routes of them.

Everything in a URL is checked here, before anything is touched.
"""

from __future__ import annotations

import re
import uuid
from typing import Final
from urllib.parse import parse_qsl

from functions.api.route import NAME, Query, Route, name_in, page_of
from functions.api.v2.routes import (
    DeleteBlob,
    DeleteManifest,
    DeleteUpload,
    GetBlob,
    GetManifest,
    GetUpload,
    HeadBlob,
    ListReferrers,
    ListRepositories,
    ListTags,
    PatchUpload,
    PutManifest,
    PutUpload,
    StartUpload,
)
from functions.registry.oci.digest import Digest, parse_algorithm
from functions.registry.oci.errors import DigestInvalid, ManifestInvalid, ManifestUnknown, NameInvalid, UploadUnknown
from functions.registry.oci.name import Reference, RepositoryName, Tag, parse_reference
from functions.registry.oci.page import Page

VERSION: Final = r"/v2/?"
CATALOG: Final = r"/v2/_catalog"
TAGS: Final = rf"/v2/{NAME}/tags/list"
MANIFEST: Final = rf"/v2/{NAME}/manifests/(?P<reference>[^/]*)"
UPLOADS: Final = rf"/v2/{NAME}/blobs/uploads/?"
UPLOAD: Final = rf"/v2/{NAME}/blobs/uploads/(?P<upload>[^/]+)"
BLOB: Final = rf"/v2/{NAME}/blobs/(?P<digest>[^/]*)"
REFERRERS: Final = rf"/v2/{NAME}/referrers/(?P<digest>[^/]*)"

MOST_TAGS_PER_PUSH: Final = 100
# GitLab asks for so many, and follows no link.
MOST_TAGS: Final = 10_000


def list_tags(match: re.Match[str], query: Query) -> Route:
    return ListTags(name_in(match), Page.parse(query.get("n"), query.get("last"), MOST_TAGS))


def list_repositories(_: re.Match[str], query: Query) -> Route:
    return ListRepositories(page_of(query))


def put_manifest(match: re.Match[str], query: Query) -> Route:
    tags = query.all("tag")
    if len(tags) > MOST_TAGS_PER_PUSH:
        raise ManifestInvalid(f"at most {MOST_TAGS_PER_PUSH} tags in one push")
    parsed = tuple(sorted({Tag.parse(tag) for tag in tags}))
    return PutManifest(name_in(match), parse_reference(match["reference"]), parsed)


def start_upload(match: re.Match[str], query: Query) -> Route:
    digest, algorithm = query.get("digest"), query.get("digest-algorithm")
    mount, source = _mount(query)
    return StartUpload(
        name_in(match),
        digest=Digest.parse(digest) if digest is not None else None,
        algorithm=parse_algorithm(algorithm) if algorithm is not None else None,
        mount=mount,
        source=source,
    )


def _mount(query: Query) -> tuple[Digest | None, RepositoryName | None]:
    """Reads which blob is to be mounted, and from where. A mount that can't be made is none: an upload is opened."""
    mount, source = query.get("mount"), query.get("from")
    try:
        return Digest.parse(mount or ""), RepositoryName.parse(source) if source else None
    except (DigestInvalid, NameInvalid):
        return None, None


def _upload(match: re.Match[str]) -> uuid.UUID:
    """An id that is none of ours is answered like one that has expired."""
    try:
        return uuid.UUID(match["upload"])
    except ValueError as error:
        raise UploadUnknown from error


def put_upload(match: re.Match[str], query: Query) -> Route:
    digest = query.get("digest") or _appended(query).get("digest")
    if digest is None:
        raise DigestInvalid("the closing PUT names the blob: ?digest=ALGORITHM:HEX")
    return PutUpload(name_in(match), _upload(match), Digest.parse(digest))


def _appended(query: Query) -> dict[str, str]:
    """Reads what a client added to an upload's Location with another `?`, as if that had no query."""
    return dict(parse_qsl((query.get("_state") or "").removeprefix("?")))


def list_referrers(match: re.Match[str], query: Query) -> Route:
    digest = Digest.parse(match["digest"])
    # No type has a NUL, and a database can't be asked for one: with another character it matches nothing as well.
    artifact_type = (query.get("artifactType") or "").replace("\0", "\ufffd")
    return ListReferrers(name_in(match), digest, artifact_type or None, query.get("last") or "")


def get_manifest(match: re.Match[str], _: Query) -> Route:
    return GetManifest(name_in(match), _reference_to_read(match["reference"]))


def _reference_to_read(text: str) -> Reference:
    """Reads a reference to get: what can't be a tag is none that is here. Raises ManifestUnknown and DigestInvalid."""
    try:
        return parse_reference(text)
    except ManifestInvalid as error:
        raise ManifestUnknown(reference=text[:200]) from error


def delete_manifest(match: re.Match[str], _: Query) -> Route:
    return DeleteManifest(name_in(match), parse_reference(match["reference"]))


def get_upload(match: re.Match[str], _: Query) -> Route:
    return GetUpload(name_in(match), _upload(match))


def patch_upload(match: re.Match[str], _: Query) -> Route:
    return PatchUpload(name_in(match), _upload(match))


def delete_upload(match: re.Match[str], _: Query) -> Route:
    return DeleteUpload(name_in(match), _upload(match))


def get_blob(match: re.Match[str], _: Query) -> Route:
    return GetBlob(name_in(match), Digest.parse(match["digest"]))


def head_blob(match: re.Match[str], _: Query) -> Route:
    return HeadBlob(name_in(match), Digest.parse(match["digest"]))


def delete_blob(match: re.Match[str], _: Query) -> Route:
    return DeleteBlob(name_in(match), Digest.parse(match["digest"]))
