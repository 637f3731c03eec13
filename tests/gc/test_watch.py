"""What terraform/watch.tf makes metrics of is what garbage collection writes: messages, fields, types."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import pytest

from functions.gc.run import run
from tests.gc.conftest import collect, execute
from tests.gc.watch import Store
from tests.support import Registry

_WATCH: Final = (Path(__file__).resolve().parents[2] / "terraform" / "watch.tf").read_text()
_METRIC: Final = re.compile(r"^      (\w+) = \{\n(.+?)^      \}$", re.MULTILINE | re.DOTALL)
_POISON: Final = """
    CREATE TABLE poison AS SELECT id FROM manifests ORDER BY id LIMIT 1;
    ALTER TABLE poison ADD CONSTRAINT poisoned FOREIGN KEY (id) REFERENCES manifests
"""


def _metrics() -> dict[str, dict[str, Any]]:
    """Those of garbage collection: message, fields that are labels or the value, fields that `where` compares."""
    metrics = {}
    for name, body in _METRIC.findall(_WATCH):
        entries = dict(re.findall(r"^ +(\w+) += (.+)$", body, re.MULTILINE))
        if entries.get("program") == '"gc"':
            metrics[name] = {
                "message": json.loads(entries["message"]),
                "labels": json.loads(entries.get("labels", "[]")),
                "numbers": re.findall(r"jsonPayload\.(\w+)>", entries.get("where", "")),
            }
            if "value" in entries:
                metrics[name]["numbers"].append(json.loads(entries["value"]))
    return metrics


# A policy's first run, whose time is over.
_HELD: Final = """
    INSERT INTO retention_policies (name, position, repositories, mode, rules, new_for, brake_share, brake_tags,
                                    held_because, changed_by)
    VALUES ('tidy', 1, 'a/**', 'enforce', '[]', '1 day', 30, 5000, 'it is new', 'somebody');
    INSERT INTO retention_runs (kind, state, policy_id, policy, namespace, revision, document, made_by, expires_at,
                                waiting)
    SELECT 'scheduled', 'open', id, name, namespace, revision, '{}', 'somebody', now() + interval '1 day', 1
      FROM retention_policies;
"""


@pytest.fixture
def lines(
    hasty: Registry, storage_address: str, bucket_name: str, capsys: pytest.CaptureFixture[str]
) -> dict[str, list[dict[str, Any]]]:
    """Gives, by message, the lines of a GC run with a manifest and an object that can't go, and an old review."""
    store = Store(storage_address, bucket_name)
    hasty.push_image("a/b")
    hasty.push_blob("a/b", b"loose")
    execute(hasty, _POISON)
    execute(hasty, _HELD)
    store.fail("DELETE /storage/v1/b/", status=403)
    store.fail("POST /batch/", status=403)
    try:
        for _ in range(7):
            for queue in ("manifest_reviews", "link_reviews", "blob_reviews"):
                execute(hasty, f"UPDATE {queue} SET review_after = now() - interval '2 days'")  # noqa: S608  # three names
            execute(hasty, "UPDATE deletions SET not_before = now()")
            run(hasty.services)
        execute(hasty, "UPDATE manifest_reviews SET review_after = now() - interval '2 days'")
        run(hasty.services, budget_seconds=0)
    finally:
        store.recover()
        execute(hasty, "DROP TABLE poison")
        collect(hasty)
    found = defaultdict(list)
    for line in map(json.loads, filter(lambda text: text.startswith("{"), capsys.readouterr().out.splitlines())):
        found[line["message"]].append(line)
    return found


def test_every_metric_of_garbage_collection_is_of_a_line_that_it_writes(lines: dict[str, list[dict[str, Any]]]) -> None:
    metrics = _metrics()
    assert {"overdue_gc_runs", "oldest_seconds", "failed_reviews", "poison_reviews", "undeletable_objects"} <= set(
        metrics
    )
    for name, metric in metrics.items():
        written = lines[metric["message"]]
        assert written, name
        for field in metric["labels"]:
            assert all(isinstance(line[field], str | bool) for line in written), (name, field)
        for field in metric["numbers"]:
            assert all(type(line[field]) in (int, float) for line in written), (name, field)


def test_a_review_that_waits_is_told_with_its_age(lines: dict[str, list[dict[str, Any]]]) -> None:
    hurried, last = next(line for line in lines["gc run"] if line["out_of_time"]), lines["gc run"][-1]
    assert hurried["overdue"] == 1
    assert hurried["oldest_seconds"] == pytest.approx(2 * 86_400, abs=60)
    assert (last["overdue"], last["oldest_seconds"]) == (0, 0)


def test_a_poison_review_is_told_from_the_sixth_time_on(lines: dict[str, list[dict[str, Any]]]) -> None:
    again = lines["a review fails again and again"]
    assert [line["attempts"] for line in again] == [6, 7]
    assert {(line["severity"], line["level"], line["reason"]) for line in again} == {
        ("ERROR", "manifest", "Conflict: poisoned")
    }
    assert len(lines["a review failed and was rescheduled"]) == 7
