"""Brings a database's schema up to what this release knows.

There are two lines of migrations: *pre* (expand: run before the new code serves; the previous release goes on working)
and *post* (contract: run once no older code is left).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import sqlalchemy
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.pool import NullPool

from functions.migrate.grants import NOBODY, Users, give
from functions.migrate.sql import VERSIONS, NotFinished
from functions.registry.metadata.connections.opening import connect_dbapi

LINES: Final = ("pre", "post")
# Any number will do, as long as every release uses the same.
_LOCK: Final = 7_305_411_929
_AGAIN_SECONDS: Final = 0.1
# Whatever it made, and what belongs to nobody's extension.
_TAKE_DOWN: Final = """
    DO $$ DECLARE thing record; BEGIN
        FOR thing IN SELECT relname, relkind FROM pg_class
                      WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') LOOP
            EXECUTE format(CASE thing.relkind WHEN 'v' THEN 'DROP VIEW IF EXISTS public.%I CASCADE'
                                              ELSE 'DROP TABLE IF EXISTS public.%I CASCADE' END, thing.relname);
        END LOOP;
        FOR thing IN SELECT oid::regprocedure AS name FROM pg_proc AS made
                      WHERE pronamespace = 'public'::regnamespace
                        AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = made.oid AND deptype = 'e') LOOP
            EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', thing.name);
        END LOOP;
    END $$
"""


class SchemaNewer(Exception):
    """The database was migrated by a later release than this one."""


@dataclass(frozen=True, slots=True)
class Schema:
    """It says where a database stands: the revisions it has, and those of each line that it lacks."""

    current: list[str]
    pending: dict[str, list[str]]


def inspect(url: str) -> Schema:
    """Raises SchemaNewer."""
    script = _script()
    with _connected(url) as connection:
        return _inspect(connection, script)


def upgrade(url: str, lines: tuple[str, ...] = LINES, users: Users = NOBODY, to: Sequence[str] = ()) -> list[str]:
    """Applies what is pending of `lines` and returns it. Each migration is one transaction, unless it says otherwise.
    With revisions in `to` it goes no further than these.
    Then `users` get their rights, whether anything was pending or not; with *post* they lose those that aren't listed
    any more, and what they lost is returned with the rest.

    Safe to call twice at once: the second waits for the first and finds nothing to do. Raises SchemaNewer; and
    NotFinished, after all of this, where a revision of *post* stands on a background migration that has rows left.
    """
    script = _script()
    waits: NotFinished | None = None
    with _connected(url) as connection:
        # A migration, and waiting for another caller's, takes as long as it takes; a table's lock does not.
        connection.exec_driver_sql("SET statement_timeout = 0")
        _wait_for_lock(connection)
        try:
            pending = _inspect(connection, script).pending
            connection.commit()  # the lock is the session's; each migration now begins a transaction of its own
            try:
                for revision in _known(script, to):
                    _upgrade(connection, script, revision)
                for line in () if to else lines:
                    if pending[line]:
                        for needed in _needed(script, pending[line]):
                            _upgrade(connection, script, needed)
                        _upgrade(connection, script, f"{line}@head")
            except NotFinished as error:
                waits = error
            left = _inspect(connection, script).pending
            connection.commit()
            taken = give(connection, users, takes_away="post" in lines)
        finally:
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")
    applied = [revision for line in LINES for revision in pending[line] if revision not in left[line]] + taken
    if waits is not None:
        waits.applied = applied
        raise waits
    return applied


def schema_of(url: str) -> list[str]:
    """The revisions that the database is at; none if it has no schema yet."""
    with _connected(url) as connection:
        return sorted(MigrationContext.configure(connection).get_current_heads())


def take_down(url: str) -> None:
    """Takes everything of a registry's schema away, with all that is in it: for one that holds nothing."""
    with _connected(url) as connection:
        connection.exec_driver_sql(_TAKE_DOWN)
        connection.commit()


def _wait_for_lock(connection: Connection) -> None:
    """Asks again and again: whoever has the lock may be making an index beside others' writes, which waits for each
    transaction that is open, and so for one that waits for the lock.
    """
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar_one():
        connection.commit()
        time.sleep(_AGAIN_SECONDS)
    connection.commit()


def _known(script: ScriptDirectory, revisions: Sequence[str]) -> list[str]:
    """Returns them with *pre* first, which *post* stands on. Raises SchemaNewer."""
    known = {revision.revision for revision in script.walk_revisions()}
    if unknown := sorted(set(revisions) - known):
        raise SchemaNewer(f"{', '.join(unknown)} is of a later release than this one: use that")
    return sorted(revisions, key=lambda revision: not revision.startswith("pre_"))


def _inspect(connection: Connection, script: ScriptDirectory) -> Schema:
    current = list(MigrationContext.configure(connection).get_current_heads())
    known = {revision.revision: revision for revision in script.walk_revisions()}
    unknown = [revision for revision in current if revision not in known]
    if unknown:
        raise SchemaNewer(
            f"the database is at {', '.join(unknown)}, which this release does not know: deploy a newer one"
        )
    applied = {revision.revision for revision in script.iterate_revisions(tuple(current), "base")} if current else set()
    pending = {
        line: [
            name for name, revision in reversed(known.items()) if line in revision.branch_labels and name not in applied
        ]
        for line in LINES
    }
    return Schema(sorted(current), pending)


def _needed(script: ScriptDirectory, names: list[str]) -> list[str]:
    """Returns the revisions of *pre* that these of *post* stand on, as each says in `needs`.

    Alembic's own `depends_on` won't do: the database then forgets a line whose last revision another one depends on,
    and the functions ask it for the last of each.
    """
    modules = [script.get_revision(name).module for name in names]
    return [module.needs for module in modules if hasattr(module, "needs")]


def _upgrade(connection: Connection, script: ScriptDirectory, to: str) -> None:
    connection.commit()  # in a transaction that is open, which takes no more than a look, all migrations would be one
    with EnvironmentContext(
        _config(),
        script,
        fn=lambda revision, _: script._upgrade_revs(to, revision),  # noqa: SLF001  # Alembic's own way in
    ) as environment:
        environment.configure(connection=connection, transaction_per_migration=True)
        with environment.begin_transaction():
            environment.run_migrations()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(VERSIONS.parent))
    config.set_main_option("version_locations", os.pathsep.join(str(VERSIONS / line) for line in LINES))
    config.set_main_option("path_separator", "os")
    return config


def _script() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = sqlalchemy.create_engine("postgresql+pg8000://", creator=lambda: connect_dbapi(url), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection
