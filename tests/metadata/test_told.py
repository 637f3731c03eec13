"""Every transaction that changes content is told who does it and why, in no statement more than it had."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re

import pytest

from functions.registry import metadata, telemetry, told
from functions.registry.metadata.content import manifests, moves, removal, repository_settings, tags
from functions.registry.metadata.content.repository_settings import SettingsChange
from functions.registry.metadata.db import STATEMENTS, Database
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.told import Request, Told
from tests.metadata.build import APP, push_image, put, query, value

for _module in pkgutil.walk_packages(metadata.__path__, f"{metadata.__name__}."):
    importlib.import_module(_module.name)

_SOMEBODY = Told("robot:ci", "client", Request("PUT", "registry.example.com", "192.0.2.7", "crane/1", "abc"))
_SPY = """
    CREATE TABLE heard (what text, actor text, cause text);
    CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO heard VALUES (TG_TABLE_NAME || ' ' || TG_OP, coalesce(current_setting('slipway.actor', true), ''),
                                  coalesce(current_setting('slipway.cause', true), ''));
        RETURN NULL;
    END $$;
    CREATE TRIGGER hear AFTER INSERT OR UPDATE OR DELETE ON tags FOR EACH STATEMENT EXECUTE FUNCTION hear();
    CREATE TRIGGER hear AFTER INSERT OR UPDATE OR DELETE ON manifests FOR EACH STATEMENT EXECUTE FUNCTION hear();
    CREATE TRIGGER hear AFTER UPDATE OR DELETE ON repositories FOR EACH ROW EXECUTE FUNCTION hear();
    CREATE TRIGGER hear AFTER DELETE ON manifest_children FOR EACH STATEMENT EXECUTE FUNCTION hear();
    CREATE TRIGGER hear AFTER DELETE ON manifest_blobs FOR EACH STATEMENT EXECUTE FUNCTION hear();
    CREATE TRIGGER hear AFTER DELETE ON sparse_references FOR EACH STATEMENT EXECUTE FUNCTION hear();
"""
# A repository that is made is told of with its first manifest, and what a manifest names with the manifest.
_CHANGED = (
    r"\b(INSERT INTO|UPDATE|DELETE FROM|MERGE INTO)\s+(tags|manifests)\b|\b(UPDATE|DELETE FROM)\s+repositories\b"
    r"|\bDELETE FROM\s+(manifest_children|manifest_blobs|sparse_references)\b"
)


def settings(database: Database) -> str:
    return str(value(database, "SELECT coalesce(current_setting('slipway.actor', true), '')"))


def test_whatever_changes_content_is_told(database: Database) -> None:
    """It is found by text, and by what the database knows of the functions that statements call."""
    for name, statement in STATEMENTS.items():
        if re.search(_CHANGED, statement.sql):
            assert statement.is_change, name
    changing = {
        function
        for function, text in query(
            database, "SELECT proname, prosrc FROM pg_proc WHERE prorettype <> 'trigger'::regtype"
        )
        if re.search(_CHANGED, text)
    }
    for name, statement in STATEMENTS.items():
        assert not changing & set(re.findall(r"\b([a-z_]+) *\(", statement.sql)), name


def test_each_writer_tells_who_and_why(database: Database) -> None:
    with_spy(database)
    new = RepositoryName("team/new")
    with told.telling(_SOMEBODY):
        image = push_image(database, APP, "v1")
        put(database, APP, image.manifest, "v2")
        removal.delete_tags(database, APP, [Tag("v2")])
        tags.delete(database, APP, Tag("v1"))
        repository_settings.change(database, APP, SettingsChange(keep_untagged=True))
        manifests.delete(database, APP, image.digest)
        put(database, APP, image.manifest, "v3")
        moves.move(database, APP, new, with_below=False, dry_run=False)
        removal.remove(database, new)
    heard = query(database, "SELECT what, actor, cause FROM heard")
    assert {what for what, _, _ in heard} >= {"tags INSERT", "tags DELETE", "manifests DELETE", "repositories UPDATE"}
    assert {(actor, cause) for _, actor, cause in heard} == {("robot:ci", "client")}, heard


def with_spy(database: Database) -> None:
    """Says of each change of content what its transaction was told."""
    database.transaction(lambda session: session._connection.simple(_SPY))


def test_what_was_told_ends_with_its_transaction(database: Database) -> None:
    with told.telling(_SOMEBODY):
        push_image(database, APP, "v1")
    assert settings(database) == ""
    tags.delete(database, APP, Tag("v1"))
    assert settings(database) == ""


def test_it_takes_no_statement_more_where_one_tells_by_the_way(database: Database) -> None:
    image = push_image(database, APP, "v1")
    with telemetry.recording() as silent:
        put(database, APP, image.manifest, "v2")
    with told.telling(_SOMEBODY), telemetry.recording() as telling:
        put(database, APP, image.manifest, "v3")
    assert telling.statements == silent.statements
    with told.telling(_SOMEBODY), telemetry.recording() as record:
        repository_settings.change(database, APP, SettingsChange(keep_untagged=True))
    assert record.statements[0] == "tell"


def test_another_cause_keeps_the_actor() -> None:
    with told.telling(_SOMEBODY), told.because("restore"):
        now = told.current()
        assert now is not None
        assert (now.actor, now.cause, now.request) == ("robot:ci", "restore", _SOMEBODY.request)
    assert told.current() is None


@pytest.mark.parametrize("text", ["x" * 5000, "\x00\x01\n" * 400, "é" * 3000, '"\\' * 2000, ""])
def test_a_request_is_short_json_whatever_a_client_sends(database: Database, text: str) -> None:
    sent = Request(text, text, text, text, text).as_json()
    assert len(sent) <= 1024
    assert json.loads(sent).keys() == {"method", "host", "address", "agent", "id"}
    assert query(database, "SELECT CAST(:sent AS jsonb) IS NOT NULL", sent=sent) == [[True]]
