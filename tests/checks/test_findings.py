"""Each kind of finding is found where it is planted, and nowhere else."""

from __future__ import annotations

from functions.registry.oci.digest import Digest
from tests.checks.vandal import Vandal
from tests.support import Image, Registry, index_of


def test_a_whole_registry_has_no_finding(registry: Registry, vandal: Vandal) -> None:
    first, second = registry.push_image("demo/app"), registry.push_image("demo/app", "v1")
    index = index_of(first.manifest, second.manifest)
    assert registry.put_manifest("demo/app", "all", index).status_code == 201
    registry.start_upload("demo/app")
    registry.push_blob("demo/app", b"named by nothing yet")
    ended = vandal.check(hash=100)
    assert ended.state == "done"
    assert vandal.found() == set()
    assert ended.counts["blobs"] == 7
    assert ended.counts["hashed"] == 7
    assert ended.counts["manifests"] == 3


def test_objects_that_are_not_as_their_rows_say(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1", Image(layers=(b"one" * 50, b"two" * 50, b"three" * 50)))
    vandal.check()
    names = [vandal.object_of(digest) for digest in image.blob_digests]
    vandal.take(names[0])
    vandal.cut(names[1])
    vandal.swap(names[2])
    unknown = vandal.litter()
    vandal.put("somebody/else/wrote/this", b"not ours")
    vandal.put("blobs/not-a-name-of-ours", b"not ours")
    ended = vandal.check()
    assert vandal.found() == {
        ("missing", names[0]),
        ("size", names[1]),
        ("checksum", names[2]),
        ("unknown", unknown),
    }
    assert ended.counts["foreign"] == 1


def test_bytes_that_no_checksum_was_known_of_are_found_by_reading(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("demo/app", "v1")
    name = vandal.object_of(image.blob_digests[1])
    vandal.swap(name)
    vandal.run("UPDATE blobs SET crc32c = NULL")
    vandal.check()
    assert vandal.found() == set()
    vandal.check(hash=100)
    assert vandal.found() == {("digest", name)}


def test_manifests_that_have_other_bytes_or_lack_references(registry: Registry, vandal: Vandal) -> None:
    broken, lacking, whole = (registry.push_image("demo/app", tag) for tag in ("a", "b", "c"))
    index = index_of(broken.manifest, whole.manifest)
    registry.put_manifest("demo/app", "all", index)
    signature = Image(more={"subject": {"mediaType": "x/y", "digest": str(whole.digest), "size": 1}})
    registry.push_image("demo/app", "signature", signature)
    ids = [vandal.manifest_id(digest) for digest in (broken.digest, lacking.digest, Digest.of(index), signature.digest)]
    vandal.run("UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}", id=ids[0])
    vandal.run("DELETE FROM manifest_blobs WHERE manifest_id = {id}", id=ids[1])
    vandal.run("DELETE FROM manifest_children WHERE parent_id = {id}", id=ids[2])
    vandal.run("UPDATE manifests SET subject = NULL WHERE id = {id}", id=ids[3])
    vandal.check()
    assert vandal.found() == {
        ("manifest", str(ids[0])),
        ("references", str(ids[1])),
        ("references", str(ids[2])),
        ("references", str(ids[3])),
    }


def test_rows_that_nothing_waits_for(registry: Registry, vandal: Vandal) -> None:
    untagged = registry.push_image("demo/app")
    link = registry.push_blob("demo/app", b"linked, and named by nothing")
    vandal.run("DELETE FROM manifest_reviews; DELETE FROM link_reviews")
    blob = Digest.of(b"nothing links it")
    vandal.put("blobs/alone", b"nothing links it")
    vandal.run(
        "INSERT INTO blobs (digest, size, object_name) VALUES ('\\x{digest}', 16, 'blobs/alone');"
        " UPDATE registry_usage SET blobs = blobs + 1, blob_bytes = blob_bytes + 16",
        digest=blob.to_bytes().hex(),
    )
    vandal.run("UPDATE repository_usage SET tags = tags + 1")
    vandal.check()
    found = vandal.found()
    assert {one for one in found if one[0] != "figure"} == {
        ("leaked_manifest", str(vandal.manifest_id(untagged.digest))),
        ("leaked_link", f"{_repository(vandal)}/{link}"),
        ("leaked_blob", str(blob)),
    }
    assert ("figure", "repository demo/app tags") in found


def _repository(vandal: Vandal) -> int:
    ((id_,),) = vandal.query("SELECT id FROM repositories")
    return int(id_)
