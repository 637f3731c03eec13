"""A table of tags from before a column was there, and migrations of it that count what they do to each row."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from functions.migrate.background.jobs import JOBS, Job
from functions.migrate.background.runner import Runner
from functions.registry.metadata.background import tag_subjects
from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.driver import Connection
from tests.metadata.build import query, value
from tests.statements import of_tests

REGISTERED: Final = """
    SELECT register_background_migration('tag_subjects', 'tags', '{repository_id,name}', '[0, ""]', 'SELECT 1')
"""
# Some have a subject by their names; none says so. Written as they were then, without triggers.
_TAGS: Final = """
    SET session_replication_role = replica;
    INSERT INTO namespaces (name) VALUES ('old');
    INSERT INTO namespace_usage (namespace_id) SELECT id FROM namespaces;
    INSERT INTO repositories (namespace_id, name) SELECT id, 'old/r' || n FROM namespaces, generate_series(1, 10) AS n;
    INSERT INTO repository_usage (repository_id, namespace_id) SELECT id, namespace_id FROM repositories;
    INSERT INTO manifests (repository_id, digest, media_type, payload)
    SELECT id, '\\x01' || sha256(int4send(1)), 'application/vnd.oci.image.manifest.v1+json', '{}' FROM repositories;
    INSERT INTO tags (repository_id, name, manifest_id)
    SELECT manifests.repository_id, 'v' || n, manifests.id FROM manifests, generate_series(1, $plain) AS n
     UNION ALL
    SELECT manifests.repository_id, 'sha256-' || encode(sha256(int4send(n)), 'hex') || '.sig', manifests.id
      FROM manifests, generate_series(1, $signatures) AS n;
    ANALYZE tags;
"""
PENDING: Final = "SELECT count(*) FROM tags WHERE subject IS DISTINCT FROM tag_subject(name)"


def old_tags(url: str, plain: int = 600, signatures: int = 500) -> int:
    """Registers the migration of them; fewer than 10,000 would be done at once. Returns how many they are."""
    connection = Connection(url)
    connection.simple(_TAGS.replace("$plain", str(plain)).replace("$signatures", str(signatures)))
    connection.simple("RESET session_replication_role; DELETE FROM background_migrations")
    connection.simple(REGISTERED)
    connection.close()
    return 10 * (plain + signatures)


def register(database: Database, **changed: str) -> None:
    """A migration beside those that the schema registers, with these columns as SQL has them; nobody works at it."""
    columns = {"name": "'other'", "table_name": "'tags'", "key_columns": "'{repository_id,name}'", "total": "200"}
    columns |= {"start": "'[0, \"\"]'", "last": "'[5, \"a\"]'", "stop": "'[9, \"z\"]'", "rows_done": "50", **changed}
    names, values = ", ".join(columns), ", ".join(columns.values())
    query(database, f"INSERT INTO background_migrations ({names}) VALUES ({values})")  # noqa: S608  # a test's own words


def finish(runner: Runner, most: int = 1000) -> None:
    """Works until there is nothing left to do."""
    for _ in range(most):
        if not runner.work(time.monotonic() + 30):
            return
    raise AssertionError(f"not finished after {most} batches")


def migration(database: Database, columns: str, name: str = "tag_subjects") -> tuple[Any, ...]:
    sql = f"SELECT {columns} FROM background_migrations WHERE name = :name"  # noqa: S608  # columns that a test names
    (found,) = query(database, sql, name=name)
    return tuple(found)


def pending(database: Database) -> int:
    """Returns how many tags don't say what they belong to."""
    return int(value(database, PENDING))


_BEYOND: Final = of_tests(
    "test_tags_beyond",
    str,
    """
    SELECT name FROM tags
     WHERE (repository_id, name) > (CAST(CAST(:after AS jsonb) ->> 0 AS bigint), CAST(:after AS jsonb) ->> 1)
       AND (repository_id, name) <= (CAST(CAST(:upto AS jsonb) ->> 0 AS bigint), CAST(:upto AS jsonb) ->> 1)
     ORDER BY repository_id, name
    """,
)


def names_between(session: Session, after: str, upto: str) -> list[str]:
    """Returns the tags of a batch, in the order in which it goes through them."""
    return session.all(_BEYOND(after=after, upto=upto))


def failing(fails: Callable[[list[str]], bool], error: Callable[[], Exception]) -> dict[str, Job]:
    """The migration of tags, but that it fails for some of their names: once, or each time."""

    def fill(session: Session, after: str, upto: str) -> None:
        if fails(names_between(session, after, upto)):
            raise error()
        tag_subjects.fill(session, after, upto)

    return {"tag_subjects": Job(JOBS["tag_subjects"].part, fill)}
