"""A referrers list shows what has the subject, in this repository, a page at a time."""

from __future__ import annotations

import json

import pytest

from functions.registry.metadata.content import manifests
from functions.registry.metadata.content.referrers import _LIST, Referrer, list_referrers
from functions.registry.metadata.db import Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from functions.registry.oci.name import RepositoryName
from functions.registry.oci.page import LARGEST_BYTES
from tests.metadata.build import APP, OTHER, artifact_of, push_image, put, signature_of
from tests.support import CONFIG_TYPE, descriptor, index_of

SUBJECT = b"a subject that nobody has pushed"
SIGNATURE = "application/vnd.example.signature"


def test_a_referrer_is_shown_with_what_the_list_needs(database: Database) -> None:
    annotations = {"org.example.by": 'é "quoted" \\ \N{WHALE}', "empty": ""}
    signature = push_image(database, APP, image=signature_of(SUBJECT, annotations=annotations))
    (shown,), more = list_referrers(database, APP, Digest.of(SUBJECT), None, None, 10)
    written, size = shown.annotations or "", len(signature.manifest)
    assert json.loads(written) == annotations
    assert shown == Referrer(signature.digest, OCI_MANIFEST, SIGNATURE, size, written, fits=True)
    assert not more


def test_the_artifact_type_falls_back_to_the_config_of_an_image_and_to_none_of_an_index(database: Database) -> None:
    image = signature_of(SUBJECT, artifact_type="")
    push_image(database, APP, image=image)
    index = put(database, APP, index_of(subject=descriptor(SUBJECT)))
    found, _ = list_referrers(database, APP, Digest.of(SUBJECT), None, None, 9)
    shown = {referrer.digest: referrer for referrer in found}
    assert shown[image.digest].artifact_type == CONFIG_TYPE
    assert (shown[index].artifact_type, shown[index].media_type) == (None, OCI_INDEX)


def test_only_referrers_of_the_subject_in_the_repository_and_of_the_type_are_listed(database: Database) -> None:
    subject = push_image(database, APP, "one")
    mine = put(database, APP, artifact_of(subject.manifest, artifactType="a/signature"))
    bill = put(database, APP, artifact_of(subject.manifest, artifactType="a/bill"))
    plain = put(database, APP, artifact_of(subject.manifest))
    put(database, APP, artifact_of(SUBJECT, artifactType="a/signature"))
    put(database, OTHER, artifact_of(subject.manifest, artifactType="a/signature"))

    def listed(artifact_type: str | None) -> list[Digest]:
        found, more = list_referrers(database, APP, subject.digest, artifact_type, None, 9)
        assert not more
        return [one.digest for one in found]

    assert listed(None) == sorted([mine, bill, plain])
    assert listed("a/signature") == listed("A/Signature") == [mine]
    assert listed("a/bill") == [bill]
    assert listed("a/other") == listed("") == []
    assert list_referrers(database, APP, mine, None, None, 9) == ([], False)
    assert list_referrers(database, RepositoryName("not/here"), subject.digest, None, None, 9) == ([], False)
    assert manifests.delete(database, APP, mine)
    assert listed("a/signature") == []


def page(
    database: Database, last: Digest | None, size: int, artifact_type: str | None = None
) -> tuple[list[Digest], bool]:
    found, more = list_referrers(database, APP, Digest.of(SUBJECT), artifact_type, last, size)
    return [one.digest for one in found], more


def test_a_page_begins_after_the_last_digest_and_says_whether_others_follow(database: Database) -> None:
    pushed = sorted(put(database, APP, artifact_of(SUBJECT, annotations={"n": str(n)})) for n in range(7))
    assert page(database, None, 3) == (pushed[:3], True)
    assert page(database, pushed[2], 3) == (pushed[3:6], True)
    assert page(database, pushed[3], 3) == (pushed[4:], False)
    assert page(database, pushed[5], 3) == (pushed[6:], False)
    assert page(database, pushed[6], 3) == ([], False)


def pages(database: Database, artifact_type: str | None = None) -> list[list[Digest]]:
    found, more = page(database, None, 500, artifact_type)
    all_pages = [found]
    while more:
        found, more = page(database, found[-1], 500, artifact_type)
        all_pages.append(found)
    return all_pages


@pytest.mark.parametrize(
    "text", ["x", "\N{WHALE}", '"', "\\", "\x01"], ids=["x", "whale", "quote", "backslash", "control"]
)
def test_a_page_ends_before_it_is_larger_than_a_manifest(database: Database, text: str) -> None:
    """Whatever JSON makes of the text."""
    pushed = sorted(
        put(database, APP, artifact_of(SUBJECT, artifactType="a/b", annotations={"n": f"{n}{text * 100_000}"}))
        for n in range(13)
    )
    for artifact_type in (None, "a/b"):
        all_pages = pages(database, artifact_type)
        assert [digest for found in all_pages for digest in found] == pushed
        for found in all_pages:
            rows, _ = list_referrers(database, APP, Digest.of(SUBJECT), None, before(pushed, found[0]), len(found))
            told = ",".join(row.annotations or "" for row in rows).encode()
            assert len(told) <= LARGEST_BYTES
        assert len(all_pages) <= 1 + 13 * (2 + len(json.dumps({"n": text * 100_000}, ensure_ascii=False).encode())) // (
            LARGEST_BYTES // 2
        )


def before(pushed: list[Digest], digest: Digest) -> Digest | None:
    at = pushed.index(digest)
    return pushed[at - 1] if at else None


def test_one_that_is_larger_than_a_page_has_one_for_itself(database: Database) -> None:
    pushed = sorted(
        put(database, APP, artifact_of(SUBJECT, annotations={"n": f"{n}{'x' * LARGEST_BYTES}"})) for n in range(3)
    )
    assert pages(database) == [[digest] for digest in pushed]


def test_what_does_not_fit_is_not_read(database: Database) -> None:
    for number in range(3):
        put(database, APP, artifact_of(SUBJECT, annotations={"n": f"{number}{'x' * LARGEST_BYTES}"}))
    rows = database.all(
        _LIST(
            repository=APP,
            subject=Digest.of(SUBJECT),
            artifact_type=None,
            last=b"",
            size=500,
            most=LARGEST_BYTES,
            frame=512,
        )
    )
    assert [(row.fits, row.annotations is None) for row in rows] == [(True, False), (False, True)]
