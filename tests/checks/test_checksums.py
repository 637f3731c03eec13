"""A blob has its checksum from the upload on; and what lies in the bucket is read, a share at a time, in turn."""

from __future__ import annotations

from typing import Final

import google_crc32c
import pytest

from functions.migrate import work
from functions.migrate.checks import digests
from functions.registry.metadata.checks import checks
from functions.registry.metadata.checks.checks import Check
from functions.registry.metadata.checks.objects import HeldBlob
from functions.registry.oci.digest import Digest
from tests.checks.vandal import Vandal
from tests.metadata.build import query
from tests.support import Image, Registry

_CRC: Final = "SELECT crc32c FROM blobs WHERE digest = :digest"
_PARTS: Final = "SELECT object_name FROM upload_objects WHERE number IS NOT NULL ORDER BY number"


def checksum_of(vandal: Vandal, content: bytes) -> tuple[int | None, int]:
    """Returns it as the row has it, and as it is."""
    return vandal.query(_CRC, digest=Digest.of(content).to_bytes())[0][0], int(google_crc32c.value(content))


def chunks(registry: Registry, *contents: bytes) -> str:
    """An upload that has received them, each by a request of its own; its address."""
    location = registry.start_upload("a/b")
    for content in contents:
        location = registry.request("PATCH", location, data=content).headers["Location"]
    return location


def test_a_blob_has_its_checksum_from_the_upload_on(registry: Registry, vandal: Vandal) -> None:
    whole = b"in one request" * 100
    registry.push_blob("a/b", whole)
    assert len(set(checksum_of(vandal, whole))) == 1
    parts = (b"first" * 300, b"second" * 200, b"third" * 100)
    joined = b"".join(parts)
    location = chunks(registry, *parts[:2])
    answer = registry.request("PUT", f"{location}?digest={Digest.of(joined)}", data=parts[2])
    assert answer.status_code == 201, answer.text
    assert len(set(checksum_of(vandal, joined))) == 1
    large = b"more than a chunk" * 600_000
    registry.push_blob("a/b", large)
    assert len(set(checksum_of(vandal, large))) == 1


def test_what_was_written_anew_is_found_by_the_first_check(registry: Registry, vandal: Vandal) -> None:
    image = registry.push_image("a/b", "v1")
    name = vandal.object_of(image.blob_digests[1])
    vandal.swap(name)
    vandal.check()
    assert vandal.found() == {("checksum", name)}


def test_a_part_that_the_store_has_changed_does_not_become_a_blob(registry: Registry, vandal: Vandal) -> None:
    """The hash is of what was sent; what was joined from the parts is something else."""
    parts = (b"first" * 300, b"second" * 200)
    location = chunks(registry, *parts)
    first, _ = (name for (name,) in vandal.query(_PARTS))
    vandal.swap(first)
    closing = f"{location}?digest={Digest.of(b''.join(parts))}"
    assert registry.request("PUT", closing).status_code == 503
    assert vandal.query("SELECT count(*) FROM blobs") == [[0]]
    vandal.swap(first)
    assert registry.request("PUT", closing).status_code == 201


def test_a_release_that_knows_no_checksums_leaves_none_that_is_wrong(registry: Registry, vandal: Vandal) -> None:
    parts = (b"first" * 300, b"second" * 200, b"third" * 100)
    joined = b"".join(parts)
    location = chunks(registry, *parts[:2])
    # As that release adds a part: it says nothing of the checksum.
    query(registry.services.database, "UPDATE uploads SET received = received + 1")
    query(registry.services.database, "UPDATE uploads SET received = received - 1")
    assert vandal.query("SELECT crc32c FROM uploads") == [[None]]
    answer = registry.request("PUT", f"{location}?digest={Digest.of(joined)}", data=parts[2])
    assert answer.status_code == 201, answer.text
    assert checksum_of(vandal, joined)[0] is None
    vandal.check()
    assert vandal.found() == set()
    assert len(set(checksum_of(vandal, joined))) == 1


def share(registry: Registry, size: int) -> Check:
    """What begins by itself, as if a day had passed, and reads so many bytes."""
    database = registry.services.database
    query(database, "UPDATE checks SET started_at = started_at - interval '1 day'")
    assert checks.start_due(database, 1, size)
    while work.run(registry.services):
        pass
    ended = checks.list_all(database, 10**9, 1)[0]
    assert ended.state == "done"
    return ended


def test_a_share_of_all_objects_is_read_each_day_in_turn(
    registry: Registry, vandal: Vandal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends where it is used up, and the next day's goes on; after the last object comes the first one again."""
    monkeypatch.setattr(digests, "_BLOBS", 2)
    registry.push_image("a/b", "v1", Image(layers=tuple(bytes([number]) * 1000 for number in range(4))))
    names = [name for (name,) in vandal.query("SELECT object_name FROM blobs ORDER BY digest")]
    vandal.swap(names[3])
    vandal.run("UPDATE blobs SET crc32c = NULL WHERE object_name = '{name}'", name=names[3])
    hashed = [share(registry, 1).counts.get("hashed", 0)]
    assert vandal.found() == set()
    hashed.append(share(registry, 1).counts.get("hashed", 0))
    assert vandal.found() == {("digest", names[3])}
    hashed += [share(registry, 1).counts.get("hashed", 0) for _ in range(3)]
    assert hashed == [2, 2, 1, 0, 2]


def test_no_more_is_read_at_once_than_can_be_noted_in_time() -> None:
    page = [HeldBlob(Digest.of(b"%d" % size), size, "") for size in (5, 5, 20, 1)]
    assert [len(digests._within(most, page)) for most in (1, 9, 10, 30, 100)] == [1, 1, 2, 3, 4]
    assert digests._within(1, []) == []
