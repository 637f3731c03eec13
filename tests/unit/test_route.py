"""Routes: every endpoint of the specification, and a path back for each that is given out."""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.api.dispatch import endpoints
from functions.api.route import ListMethods, Query, Route
from functions.api.v2 import routes
from functions.api.v2.paths import MOST_TAGS_PER_PUSH
from functions.api.v2.routes import blob_path, manifest_path, upload_path
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import (
    DigestInvalid,
    EndpointUnknown,
    ManifestInvalid,
    ManifestUnknown,
    MethodNotAllowed,
    NameInvalid,
    OciError,
    PageInvalid,
    UploadUnknown,
)
from functions.registry.oci.name import NAME_LENGTH, Reference, RepositoryName, Tag
from functions.registry.oci.page import Page
from tests.unit import strategies

NAME: Final = RepositoryName("team/app")
OTHER: Final = RepositoryName("other")
DIGEST: Final = Digest.of(b"content")
SHA512: Final = Digest.of(b"content", "sha512")
UPLOAD: Final = uuid.UUID("5f3c5a2e-7b0a-4d5e-9c55-0a8a2f1c9b11")
V1: Final = Tag("v1")

BLOB: Final = f"/v2/team/app/blobs/{DIGEST}"
MANIFEST: Final = "/v2/team/app/manifests"
UPLOADS: Final = "/v2/team/app/blobs/uploads/"
REFERRERS: Final = f"/v2/team/app/referrers/{DIGEST}"

Pairs = list[tuple[str, str]]


def parse(method: str, path: str, query: Query) -> Route:
    return endpoints().match(method, path, query)[1]


