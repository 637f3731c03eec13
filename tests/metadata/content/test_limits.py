"""A tag that a token makes immutable is made once, however many push it at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest

from functions.registry.metadata.content import limits, pushes
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import Call, ChangeRefused, Database, Session
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.media_type import OCI_INDEX
from functions.registry.oci.name import Tag
from tests.metadata.build import APP, OTHER, push_image, value, wait_until_blocked
from tests.support import index_of

V1 = Tag("v1")


def limited(tag: Tag, annotation: str) -> list[Call[Any]]:
    """A push of an index, whose token makes the tag immutable, as a batch."""
    payload = index_of(annotations={"n": annotation})
    push = Push(APP, Digest.of(payload), parse_manifest(payload, OCI_INDEX), payload, [tag])
    begin = pushes._BEGIN(repository=APP, tags=[tag], rank="0")
    return [begin, limits.unless_tagged(APP, [tag]), *pushes.putting(push)]


def tags(database: Database) -> list[str]:
    found: list[str] = value(database, "SELECT array_agg(name ORDER BY name) FROM tags")
    return found


def test_a_tag_that_is_there_is_not_pushed_again(database: Database) -> None:
    push_image(database, APP, "v1", "w1")
    push_image(database, OTHER, "v2")
    with pytest.raises(ChangeRefused, match="the token makes tag v1 immutable"):
        database.batch(limited(V1, "a"))
    database.batch(limited(Tag("v2"), "b"))
    database.batch([limits.unless_tagged(APP, [])])
    assert tags(database) == ["v1", "v2", "v2", "w1"]


def test_of_two_pushes_at_once_the_second_is_refused(database: Database, database_url: str) -> None:
    push_image(database, APP, "another")
    with closing(Database(database_url, size=1)) as slow, slow._pool.connection(may_block=False) as connection:
        connection.simple("BEGIN")
        Session(connection).batch(limited(V1, "first"))
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(database.batch, limited(V1, "second"))
            wait_until_blocked(database)
            connection.simple("COMMIT")
            with pytest.raises(ChangeRefused, match="v1"):
                waiting.result(10)
    assert value(database, "SELECT count(*) FROM manifests WHERE annotations ->> 'n' = 'second'") == 0


def test_of_a_crowd_one_makes_the_tag(database: Database) -> None:
    push_image(database, APP, "another")

    def push(number: int) -> bool:
        try:
            database.batch(limited(V1, str(number)))
        except ChangeRefused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(push, range(8))) == [*[False] * 7, True]
