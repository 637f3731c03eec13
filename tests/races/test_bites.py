"""The races notice what they are there for: each test breaks one statement on its way to the server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from functions.registry.metadata.content import manifests
from tests.metadata.build import APP
from tests.races import schedules
from tests.races.operations import OPERATIONS, Cast, Operation
from tests.races.pairs import Arena, Pair, Schedules
from tests.races.props import IMAGE, manifest
from tests.races.schedules import Perform
from tests.races.stage import Performance

Break = Callable[[str, str], None]


def _head(cast: Cast) -> str:
    return "finds no manifest" if manifests.confirm(cast.database, APP, IMAGE.digest) is None else "succeeds"


# A client that finds a manifest skips its push.
HEAD = Operation("HEAD of a manifest", ("untagged", "tagged", "listed"), _head, keeps=(manifest(IMAGE.manifest),))


@pytest.fixture
def breaking(arena: Arena) -> Iterator[Break]:
    """Replaces a piece of every statement that has it; undone afterwards."""
    used: list[str] = []

    def replace(piece: str, by: str) -> None:
        def rewrite(sql: str) -> str:
            if piece in sql:
                used.append(sql)
            return sql.replace(piece, by)

        arena.break_statements(rewrite)

    yield replace
    arena.break_statements(lambda sql: sql)
    assert used, "no statement had that piece"


def race(arena: Arena, first: str, second: str, scene: str) -> None:
    arena.race(Pair(OPERATIONS[first], OPERATIONS[second]), scene, schedules.bounded)


def test_a_collector_that_decides_before_it_locks_the_links_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("FOR UPDATE OF review, link SKIP LOCKED", "")
    with pytest.raises(AssertionError, match=r"HEAD found each blob, then the push missed one|is gone"):
        race(arena, "HEAD, then PUT", "collect links", "linked")


def test_a_collector_that_does_not_lock_the_manifests_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("FOR UPDATE OF review, manifests SKIP LOCKED", "")
    with pytest.raises(AssertionError, match="ran into a constraint"):
        race(arena, "manifest PUT", "collect manifests", "untagged")


def test_a_collector_that_locks_the_review_alone_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("FOR UPDATE OF review, blobs SKIP LOCKED", "FOR UPDATE OF review SKIP LOCKED")
    with pytest.raises(AssertionError, match="ran into a constraint"):
        race(arena, "blob commit", "collect blobs", "unlinked")


def test_a_head_that_does_not_lock_the_link_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("FOR KEY SHARE OF link\n    ), renewed", "), renewed")
    with pytest.raises(AssertionError, match="HEAD found each blob, then the push missed one"):
        race(arena, "HEAD, then PUT", "collect links", "linked")


def a_few(perform: Perform, seed: str) -> Iterator[Performance]:
    return schedules.sample(perform, 20, seed)


@pytest.mark.parametrize("within", [a_few, pytest.param(schedules.bounded, marks=pytest.mark.slow)], ids=["few", "all"])
@pytest.mark.parametrize("scene", HEAD.scenes)
def test_a_manifest_that_a_head_found_stays(arena: Arena, scene: str, within: Schedules) -> None:
    """All schedules of a scene take four seconds."""
    arena.race(Pair(HEAD, OPERATIONS["collect manifests"]), scene, within)


def test_a_head_that_does_not_lock_the_manifest_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("FOR KEY SHARE OF manifests", "")
    with pytest.raises(AssertionError, match=r"HEAD of a manifest succeeded, and manifest \S+ is gone"):
        arena.race(Pair(HEAD, OPERATIONS["collect manifests"]), "untagged", schedules.bounded)


@pytest.mark.parametrize(
    ("head", "collector", "promise"),
    [
        ("HEAD, then PUT", "collect links", "HEAD found each blob, then the push missed one"),
        ("HEAD, then index PUT", "collect manifests", "HEAD found the manifest, then the push missed it"),
    ],
)
def test_a_look_that_never_says_that_a_review_is_due_soon_is_noticed(
    arena: Arena, breaking: Break, head: str, collector: str, promise: str
) -> None:
    breaking("coalesce(review.review_after < now() + (", "false AND coalesce(review.review_after < now() + (")
    with pytest.raises(AssertionError, match=promise):
        race(arena, head, collector, "linked" if "links" in collector else "untagged")


def test_settling_a_review_that_was_queued_meanwhile_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("WHERE manifest_id = ANY (CAST(:ids AS bigint[])) AND review_after < now()", "WHERE true")
    with pytest.raises(AssertionError, match="nothing will ever review manifest"):
        race(arena, "tag delete", "collect manifests", "tagged")


def test_a_commit_that_does_not_lock_the_blob_it_finds_is_noticed(arena: Arena, breaking: Break) -> None:
    update = (
        "DO UPDATE\n       SET object_name = excluded.object_name, crc32c = excluded.crc32c, damaged_at = NULL\n"
        "     WHERE blobs.damaged_at IS NOT NULL"
    )
    breaking(update, "DO NOTHING")
    with pytest.raises(AssertionError, match=r"repository_blobs_blob|blob commit succeeded, and link \S+ \S+ is gone"):
        race(arena, "blob commit", "collect blobs", "unlinked")


def test_a_commit_that_relies_on_an_object_that_nobody_looked_at_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("blobs.object_name IN (:object_name, :seen)", "coalesce(CAST(:object_name AS text), :seen) IS NOT NULL")
    with pytest.raises(AssertionError, match="blob commit succeeded, and bytes of"):
        race(arena, "blob commit", "mark", "lost")


def test_a_mark_that_does_not_say_which_object_was_lost_is_noticed(arena: Arena, breaking: Break) -> None:
    breaking("AND object_name = :object_name AND damaged_at", "AND CAST(:object_name AS text) <> '' AND damaged_at")
    with pytest.raises(AssertionError, match="is marked, though its object is there"):
        race(arena, "blob commit", "mark", "lost")