ENDPOINTS: Final[list[tuple[str, str, Pairs, Route]]] = [
    ("GET", "/v2/", [], routes.CheckVersion()),
    ("GET", "/v2", [], routes.CheckVersion()),
    ("HEAD", "/v2/", [], routes.CheckVersion()),
    ("GET", "/v2/_catalog", [], routes.ListRepositories(Page())),
    ("GET", "/v2/_catalog", [("n", "5"), ("last", "a/b")], routes.ListRepositories(Page(5, "a/b"))),
    ("GET", "/v2/team/app/tags/list", [], routes.ListTags(NAME, Page())),
    ("GET", "/v2/team/app/tags/list", [("n", "0")], routes.ListTags(NAME, Page(0))),
    ("GET", "/v2/team/app/tags/list", [("last", "v1")], routes.ListTags(NAME, Page(last="v1"))),
    ("GET", f"{MANIFEST}/v1", [], routes.GetManifest(NAME, V1)),
    ("HEAD", f"{MANIFEST}/v1", [], routes.GetManifest(NAME, V1)),
    ("GET", f"{MANIFEST}/{DIGEST}", [], routes.GetManifest(NAME, DIGEST)),
    ("PUT", f"{MANIFEST}/v1", [], routes.PutManifest(NAME, V1)),
    (
        "PUT",
        f"{MANIFEST}/{SHA512}",
        [("tag", "b"), ("tag", "a")],
        routes.PutManifest(NAME, SHA512, (Tag("a"), Tag("b"))),
    ),
    ("PUT", f"{MANIFEST}/{DIGEST}", [("tag", "a"), ("tag", "a")], routes.PutManifest(NAME, DIGEST, (Tag("a"),))),
    ("DELETE", f"{MANIFEST}/v1", [], routes.DeleteManifest(NAME, V1)),
    ("DELETE", f"{MANIFEST}/{DIGEST}", [], routes.DeleteManifest(NAME, DIGEST)),
    ("GET", BLOB, [], routes.GetBlob(NAME, DIGEST)),
    ("HEAD", BLOB, [], routes.HeadBlob(NAME, DIGEST)),
    ("DELETE", BLOB, [], routes.DeleteBlob(NAME, DIGEST)),
    ("GET", f"/v2/team/app/blobs/{SHA512}", [], routes.GetBlob(NAME, SHA512)),
    ("POST", UPLOADS, [], routes.StartUpload(NAME)),
    ("POST", UPLOADS.rstrip("/"), [], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("digest", str(DIGEST))], routes.StartUpload(NAME, digest=DIGEST)),
    ("POST", UPLOADS, [("digest-algorithm", "sha512")], routes.StartUpload(NAME, algorithm="sha512")),
    (
        "POST",
        UPLOADS,
        [("mount", str(DIGEST)), ("from", "other")],
        routes.StartUpload(NAME, mount=DIGEST, source=OTHER),
    ),
    ("POST", UPLOADS, [("mount", "latest"), ("from", str(OTHER))], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", "sha256:abc"), ("from", str(OTHER))], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", "md5:00")], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", ""), ("from", str(OTHER))], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", str(DIGEST)), ("from", "Upper/Case")], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", str(DIGEST)), ("from", "registry.example:5000/a/b")], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", str(DIGEST)), ("from", "a" * 256)], routes.StartUpload(NAME)),
    ("POST", UPLOADS, [("mount", str(DIGEST))], routes.StartUpload(NAME, mount=DIGEST)),
    ("POST", UPLOADS, [("mount", str(DIGEST)), ("from", "")], routes.StartUpload(NAME, mount=DIGEST)),
    ("GET", f"{UPLOADS}{UPLOAD}", [], routes.GetUpload(NAME, UPLOAD)),
    ("HEAD", f"{UPLOADS}{UPLOAD}", [], routes.GetUpload(NAME, UPLOAD)),
    ("PATCH", f"{UPLOADS}{UPLOAD}", [], routes.PatchUpload(NAME, UPLOAD)),
    ("PUT", f"{UPLOADS}{UPLOAD}", [("digest", str(DIGEST))], routes.PutUpload(NAME, UPLOAD, DIGEST)),
    (
        "PUT",
        f"{UPLOADS}{UPLOAD}",
        [("_state", ""), ("digest", str(DIGEST))],
        routes.PutUpload(NAME, UPLOAD, DIGEST),
    ),
    ("PUT", f"{UPLOADS}{UPLOAD}", [("_state", f"?digest={DIGEST}")], routes.PutUpload(NAME, UPLOAD, DIGEST)),
    ("PUT", f"{UPLOADS}{UPLOAD}", [("_state", f"?a=b&digest={DIGEST}")], routes.PutUpload(NAME, UPLOAD, DIGEST)),
    ("DELETE", f"{UPLOADS}{UPLOAD}", [], routes.DeleteUpload(NAME, UPLOAD)),
    ("GET", REFERRERS, [], routes.ListReferrers(NAME, DIGEST)),
    ("GET", REFERRERS, [("artifactType", "a/b")], routes.ListReferrers(NAME, DIGEST, "a/b")),
    ("GET", REFERRERS, [("artifactType", ""), ("last", "x")], routes.ListReferrers(NAME, DIGEST, None, "x")),
]
REFUSED: Final[list[tuple[str, str, Pairs, type[OciError]]]] = [
    ("GET", "/", [], EndpointUnknown),
    ("GET", "", [], EndpointUnknown),
    ("GET", "/v1/", [], EndpointUnknown),
    ("GET", "/v2/team/app", [], EndpointUnknown),
    ("GET", "/v2/tags/list", [], EndpointUnknown),
    ("GET", f"/v2/blobs/{DIGEST}", [], EndpointUnknown),
    ("GET", "/v2/team/app/tags/list/", [], EndpointUnknown),
    ("GET", f"{MANIFEST}/a/b", [], EndpointUnknown),
    ("GET", f"{UPLOADS}{UPLOAD}/more", [], EndpointUnknown),
    ("GET", "/V2/_catalog", [], EndpointUnknown),
    ("GET", "/v2/_catalog\n", [], EndpointUnknown),
    *(
        (method, f"{MANIFEST}/{tag}", [], error)
        for method, error in (
            ("GET", ManifestUnknown),
            ("HEAD", ManifestUnknown),
            ("PUT", ManifestInvalid),
            ("DELETE", ManifestInvalid),
        )
        for tag in ("v1\n", "", ".hidden", "-a", "latest+1", "a b", "é", "a\0", "x" * 129)
    ),
    ("GET", f"{MANIFEST}/sha256:xyz", [], DigestInvalid),
    ("PUT", f"{MANIFEST}/sha256:xyz", [], DigestInvalid),
    ("PUT", f"{MANIFEST}/{DIGEST}", [("tag", "a"), ("tag", "b/c")], ManifestInvalid),
    ("PUT", f"{MANIFEST}/{DIGEST}", [("tag", "")], ManifestInvalid),
    ("GET", "/v2/team/app/blobs/sha256:xyz", [], DigestInvalid),
    ("GET", "/v2/team/app/blobs/", [], DigestInvalid),
    ("DELETE", "/v2/team/app/blobs/latest", [], DigestInvalid),
    ("GET", "/v2/Team/tags/list", [], NameInvalid),
    ("GET", f"/v2/team//app/blobs/{DIGEST}", [], NameInvalid),
    ("GET", f"/v2/../app/blobs/{DIGEST}", [], NameInvalid),
    ("GET", f"/v2//blobs/{DIGEST}", [], EndpointUnknown),
    ("GET", "/v2/team/_app/tags/list", [], NameInvalid),
    ("POST", UPLOADS, [("digest", "sha256:xyz")], DigestInvalid),
    ("POST", UPLOADS, [("digest", "")], DigestInvalid),
    ("POST", UPLOADS, [("digest-algorithm", "md5")], DigestInvalid),
    ("PUT", f"{UPLOADS}{UPLOAD}", [], DigestInvalid),
    ("PUT", f"{UPLOADS}{UPLOAD}", [("digest", "sha1:00")], DigestInvalid),
    ("PUT", f"{UPLOADS}{UPLOAD}", [("_state", "?digest=sha1:00")], DigestInvalid),
    ("PUT", f"{UPLOADS}{UPLOAD}", [("_state", "?dig=" + str(DIGEST))], DigestInvalid),
    ("GET", f"{UPLOADS}not-an-id", [], UploadUnknown),
    ("PATCH", f"{UPLOADS}{UPLOAD}0", [], UploadUnknown),
    ("GET", "/v2/team/app/tags/list", [("n", "many")], PageInvalid),
    ("GET", "/v2/_catalog", [("n", "-1")], PageInvalid),
    ("GET", "/v2/team/app/referrers/latest", [], DigestInvalid),
]
ALLOWED: Final = {
    "/v2/": ("GET", "HEAD"),
    "/v2/_catalog": ("GET", "HEAD"),
    "/v2/team/app/tags/list": ("GET", "HEAD"),
    f"{MANIFEST}/v1": ("DELETE", "GET", "HEAD", "PUT"),
    BLOB: ("DELETE", "GET", "HEAD"),
    UPLOADS: ("POST",),
    f"{UPLOADS}{UPLOAD}": ("DELETE", "GET", "HEAD", "PATCH", "PUT"),
    REFERRERS: ("GET", "HEAD"),
}
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "get", "")


