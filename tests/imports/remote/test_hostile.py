"""A registry that means harm, or is broken: everything it answers has an end, and one bad thing stops nothing else."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from functions.migrate.imports.remote import lists
from functions.migrate.imports.remote.client import Remote
from functions.migrate.imports.remote.errors import (
    AnswerInvalid,
    RemoteRefused,
    RemoteResting,
    RemoteUnavailable,
)
from functions.migrate.imports.remote.rate import Rate
from functions.registry.auth.source_credentials import Credentials
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag
from tests.imports.remote.conftest import Copying
from tests.imports.remote.other_registry import Other, serve
from tests.support import Image, Registry, encode, index_of
from tests.surroundings import require_localhost


def test_what_was_meant_for_the_registry_goes_nowhere_else(copying: Copying, other: Other, registry: Registry) -> None:
    require_localhost()
    with serve() as elsewhere:
        other.username, other.secret, other.uses_basic = "reader", "s3cret", True
        image = other.hold_image("a/b", "v1")
        elsewhere.hold_image("a/b", image=image)
        other.redirects_blobs_to = elsewhere.address.replace("127.0.0.1", "localhost")
        copying.run("a/b", remote=copying.remote(credentials=Credentials("reader", "s3cret")))
        assert registry.get("/v2/a/b/manifests/v1").status_code == 200
        assert elsewhere.asked
        assert {authorization for _, authorization in elsewhere.authorizations} == {None}


def test_a_redirect_to_an_address_that_is_not_public_is_not_followed(copying: Copying, other: Other) -> None:
    other.hold_image("a/b", "v1")
    for place in ("http://169.254.169.254", "https://10.0.0.1", "http://localhost:1", "ftp://example.com"):
        other.redirects_blobs_to = place
        with pytest.raises(RemoteRefused):
            copying.run("a/b", remote=copying.remote(private_hosts={"127.0.0.1"}))


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com",
        "http://127.0.0.1",
        "https://127.0.0.1",
        "https://localhost",
        "https://[::1]",
        "https://169.254.169.254",
        "https://[::ffff:10.0.0.1]",
        "https://user:secret@example.com",
        "file:///etc/passwd",
        "https://",
    ],
)
def test_addresses_that_nobody_allowed_are_not_asked(address: str) -> None:
    if "localhost" in address:
        require_localhost()
    remote = Remote(address, Credentials(), Rate(""), until=time.monotonic() + 5)
    with pytest.raises(RemoteRefused):
        remote.greet()


def test_a_network_of_ones_own_is_asked_by_name_only() -> None:
    remote = Remote("https://10.0.0.1", Credentials(), Rate(""), until=time.monotonic() + 5, private_hosts={"registry"})
    with pytest.raises(RemoteRefused, match="SLIPWAY_PRIVATE_SOURCES"):
        remote.greet()


@pytest.mark.parametrize("mood", ["flood", "drip", "loop", "page_for_people"])
def test_lists_have_an_end(copying: Copying, other: Other, mood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_LARGEST_PAGE", 1 << 20)
    other.odd["/tags/list"] = other.odd["_catalog"] = lambda handler: getattr(handler, mood)()
    remote = copying.remote(seconds=2)
    started = time.monotonic()
    for names in (lists.tags(remote, "a/b"), lists.catalog_pages(remote, lists.catalog_path())):
        with pytest.raises((AnswerInvalid, RemoteUnavailable)):
            list(names)
    assert time.monotonic() - started < 10
    remote.close()


@pytest.mark.parametrize(
    ("link", "content"),
    [
        ("<http://169.254.169.254/v2/_catalog?last=b>", b'{"repositories": ["a"]}'),
        ("</metadata>", b'{"repositories": ["a"]}'),
        ("<http://[>", b'{"repositories": ["a"]}'),
    ],
)
def test_a_link_leads_nowhere_else(copying: Copying, other: Other, link: str, content: bytes) -> None:
    other.odd["_catalog"] = lambda handler: handler._answer(200, content, {"Link": f'{link}; rel="next"'})
    remote = copying.remote()
    with pytest.raises(AnswerInvalid):
        list(lists.catalog_pages(remote, lists.catalog_path()))
    assert {path.partition("?")[0] for _, path in other.asked} == {"/v2/_catalog"}
    remote.close()


def test_a_list_that_always_goes_on_is_given_up(copying: Copying, other: Other) -> None:
    def more(handler: Any) -> None:
        handler._answer(
            200, b'{"repositories": ["a"]}', {"Link": f'</v2/_catalog?last={len(other.asked)}>; rel="next"'}
        )

    other.odd["_catalog"] = more
    remote = copying.remote()
    with pytest.raises(AnswerInvalid, match="without an end"):
        list(lists.catalog_pages(remote, lists.catalog_path()))
    assert len(other.asked) < 10
    remote.close()


def lying(content: bytes) -> Callable[[Any], None]:
    return lambda handler: handler._answer(200, content)


@pytest.mark.parametrize("case", ["other bytes", "more bytes", "fewer bytes"])
def test_blobs_whose_bytes_are_others(copying: Copying, other: Other, registry: Registry, case: str) -> None:
    good = other.hold_image("a/b", "good")
    layer = os.urandom(1000)
    other.hold_image("a/b", "bad", image=Image(layers=(layer,)))
    sent = {"other bytes": os.urandom(1000), "more bytes": layer * 2, "fewer bytes": layer[:10]}[case]

    def blob(handler: Any) -> None:
        handler._answer(200, layer if handler.command == "HEAD" else sent)

    other.odd[f"/blobs/{Digest.of(layer)}"] = blob
    if case == "fewer bytes":
        with pytest.raises(RemoteUnavailable):
            copying.run("a/b")
        return
    copying.run("a/b")
    assert registry.get(f"/v2/a/b/manifests/{good.digest}").status_code == 200
    reason = "blob_digest" if case == "other bytes" else "blob_size"
    assert copying.reasons == [("blob", str(Digest.of(layer)), reason)]
    assert registry.get("/v2/a/b/manifests/bad").status_code == 200  # as there: the image lacks a layer
    assert registry.get(f"/v2/a/b/blobs/{Digest.of(layer)}").status_code == 404


def test_each_manifest_is_imported_or_told_of(copying: Copying, other: Other, registry: Registry) -> None:
    good = other.hold_image("a/b", "good")
    refused: dict[str, bytes] = {
        "unreadable-json": b"{",
        "schema-1": encode({"schemaVersion": 1, "fsLayers": []}),
        "two-kinds": encode({"schemaVersion": 2, "manifests": [], "layers": []}),
        "empty": b"",
        "large": b'{"x": "' + b"x" * (5 << 20) + b'"}',
    }
    for tag, content in refused.items():
        digest = other.hold("a/b", content, tag)
        other.odd[f"/manifests/{digest}"] = other.odd[f"/manifests/{tag}"] = (
            lambda handler, content=content, digest=digest: handler._answer(
                200, content, {"Docker-Content-Digest": str(digest)}
            )
        )
    changed = other.hold("a/b", encode({"schemaVersion": 2, "n": 1}), "changed")
    other.odd[f"/manifests/{changed}"] = lambda handler: handler._answer(200, encode({"schemaVersion": 2, "n": 2}))
    gone = other.hold("a/b", encode({"schemaVersion": 2, "n": 3}), "gone")
    del other.manifests["a/b"][gone]
    other.odd["/manifests/failing"] = lambda handler: handler.failing()
    other.tags["a/b"]["failing"] = changed
    other.tags["a/b"][".bad name"] = changed
    other.odd["/manifests/no-digest"] = lambda handler: handler._answer(200, good.manifest)
    other.tags["a/b"]["no-digest"] = good.digest
    other.odd["/manifests/odd-digest"] = lambda handler: handler._answer(200, b"", {"Docker-Content-Digest": "md5:1"})
    other.tags["a/b"]["odd-digest"] = good.digest

    passed = copying.run("a/b")

    assert passed.changed == 2
    for tag in ("good", "no-digest"):
        assert registry.get(f"/v2/a/b/manifests/{tag}").data == good.manifest
    assert {(key, reason) for _, key, reason in copying.reasons} == {
        (str(Digest.of(refused["unreadable-json"])), "manifest_refused"),
        (str(Digest.of(refused["schema-1"])), "schema1"),
        (str(Digest.of(refused["two-kinds"])), "manifest_refused"),
        (str(Digest.of(b"")), "manifest_empty"),
        (str(Digest.of(refused["large"])), "unreadable"),
        (str(changed), "manifest_digest"),
        ("gone", "manifest_missing"),
        ("failing", "unreadable"),
        (".bad name", "tag_name"),
        ("odd-digest", "unreadable"),
    }


def test_a_missing_child_is_told_of_and_the_index_is_here(copying: Copying, other: Other, registry: Registry) -> None:
    here, gone = other.hold_image("a/b"), Image()
    index = index_of(here.manifest, gone.manifest)
    other.hold("a/b", index, "v1")
    copying.run("a/b")
    assert registry.get("/v2/a/b/manifests/v1").data == index
    assert {reason for _, _, reason in copying.reasons} == {"manifest_missing", "child_missing"}
    other.hold_image("a/b", image=gone)
    copying.problems.clear()
    copying.run("a/b")
    assert not copying.problems
    assert registry.get(f"/v2/a/b/manifests/{gone.digest}").status_code == 200


def test_one_that_is_down_is_not_taken_for_one_that_lacks_something(copying: Copying, other: Other) -> None:
    other.hold_image("a/b", "v1")
    other.odd["/v2/"] = lambda handler: handler.failing()
    with pytest.raises(RemoteUnavailable):
        copying.run("a/b")
    assert not copying.problems


def test_a_secret_that_does_not_do_is_no_reason_to_try_on(copying: Copying, other: Other) -> None:
    other.username, other.secret = "reader", "s3cret"
    other.hold_image("a/b", "v1")
    for credentials in (Credentials(), Credentials("reader", "wrong")):
        with pytest.raises(RemoteRefused):
            copying.run("a/b", remote=copying.remote(credentials=credentials))
    other.uses_basic = True
    for credentials in (Credentials(), Credentials("reader", "wrong")):
        with pytest.raises(RemoteRefused):
            copying.run("a/b", remote=copying.remote(credentials=credentials))
    assert len(other.asked) < 16


def test_a_long_rest_ends_the_work(copying: Copying, other: Other) -> None:
    other.every, other.retry_after = 1, "3600"
    remote = copying.remote(seconds=5)
    started = time.monotonic()
    with pytest.raises(RemoteResting) as resting:
        remote.head("a/b", Tag("v1"))
    assert 3500 < resting.value.seconds <= 3600
    assert time.monotonic() - started < 2
    remote.close()


def test_a_crowd_of_redirects(copying: Copying, other: Other) -> None:
    other.hold_image("a/b", "v1")
    other.redirects_blobs_to = other.address
    copying.run("a/b")
    assert {reason for _, _, reason in copying.reasons} == {"blob_size"}
