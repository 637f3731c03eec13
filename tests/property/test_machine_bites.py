"""The machine finds what it is there to find: each of these mistakes fails it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock

import pytest
from hypothesis import Phase
from hypothesis.errors import Flaky

from functions.api.v2 import upload_body
from functions.registry.metadata.content import blobs, commits, manifests, upload_parts, uploads
from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.metadata.driver import Connection, Outcome
from functions.registry.metadata.gc import deletions, reviews
from functions.registry.uploading import part as storing
from tests.property.machine import Machine
from tests.property.running import run
from tests.support import Registry

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0)]

# As soon as the mistake is found, it ends.
RUNS: Final = 400
STEPS: Final = 40

# A statement, and what it says by mistake instead.
STATEMENTS: Final[dict[str, tuple[Statement[Any], str, str]]] = {
    "a HEAD of a blob gives no lease": (
        blobs._CONFIRM,
        "AND review.review_after < now()",
        "AND false AND now() > now()",
    ),
    "a HEAD of a manifest gives no lease": (
        manifests._CONFIRM,
        "AND review.review_after < now()",
        "AND false AND now() > now()",
    ),
    "a HEAD of a blob does not lock": (blobs._CONFIRM, "FOR KEY SHARE OF link", ""),
    "reviews queued again are dropped": (reviews.MANIFESTS.complete_statement, "AND review_after < now()", ""),
    "nobody reviews what holds garbage": (reviews._REVIEW_HOLDERS, "AND NOT is_reached(holder.id)", "AND false"),
    "untagged manifests are never kept": (reviews._DELETE_MANIFESTS, "AND NOT repositories.keep_untagged", ""),
    "links stay while another repository names the blob": (
        reviews._DELETE_LINKS,
        "FROM manifest_blobs AS named\n                        WHERE named.repository_id = link.repository_id AND ",
        "FROM manifest_blobs AS named\n                        WHERE ",
    ),
    "objects go before the URLs to them": (deletions._CLAIM, "WHERE not_before <= now()", "WHERE true"),
    "a push renews no lease": (commits._COMMIT_LINK, "DO UPDATE SET linked_at = now()", "DO NOTHING"),
    "a mount renews no lease": (blobs._MOUNT, "DO UPDATE SET linked_at = now()", "DO UPDATE SET size = 0 WHERE false"),
    "an upload ends before its time": (uploads._EXPIRE, "WHERE expires_at <= now()", "WHERE true"),
}

# A function of the database, and what it says by mistake instead.
FUNCTIONS: Final = {
    "subjects do not hold their referrers": ("is_reached", "WHERE referrer.id = ANY (level)", "WHERE false"),
    "indexes do not hold their children": ("is_reached", "WHERE child_id = ANY (level)", "WHERE false"),
    "a subject's end is not told to its referrers": ("review_referrers", "BEGIN", "BEGIN RETURN NULL;"),
    "an index's end is not told to its children": ("review_children", "BEGIN", "BEGIN RETURN NULL;"),
    "a moved tag is not noticed": ("review_moved", "BEGIN", "BEGIN RETURN NULL;"),
    "links that are let go are not noticed": ("review_released_links", "BEGIN", "BEGIN RETURN NULL;"),
    "a blob's own object is queued for deletion": (
        "queue_deletion_of_upload_objects",
        "WHERE NOT EXISTS",
        "WHERE true OR NOT EXISTS",
    ),
    "blobs leave their objects": ("queue_deletion_of_blobs", "BEGIN", "BEGIN RETURN NULL;"),
    "bytes are counted by repository": ("count_namespace_blobs", "sum(size)", "sum(size * links)"),
}


def fails(machine: type[Machine]) -> None:
    """Without making the history short. What depends on threads may not come twice: that is found as well."""
    with pytest.raises((AssertionError, Flaky, ExceptionGroup)):
        run(machine, RUNS, STEPS, phases=(Phase.generate,))


@pytest.mark.parametrize("mistake", STATEMENTS)
def test_a_mistake_in_a_statement(machine: type[Machine], mistake: str) -> None:
    statement, right, wrong = STATEMENTS[mistake]
    before = statement.sql
    assert right in before
    object.__setattr__(statement, "sql", before.replace(right, wrong))
    try:
        fails(machine)
    finally:
        object.__setattr__(statement, "sql", before)


@pytest.mark.parametrize("mistake", FUNCTIONS)
def test_a_mistake_in_the_database(machine: type[Machine], registry: Registry, mistake: str) -> None:
    name, right, wrong = FUNCTIONS[mistake]
    with replaced(registry, name, right, wrong):
        fails(machine)


@contextmanager
def replaced(registry: Registry, name: str, right: str, wrong: str) -> Iterator[None]:
    connection = Connection(registry.services.settings.database)
    find = "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE proname = :name"
    ((before,),) = connection.run([(find, {"name": name})])[0].rows
    assert right in before
    connection.simple(before.replace(right, wrong))
    try:
        yield
    finally:
        connection.simple(before)
        connection.close()


def test_a_batch_that_is_not_atomic(machine: type[Machine]) -> None:
    def batch(self: Database, calls: Sequence[Call[Any]]) -> list[Outcome]:
        return [self._run(lambda session, call=call: session.batch([call])[0], [call]) for call in calls]  # type: ignore[misc]

    with mock.patch.object(Database, "batch", batch):
        fails(machine)


def test_an_object_that_is_named_too_late(machine: type[Machine]) -> None:
    def advance(database: Database, upload: Any, part: Any, *others: Any) -> Any:
        upload_parts.name_object(database, upload, part.object_name)
        return upload_parts.advance(database, upload, part, *others)

    late = mock.Mock(wraps=uploads, name_object=lambda *_: True, advance=advance)
    with mock.patch.object(upload_body, "uploads", late), mock.patch.object(storing, "uploads", late):
        fails(machine)