@pytest.mark.parametrize(("method", "path", "pairs", "expected"), ENDPOINTS)
def test_every_endpoint_is_parsed_whole(method: str, path: str, pairs: Pairs, expected: Route) -> None:
    assert parse(method, path, Query(pairs)) == expected


@pytest.mark.parametrize(("method", "path", "pairs", "error"), REFUSED)
def test_whatever_is_wrong_with_a_request_is_named(method: str, path: str, pairs: Pairs, error: type[OciError]) -> None:
    with pytest.raises(OciError) as refusal:
        parse(method, path, Query(pairs))
    assert type(refusal.value) is error


@pytest.mark.parametrize(("path", "allowed"), ALLOWED.items())
def test_a_method_that_an_endpoint_lacks_is_refused_with_those_it_has(path: str, allowed: tuple[str, ...]) -> None:
    for method in METHODS:
        if method in allowed:
            continue
        with pytest.raises(MethodNotAllowed) as refusal:
            parse(method, path, Query())
        assert refusal.value.allow == allowed
    assert parse("OPTIONS", path, Query()) == ListMethods(allowed)


def test_the_first_of_several_values_counts() -> None:
    route = parse("GET", "/v2/_catalog", Query([("n", "1"), ("n", "2"), ("N", "3")]))
    assert route == routes.ListRepositories(Page(1))


