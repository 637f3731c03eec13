"""A referrers list shows what has the subject, in this repository, a page at a time."""

from __future__ import annotations

from functions.registry.metadata import manifests
from functions.registry.metadata.db import Database
from functions.registry.metadata.referrers import Referrer, list_referrers
from functions.registry.oci.digest import Digest
from functions.registry.oci.media_type import OCI_INDEX, OCI_MANIFEST
from tests.metadata.build import APP, OTHER, artifact_of, push_image, put, signature_of
from tests.support import CONFIG_TYPE, descriptor, index_of

SUBJECT = b"a subject that nobody has pushed"
SIGNATURE = "application/vnd.example.signature"


def test_a_referrer_is_shown_with_what_the_list_needs(database: Database) -> None:
    annotations = {"org.example.by": 'é "quoted" \\ \N{WHALE}', "empty": ""}
    signature = push_image(database, APP, image=signature_of(SUBJECT, annotations=annotations))
    (shown,) = list_referrers(database, APP, Digest.of(SUBJECT), None, None, 10)
    assert shown == Referrer(signature.digest, OCI_MANIFEST, SIGNATURE, len(signature.manifest), annotations)


def test_the_artifact_type_falls_back_to_the_config_of_an_image_and_to_none_of_an_index(database: Database) -> None:
    image = signature_of(SUBJECT, artifact_type="")
    push_image(database, APP, image=image)
    index = put(database, APP, index_of(subject=descriptor(SUBJECT)))
    shown = {referrer.digest: referrer for referrer in list_referrers(database, APP, Digest.of(SUBJECT), None, None, 9)}
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
        return [one.digest for one in list_referrers(database, APP, subject.digest, artifact_type, None, 9)]

    assert listed(None) == sorted([mine, bill, plain])
    assert listed("a/signature") == [mine]
    assert listed("a/bill") == [bill]
    assert listed("a/other") == listed("") == []
    assert list_referrers(database, APP, mine, None, None, 9) == []
    assert manifests.delete(database, APP, mine)
    assert listed("a/signature") == []


def test_a_page_begins_after_the_last_digest_and_holds_one_more(database: Database) -> None:
    pushed = sorted(put(database, APP, artifact_of(SUBJECT, annotations={"n": str(n)})) for n in range(7))

    def page(last: Digest | None, size: int) -> list[Digest]:
        return [one.digest for one in list_referrers(database, APP, Digest.of(SUBJECT), None, last, size)]

    assert page(None, 3) == pushed[:4]
    assert page(pushed[2], 3) == pushed[3:7]
    assert page(pushed[5], 3) == pushed[6:]
    assert page(pushed[6], 3) == []
    assert page(None, 0) == pushed[:1]
