"""What changes is told to whoever subscribed: once it is committed, in order, at least once."""

from __future__ import annotations

from tests.events.conftest import deliver, states, subscribe
from tests.events.receiver import Receiver
from tests.metadata.build import query, value
from tests.support import Image, Registry


def test_without_a_subscription_nothing_is_written(registry: Registry) -> None:
    registry.push_image("team/app", "1")
    registry.request("DELETE", "/v2/team/app/manifests/1")
    assert value(registry.services.database, "SELECT count(*) FROM events") == 0


def test_what_happens_to_a_repository_is_told_in_order(registry: Registry, receiver: Receiver) -> None:
    subscribe(registry.services, receiver.address)
    first = registry.push_image("team/app", "1")
    registry.put_manifest("team/app", "1", first.manifest)
    second = registry.push_image("team/app", "1")
    registry.request("DELETE", "/v2/team/app/manifests/1")
    registry.request("DELETE", f"/v2/team/app/manifests/{second.digest}")
    registry.request("POST", "/api/v1/repositories/team/app/-/move", json={"to": "team/other"})
    registry.request("DELETE", "/api/v1/repositories/team/other")
    assert deliver(registry.services) == len(receiver.received)
    assert receiver.kinds() == [
        "repository.created",
        "manifest.pushed",
        "tag.created",
        "manifest.pushed",
        "tag.pushed",
        "manifest.pushed",
        "tag.moved",
        "tag.deleted",
        "manifest.deleted",
        "repository.moved",
        "manifest.deleted",
        "repository.deleted",
    ]
    assert states(registry) == [("sent", 12)]
    ids = [int(each["id"]) for each in receiver.documents]
    assert ids == sorted(ids)
    moved = receiver.documents[6]["data"]
    assert (moved["tag"], moved["digest"], moved["previous"]) == ("1", str(second.digest), str(first.digest))
    who = {"actor": "open", "cause": "client"}
    assert receiver.documents[9]["data"] == {"repository": "team/other", "former": "team/app", **who}
    assert deliver(registry.services) == 0


def test_a_refused_push_tells_nothing(registry: Registry, receiver: Receiver) -> None:
    subscribe(registry.services, receiver.address)
    answer = registry.put_manifest("team/app", "1", Image().manifest)
    assert answer.status_code == 404
    assert deliver(registry.services) == 0


def test_a_repository_that_is_set_aside_is_told_as_deleted_and_its_return_as_restored(
    registry: Registry, receiver: Receiver
) -> None:
    """Neither what it holds nor its end, weeks later, is anybody's news."""
    query(registry.services.database, "UPDATE gc_settings SET grace = interval '7 days' WHERE event = 'undo'")
    registry.push_image("team/app", "1")
    subscribe(registry.services, receiver.address)
    assert registry.request("DELETE", "/api/v1/repositories/team/app").status_code == 200
    answer = registry.request("POST", "/api/v1/repositories/team/app/-/restore-repository", json={})
    assert answer.status_code == 200, answer.text
    registry.request("DELETE", "/v2/team/app/manifests/1")
    answer = registry.request("POST", "/api/v1/repositories/team/app/-/restore", json={"tag": "1"})
    assert answer.status_code == 200, answer.text
    deliver(registry.services)
    assert receiver.kinds() == ["repository.deleted", "repository.restored", "tag.deleted", "tag.restored"]
    assert {each["data"]["repository"] for each in receiver.documents} == {"team/app"}
