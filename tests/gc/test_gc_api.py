"""What an administrator sees of the garbage collection."""

from __future__ import annotations

from tests.gc.conftest import collect, execute, rows
from tests.support import Registry


def test_the_status_tells_how_the_queues_stand(registry: Registry) -> None:
    registry.push_image("a/b", "v1")
    execute(registry, "UPDATE link_reviews SET review_after = now() - interval '2 hours', attempts = 3, error = 'why'")
    status = registry.get("/api/v1/gc").get_json()
    queues = {queue["level"]: queue for queue in status["queues"]}
    assert {name: queues["link"][name] for name in ("waiting", "due", "overdue", "failing")} == {
        "waiting": 3,
        "due": 3,
        "overdue": 3,
        "failing": 3,
    }
    assert queues["manifest"]["due"] == 0
    assert {failure["error"] for failure in status["failures"]} == {"why"}
    assert status["pending_deletion_bytes"] == 0


def test_the_preview_tells_what_garbage_collection_then_takes(hasty: Registry) -> None:
    kept, gone = hasty.push_image("a/b", "v1"), hasty.push_image("a/b")
    hasty.request("POST", f"/v2/c/d/blobs/uploads/?mount={gone.blob_digests[0]}&from=a/b")
    preview = hasty.get("/api/v1/repositories/a/b/-/gc").get_json()
    assert [manifest["digest"] for manifest in preview["manifests"]] == [str(gone.digest)]
    assert preview["bytes_freed_in_repository"] == sum(map(len, gone.blobs))
    assert preview["bytes_freed_in_registry"] == sum(map(len, gone.blobs[1:]))
    collect(hasty)
    assert hasty.get("/api/v1/repositories/a/b/-/gc").get_json()["manifests"] == []
    assert rows(hasty, "manifests") == 1
    assert hasty.get(f"/v2/a/b/manifests/{kept.digest}").status_code == 200


def test_a_repository_that_is_not_there_has_no_preview(registry: Registry) -> None:
    response = registry.get("/api/v1/repositories/not/there/-/gc")
    assert (response.status_code, registry.error_code(response)) == (404, "NAME_UNKNOWN")
