"""From a request's method, path and query to a typed route.

Everything in a URL is checked here, before anything is touched.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl

from functions.registry.oci import (
    activity_routing,
    administration_routing,
    gitlab_routing,
    insights_routing,
    upkeep_routing,
)
from functions.registry.oci.digest import Digest, parse_algorithm
from functions.registry.oci.errors import (
    DigestInvalid,
    EndpointUnknown,
    ManifestInvalid,
    ManifestUnknown,
    MethodNotAllowed,
    NameInvalid,
    UploadUnknown,
)
from functions.registry.oci.name import Reference, RepositoryName, Tag, parse_reference
from functions.registry.oci.page import Page
from functions.registry.oci.route import (
    CheckVersion,
    DeleteBlob,
    DeleteManifest,
    DeleteUpload,
    GetBlob,
    GetCollection,
    GetDescription,
    GetKeySet,
    GetManifest,
    GetToken,
    GetUpload,
    HeadBlob,
    ListMethods,
    ListReferrers,
    ListRepositories,
    ListTags,
    PatchUpload,
    PostToken,
    PreviewCollection,
    PutManifest,
    PutUpload,
    Query,
    Route,
    StartUpload,
)

MOST_TAGS_PER_PUSH: Final = 100
# GitLab asks for so many, and follows no link.
MOST_TAGS: Final = 10_000

Parser = Callable[[re.Match[str], Query], Route]


def _name(match: re.Match[str]) -> RepositoryName:
    return RepositoryName.parse(match["name"])


def _get_token(_: re.Match[str], query: Query) -> Route:
    return GetToken(
        service=query.get("service") or "",
        scopes=tuple(query.all("scope")),
        account=query.get("account"),
        wants_refresh=query.get("offline_token") == "true" or query.get("access_type") == "offline",
    )


def _list_tags(match: re.Match[str], query: Query) -> Route:
    return ListTags(_name(match), Page.parse(query.get("n"), query.get("last"), MOST_TAGS))


def _list_repositories(_: re.Match[str], query: Query) -> Route:
    return ListRepositories(Page.parse(query.get("n"), query.get("last")))


def _get_manifest(match: re.Match[str], _: Query) -> Route:
    return GetManifest(_name(match), _reference_to_read(match["reference"]))


def _reference_to_read(text: str) -> Reference:
    """What can be no tag is none that is here."""
    try:
        return parse_reference(text)
    except ManifestInvalid as error:
        raise ManifestUnknown(reference=text[:200]) from error


def _put_manifest(match: re.Match[str], query: Query) -> Route:
    tags = query.all("tag")
    if len(tags) > MOST_TAGS_PER_PUSH:
        raise ManifestInvalid(f"at most {MOST_TAGS_PER_PUSH} tags in one push")
    parsed = tuple(sorted({Tag.parse(tag) for tag in tags}))
    return PutManifest(_name(match), parse_reference(match["reference"]), parsed)


def _start_upload(match: re.Match[str], query: Query) -> Route:
    digest, algorithm = query.get("digest"), query.get("digest-algorithm")
    mount, source = _mount(query)
    return StartUpload(
        _name(match),
        digest=Digest.parse(digest) if digest is not None else None,
        algorithm=parse_algorithm(algorithm) if algorithm is not None else None,
        mount=mount,
        source=source,
    )


def _mount(query: Query) -> tuple[Digest | None, RepositoryName | None]:
    """Which blob, and from where. One that can't be made is none: whatever the reason, an upload is open instead."""
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


def _put_upload(match: re.Match[str], query: Query) -> Route:
    digest = query.get("digest") or _appended(query).get("digest")
    if digest is None:
        raise DigestInvalid("the closing PUT names the blob: ?digest=ALGORITHM:HEX")
    return PutUpload(_name(match), _upload(match), Digest.parse(digest))


def _appended(query: Query) -> dict[str, str]:
    """What a client added to an upload's Location with another `?`, as if that had no query: it ends in `_state=`."""
    return dict(parse_qsl((query.get("_state") or "").removeprefix("?")))


def _list_referrers(match: re.Match[str], query: Query) -> Route:
    digest = Digest.parse(match["digest"])
    # No type has a NUL, and a database can't be asked for one: with another character it matches nothing as well.
    artifact_type = (query.get("artifactType") or "").replace("\0", "\ufffd")
    return ListReferrers(_name(match), digest, artifact_type or None, query.get("last") or "")


# A name may itself contain `manifests`, `blobs`, … as parts: the last one divides, since `.+` takes all it can.
_ENDPOINTS: Final[Sequence[tuple[re.Pattern[str], Mapping[str, Parser | None]]]] = (
    (re.compile(r"/v2/?"), {"GET": lambda _, __: CheckVersion()}),
    (re.compile(r"/api/openapi\.json"), {"GET": lambda _, __: GetDescription()}),
    (re.compile(r"/token"), {"GET": _get_token, "POST": lambda _, __: PostToken()}),
    (re.compile(r"/\.well-known/jwks\.json"), {"GET": lambda _, __: GetKeySet()}),
    (re.compile(r"/api/v1/collection"), {"GET": lambda _, __: GetCollection()}),
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)/-/collection"),
        {"GET": lambda match, _: PreviewCollection(_name(match))},
    ),
    (re.compile(r"/v2/_catalog"), {"GET": _list_repositories}),
    (re.compile(r"/v2/(?P<name>.+)/tags/list"), {"GET": _list_tags}),
    (
        re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]*)"),
        {
            "GET": _get_manifest,
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
    *administration_routing.ENDPOINTS,
    *insights_routing.ENDPOINTS,
    *activity_routing.ENDPOINTS,
    *upkeep_routing.ENDPOINTS,
    # Behind all paths below a repository's, since `.+` takes all it can.
    (
        re.compile(r"/api/v1/repositories/(?P<name>.+)"),
        {**insights_routing.OF_REPOSITORY, **upkeep_routing.OF_REPOSITORY},
    ),
    *gitlab_routing.ENDPOINTS,
)


def parse(method: str, path: str, query: Query) -> Route:
    """`path` is percent-decoded. HEAD is GET's route where it has none of its own, and isn't kept out by a None.

    Raises EndpointUnknown, MethodNotAllowed, and whatever the parts of the path and the query raise.
    """
    for pattern, parsers in _ENDPOINTS:
        match = pattern.fullmatch(path)
        if match is None:
            continue
        if method == "OPTIONS":
            return ListMethods(_allow(parsers))
        parser = parsers.get("GET" if method == "HEAD" and "HEAD" not in parsers else method)
        if parser is None:
            raise MethodNotAllowed(_allow(parsers))
        return parser(match, query)
    raise EndpointUnknown


def _allow(parsers: Mapping[str, Parser | None]) -> tuple[str, ...]:
    has_head = "GET" in parsers and "HEAD" not in parsers
    methods = {method for method, parser in parsers.items() if parser is not None}
    return tuple(sorted(methods | ({"HEAD"} if has_head else set())))
