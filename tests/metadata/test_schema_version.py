"""A release works with a schema that has what it needs and lacks nothing that it may use; with no other."""

from __future__ import annotations

import json
import time

import pytest

from functions.migrate import schema
from functions.registry.metadata import schema_version
from functions.registry.metadata.db import Database
from functions.registry.metadata.schema_version import LATEST_POST, NEEDED, SchemaCheck, SchemaUnknown, refusal
from tests.metadata.build import query
from tests.support import Registry


def test_it_names_the_last_revisions_there_are() -> None:
    script = schema._script()
    assert set(script.get_heads()) == {NEEDED, LATEST_POST}


@pytest.mark.parametrize(
    ("applied", "reason"),
    [
        ([NEEDED, LATEST_POST], None),
        ([NEEDED], None),
        (["pre_9999", LATEST_POST], None),
        (["pre_0000", LATEST_POST], f"the schema lacks {NEEDED}"),
        ([], f"the schema lacks {NEEDED}"),
        ([NEEDED, "post_9999"], "the schema is at post_9999, of a later release"),
    ],
)
def test_what_a_release_can_work_with(applied: list[str], reason: str | None) -> None:
    found = refusal(applied)
    assert found is None if reason is None else (found or "").startswith(reason)


def test_an_api_in_front_of_another_schema_refuses_until_it_is_migrated(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database = registry.services.database
    monkeypatch.setattr(schema_version, "_AGAIN_SECONDS", 0.2)
    query(database, "UPDATE alembic_version SET version_num = 'pre_0000' WHERE version_num LIKE 'pre%'")
    try:
        assert registry.request("GET", "/v2/").status_code == 200, "a probe is answered"
        answer = registry.request("GET", "/v2/a/b/tags/list")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (line,) = [line for line in logged if line["message"] == "the schema is not one that this release knows"]
        assert line["severity"] == "ERROR"
        assert NEEDED in line["reason"]
    finally:
        query(database, "UPDATE alembic_version SET version_num = :needed WHERE version_num LIKE 'pre%'", needed=NEEDED)
    time.sleep(0.3)
    assert registry.request("GET", "/v2/a/b/tags/list").status_code == 404


def test_it_is_asked_once(database: Database) -> None:
    check = SchemaCheck(database)
    check.require()
    query(database, "UPDATE alembic_version SET version_num = 'pre_0000' WHERE version_num LIKE 'pre%'")
    try:
        check.require()
        with pytest.raises(SchemaUnknown, match="call the function migrate"):
            SchemaCheck(database).require()
    finally:
        query(database, "UPDATE alembic_version SET version_num = :needed WHERE version_num LIKE 'pre%'", needed=NEEDED)
