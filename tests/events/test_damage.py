"""What a check finds is told once, to whoever is subscribed to what it lies in."""

from __future__ import annotations

import pytest

from tests.checks.vandal import Vandal
from tests.events.conftest import deliver, subscribe
from tests.events.receiver import Receiver
from tests.support import Image, Registry


@pytest.fixture
def vandal(registry: Registry, storage_address: str) -> Vandal:
    return Vandal(registry, storage_address)


def test_what_is_damaged_is_told_once_to_each_who_has_it(
    registry: Registry, vandal: Vandal, receiver: Receiver
) -> None:
    layer = b"a layer that both have" * 50
    image = registry.push_image("team/app", "v1", Image(layers=(layer,)))
    registry.push_image("other/app", "v1", Image(config=b"another", layers=(layer,)))
    spoiled = registry.push_image("team/web", "v1")
    subscribe(registry.services, receiver.address, repositories="team/**", kinds=["fsck.damaged"])
    vandal.take(vandal.object_of(image.blob_digests[1]))
    id_ = vandal.manifest_id(spoiled.digest)
    vandal.run("UPDATE manifests SET payload = set_byte(payload, 9, 0) WHERE id = {id}", id=id_)
    vandal.check()
    deliver(registry.services)
    told = {(each["data"]["repository"], each["data"]["digest"]) for each in receiver.documents}
    assert told == {("team/app", str(image.blob_digests[1])), ("team/web", str(spoiled.digest))}
    assert receiver.kinds() == ["fsck.damaged"] * 2
    vandal.check(repair=True)
    deliver(registry.services)
    assert len(receiver.documents) == 2, "known already"


def test_nobody_is_told_of_what_is_only_space(registry: Registry, vandal: Vandal, receiver: Receiver) -> None:
    registry.push_image("team/app", "v1")
    registry.push_blob("team/app", b"named by nothing")
    subscribe(registry.services, receiver.address)
    vandal.run("DELETE FROM link_reviews")
    vandal.litter()
    vandal.check()
    deliver(registry.services)
    assert receiver.kinds() == []
