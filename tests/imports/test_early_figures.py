"""An import fills tables faster than the planner's figures are made anew: no step may come to read them whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from functions.registry.metadata.driver import Connection
from functions.registry.metadata.imports.bulk import last_steps, listed
from functions.registry.metadata.statements.statement import Call
from tests.metadata.test_plans import nodes

# When the planner counted, and when it is asked.
FEW: Final = 10
MANY: Final = 2000
# So many repositories come in one step, each with so many manifests and tags.
AT_ONCE: Final = 20
EACH: Final = 5
# A handful of rows for each tag; all that is there would be a hundred times that.
MOST_ROWS: Final = 20 * AT_ONCE * EACH

_SOURCE: Final = """
    ALTER TABLE import_repositories SET (autovacuum_enabled = off);
    ALTER TABLE manifests SET (autovacuum_enabled = off);
    ALTER TABLE tags SET (autovacuum_enabled = off);
    INSERT INTO import_sources (kind, address) VALUES ('layout', 'gs://elsewhere');
    INSERT INTO namespaces (name) VALUES ('team');
"""
_REPOSITORIES: Final = """
    SET session_replication_role = replica;
    INSERT INTO repositories (namespace_id, name)
    SELECT namespaces.id, 'team/' || number FROM namespaces, generate_series({first}, {last}) AS number;
    INSERT INTO import_repositories (source_id, path, name, repository_id, state, lease_until)
    SELECT import_sources.id, repositories.name, repositories.name, repositories.id, 'importing', 'infinity'
      FROM import_sources, repositories
     WHERE NOT EXISTS (SELECT FROM import_repositories AS old WHERE old.name = repositories.name);
    INSERT INTO manifests (repository_id, digest, media_type, payload)
    SELECT repositories.id, '\\x01' || sha256(convert_to(repositories.name || number, 'UTF8')), 'any', '{{}}'
      FROM repositories, generate_series(1, {each}) AS number
     WHERE NOT EXISTS (SELECT FROM manifests WHERE manifests.repository_id = repositories.id);
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT repository_id, 'v' || id, id FROM manifests
     WHERE NOT EXISTS (SELECT FROM tags WHERE tags.manifest_id = manifests.id);
    SET session_replication_role = origin;
"""
_REVIEWED: Final = """
    SELECT old.id, count(*)
      FROM manifest_reviews
      JOIN manifests ON manifests.id = manifest_id
      JOIN import_repositories AS old ON old.repository_id = manifests.repository_id
     WHERE old.id = ANY (CAST(:ids AS bigint[]))
     GROUP BY 1
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with closing(Connection(database_url)) as connection:
        connection.simple(_SOURCE)
        connection.simple(_REPOSITORIES.format(first=1, last=FEW, each=EACH))
        connection.simple("ANALYZE import_repositories, manifests, tags")
        connection.simple(_REPOSITORIES.format(first=FEW + 1, last=MANY, each=EACH))
        connection.simple("SET enable_seqscan = off")  # as every session of the functions
        yield connection


def rows_looked_at(connection: Connection, call: Call[Any]) -> float:
    """Runs it, and sums up what each part of its plan gave, each time it was run."""
    explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {call.statement.sql}"
    (((plan,),),) = [outcome.rows for outcome in connection.run([(explained, dict(call.values))])]
    rows: float = sum(node["Actual Rows"] * node["Actual Loops"] for node in nodes(plan[0]["Plan"]))
    return rows


def test_a_listed_tag_is_put_without_reading_all_repositories(connection: Connection) -> None:
    ((source_id,),) = connection.run([("SELECT id FROM import_sources", {})])[0].rows
    paths = [f"team/{MANY - number // EACH}" for number in range(AT_ONCE * EACH)]
    now = datetime.now(UTC)
    tags = {
        "names": [f"new-{number}" for number in range(len(paths))],
        "digests": [b"\x01" + bytes(32)] * len(paths),
        "generations": [1] * len(paths),
        "created": [now] * len(paths),
        "updated": [now] * len(paths),
    }
    assert rows_looked_at(connection, listed._PUT_TAGS(source_id=source_id, paths=paths, **tags)) < MOST_ROWS
    assert connection.run([("SELECT count(*) FROM import_tags", {})])[0].rows == [[len(paths)]]


def test_what_has_no_tag_is_found_without_reading_all_manifests(connection: Connection) -> None:
    ids = [
        row[0] for row in connection.run([("SELECT id FROM import_repositories ORDER BY id DESC LIMIT 20", {})])[0].rows
    ]
    call = last_steps._REVIEW_MANIFESTS(ids=ids, repository_id=0, digest=b"", limit=5000)
    assert rows_looked_at(connection, call) < MOST_ROWS


def test_all_that_has_no_tag_is_reviewed_part_by_part(connection: Connection) -> None:
    connection.simple("DELETE FROM tags; DELETE FROM manifest_reviews")
    wanted = "SELECT id FROM import_repositories ORDER BY id DESC LIMIT 3"
    ids = [row[0] for row in connection.run([(wanted, {})])[0].rows]
    after: Any = (0, b"")
    parts = 0
    while after:
        call = last_steps._REVIEW_MANIFESTS(ids=ids, repository_id=after[0], digest=after[1], limit=4)
        rows = connection.run([(call.statement.sql, dict(call.values))])[0].rows
        after = rows[0] if rows else None
        parts += 1
    assert [row[1] for row in connection.run([(_REVIEWED, {"ids": ids})])[0].rows] == [EACH] * 3
    assert connection.run([("SELECT count(*) FROM manifest_reviews", {})])[0].rows == [[3 * EACH]]
    assert parts == -(-3 * EACH // 4)