def test_more_tags_than_allowed_are_refused() -> None:
    def push(count: int) -> Route:
        return parse("PUT", f"{MANIFEST}/{DIGEST}", Query([("tag", f"t{number}") for number in range(count)]))

    accepted = push(MOST_TAGS_PER_PUSH)
    assert isinstance(accepted, routes.PutManifest)
    assert len(accepted.tags) == MOST_TAGS_PER_PUSH
    with pytest.raises(ManifestInvalid):
        push(MOST_TAGS_PER_PUSH + 1)


@pytest.mark.parametrize(
    "name",
    [
        "blobs",
        "uploads",
        "manifests",
        "tags",
        "list",
        "tags/list",
        "a/blobs",
        "a/blobs/uploads",
        "blobs/uploads",
        "a/manifests/b",
        "manifests/tags/list",
        "a/referrers",
        f"a/blobs/uploads/{UPLOAD}",
        "v2",
    ],
)
def test_a_name_may_be_made_of_the_words_around_it(name: str) -> None:
    repository = RepositoryName.parse(name)
    assert parse("GET", blob_path(repository, DIGEST), Query()) == routes.GetBlob(repository, DIGEST)
    assert parse("PATCH", upload_path(repository, UPLOAD), Query()) == routes.PatchUpload(repository, UPLOAD)
    for reference in (V1, Tag("list"), Tag("uploads"), DIGEST):
        expected = routes.GetManifest(repository, reference)
        assert parse("GET", manifest_path(repository, reference), Query()) == expected
    assert parse("GET", f"/v2/{name}/tags/list", Query()) == routes.ListTags(repository, Page())
    assert parse("POST", f"/v2/{name}/blobs/uploads/", Query()) == routes.StartUpload(repository)
    assert parse("GET", f"/v2/{name}/referrers/{DIGEST}", Query()) == routes.ListReferrers(repository, DIGEST)


@given(strategies.repositories(), strategies.references())
def test_a_manifests_path_leads_back_to_it(repository: RepositoryName, reference: Reference) -> None:
    assert parse("GET", manifest_path(repository, reference), Query()) == routes.GetManifest(repository, reference)


@given(strategies.repositories(), strategies.digests())
def test_a_blobs_path_leads_back_to_it(repository: RepositoryName, digest: Digest) -> None:
    assert parse("GET", blob_path(repository, digest), Query()) == routes.GetBlob(repository, digest)


@given(strategies.repositories(), st.uuids())
def test_an_uploads_path_leads_back_to_it(repository: RepositoryName, upload: uuid.UUID) -> None:
    assert parse("GET", upload_path(repository, upload), Query()) == routes.GetUpload(repository, upload)


@given(
    st.sampled_from(METHODS),
    strategies.hostile_paths() | strategies.hostile_texts(),
    st.lists(
        st.tuples(
            st.sampled_from(("n", "last", "digest", "tag", "mount", "from", "artifactType", "digest-algorithm")),
            strategies.hostile_texts() | strategies.digests().map(str),
        ),
        max_size=4,
    ),
)
def test_any_request_is_parsed_or_refused(method: str, path: str, pairs: Pairs) -> None:
    try:
        route = parse(method, path, Query(pairs))
    except OciError:
        return
    repository = getattr(route, "repository", None)
    assert repository is None or RepositoryName.parse(repository) == repository


@pytest.mark.parametrize("unit", ["a/", "a.", "/manifests", "/blobs/uploads/", "/tags/list", "/referrers/a", "//", "%"])
def test_a_hostile_path_costs_no_more_than_a_good_one(unit: str) -> None:
    for length in (NAME_LENGTH, 10_000):
        for end in ("", "!", "/manifests/v1", f"/blobs/{DIGEST}"):
            started = time.thread_time()
            with suppress(OciError):
                parse("GET", "/v2/" + (unit * length)[:length] + end, Query())
            assert time.thread_time() - started < 0.05
