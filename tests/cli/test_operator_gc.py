"""What an operator sees and sets: over the api, and by the command line."""

from __future__ import annotations

import pytest

from slipway_cli.operator import gc as admin
from tests.gc.conftest import collect, execute, rows
from tests.support import Registry


def run(registry: Registry, *arguments: str) -> int:
    return admin.main(list(arguments), registry.services.settings.database)


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


def test_the_command_line_shows_the_same(hasty: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    gone = hasty.push_image("a/b")
    assert run(hasty, "preview", "a/b") == 0
    assert str(gone.digest) in capsys.readouterr().out
    collect(hasty)
    assert run(hasty, "status") == 0
    assert "manifest    push" in capsys.readouterr().out


def test_settings_take_effect_with_the_next_event(registry: Registry) -> None:
    registry.push_blob("a/b", b"before")
    assert run(registry, "grace", "upload", "0s") == 0
    registry.push_blob("a/b", b"after")
    collect(registry)
    assert rows(registry, "repository_blobs") == 1
    assert run(registry, "repository", "a/b", "--keep-untagged", "yes", "--grace", "7d") == 0
    assert rows(registry, "repositories WHERE keep_untagged AND grace = '7 days'") == 1
    assert run(registry, "repository", "a/b", "--grace", "default") == 0
    assert rows(registry, "repositories WHERE keep_untagged AND grace IS NULL") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("grace", "no-such-event", "1h"),
        ("grace", "push", "400d"),
        ("repository", "not/there", "--keep-untagged", "yes"),
    ],
)
def test_settings_out_of_range_are_refused(
    registry: Registry, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(registry, *arguments) == 1
    assert capsys.readouterr().err.startswith("slipway: ")


def test_a_duration_that_is_none_is_told_how_to_write_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        admin.main(["grace", "push", "a while"], "postgresql://nowhere")
    assert "90s, 30m, 24h, 7d" in capsys.readouterr().err


def test_without_a_database_it_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.main(["status"], None) == 2
    assert "SLIPWAY_DATABASE" in capsys.readouterr().err


def test_a_recount_on_the_command_line_tells_what_is_wrong(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    registry.push_image("a/b", "v1")
    assert run(registry, "recount") == 0
    assert capsys.readouterr().out.endswith("1 repositories and 1 namespaces counted\n")
    execute(registry, "UPDATE repository_usage SET tags = 5")
    assert run(registry, "recount") == 1
    told = capsys.readouterr()
    assert "repository a/b: tags is 5, and should be 1" in told.out
    assert "3 figures are wrong" in told.err
