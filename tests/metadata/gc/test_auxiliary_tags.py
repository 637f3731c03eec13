"""Tags that are named after a manifest go once it has gone for good: not before it, and not without it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import pytest

from functions.registry import told
from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import manifests, moves, removal, tags
from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.gc.reviews import LINKS, MANIFESTS
from functions.registry.metadata.gc.tag_reviews import TAGS
from functions.registry.metadata.history import deleted, ending, restoring
from functions.registry.metadata.history.restoring import Wanted
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import APP, OTHER, pass_time, push_image, put, query, set_grace, value
from tests.support import Image

V1: Final = Tag("v1")
SUFFIXES: Final = ("", ".att", ".sbom", ".sig")


@pytest.fixture(autouse=True)
def graces(database: Database) -> None:
    set_grace(database, undo=168, push=0, untag=0, cascade=10, upload=0, lease=0, unlink=0)


def collect(database: Database) -> None:
    """What a run does to tags, manifests and links, in the order of a run."""
    with told.telling(told.COLLECTION):
        while ending.end_withdrawn(database, 500):
            pass
        for queue in (TAGS, MANIFESTS, LINKS):
            while database.transaction(partial(_batch, queue)):
                pass


def _batch(queue: Any, session: Session) -> int:
    claimed = queue.claim(session, 500)
    if claimed:
        queue.process(session, claimed)
    return len(claimed)


def names(database: Database, repository: RepositoryName = APP) -> list[str]:
    rows = query(
        database,
        "SELECT tags.name FROM tags JOIN repositories ON repositories.id = repository_id WHERE repositories.name = :n"
        " ORDER BY tags.name",
        n=repository,
    )
    return [name for (name,) in rows]


def named_after(digest: Digest, suffix: str = ".sig") -> str:
    return f"{digest}{suffix}".replace(":", "-")


def _belonging(tag: str) -> Image:
    return Image(config=tag.encode(), layers=())


def push_signed(database: Database, repository: RepositoryName = APP, *suffixes: str) -> tuple[Image, list[str]]:
    """An image under v1, and what belongs to it by these names; all if none are said."""
    image = push_image(database, repository, V1)
    auxiliary = [named_after(image.digest, suffix) for suffix in suffixes or SUFFIXES]
    for tag in auxiliary:
        push_image(database, repository, tag, image=_belonging(tag))
    return image, auxiliary


def test_they_go_after_their_subject_and_leave_nothing(database: Database) -> None:
    image, auxiliary = push_signed(database)
    push_image(database, APP, "another", image=Image(config=b"another"))
    tags.delete(database, APP, V1)
    pass_time(database, 167)
    collect(database)
    assert names(database) == ["another", *auxiliary], "the subject can be put back"
    pass_time(database, 2)
    collect(database)
    assert manifests.get(database, APP, image.digest) is None
    assert names(database) == ["another", *auxiliary], "they have the grace of what a subject held"
    pass_time(database, 11)
    collect(database)
    assert names(database) == ["another"]
    assert value(database, "SELECT count(*) FROM manifests") == 1
    assert value(database, "SELECT count(*) FROM tag_reviews") == 0
    causes = query(database, "SELECT DISTINCT cause FROM tag_history WHERE tag LIKE 'sha256-%'")
    assert causes == [["collection"]]


def test_while_their_subject_can_be_put_back_they_stay(database: Database) -> None:
    image, auxiliary = push_signed(database)
    manifests.delete(database, APP, image.digest)
    pass_time(database, 160)
    collect(database)
    assert names(database) == auxiliary
    restoring.restore(database, Wanted(APP, digest=image.digest))
    pass_time(database, 160)
    collect(database)
    assert names(database) == [*auxiliary, "v1"]
    assert value(database, "SELECT count(*) FROM tag_reviews") == 0


def test_of_a_manifest_that_nobody_puts_back_they_go_after_the_window(database: Database) -> None:
    image, _ = push_signed(database)
    manifests.delete(database, APP, image.digest)
    pass_time(database, 169)
    collect(database)
    assert names(database) == []
    collect(database)
    assert value(database, "SELECT count(*) FROM manifests") == 0


def test_without_a_window_they_go_by_the_grace_alone(database: Database) -> None:
    set_grace(database, undo=0, cascade=0)
    image, _ = push_signed(database)
    manifests.delete(database, APP, image.digest)
    collect(database)
    assert names(database) == []


def test_a_signature_of_what_lies_elsewhere_stays(database: Database) -> None:
    """Cosign can be told to keep signatures in a repository of their own: their subjects never were in it."""
    image = push_image(database, APP, V1)
    push_image(database, OTHER, named_after(image.digest), image=Image(config=b"signature"))
    manifests.delete(database, APP, image.digest)
    for _ in range(3):
        pass_time(database, 200)
        collect(database)
    assert names(database, OTHER) == [named_after(image.digest)]


def test_one_that_was_pushed_since_stays(database: Database) -> None:
    """Somebody brings signatures first and images later, as a copy does."""
    image, (attestation, signature) = push_signed(database, APP, ".att", ".sig")
    manifests.delete(database, APP, image.digest)
    put(database, APP, _belonging(signature).manifest, signature)
    pass_time(database, 200)
    collect(database)
    assert names(database) == [signature]
    assert attestation not in names(database)


def test_one_that_a_rule_protects_goes_once_the_rule_has_gone(database: Database) -> None:
    image, auxiliary = push_signed(database)
    rule = rules.add(database, NewRule("signatures", 1, "immutable", "**", "*.sig"))
    manifests.delete(database, APP, image.digest)
    pass_time(database, 200)
    collect(database)
    assert names(database) == [auxiliary[-1]]
    rules.remove(database, rule)
    pass_time(database, 25)
    collect(database)
    assert names(database) == []


def test_a_repository_that_is_set_aside_comes_back_with_them(database: Database) -> None:
    image, auxiliary = push_signed(database)
    manifests.delete(database, APP, image.digest)
    pass_time(database, 100)
    removal.remove(database, APP)
    pass_time(database, 100)
    collect(database)
    deleted.put_back(database, APP)
    assert names(database) == auxiliary
    pass_time(database, 25)
    collect(database)
    assert names(database) == []


def test_a_move_takes_them_along(database: Database) -> None:
    image, auxiliary = push_signed(database)
    manifests.delete(database, APP, image.digest)
    moved = RepositoryName("elsewhere/app")
    moves.move(database, APP, moved, with_below=False, dry_run=False)
    assert names(database, moved) == auxiliary
    pass_time(database, 200)
    collect(database)
    assert names(database, moved) == []


def test_a_signature_of_a_signature_follows(database: Database) -> None:
    image, (signature,) = push_signed(database, APP, ".sig")
    push_image(database, APP, named_after(_belonging(signature).digest), image=Image(config=b"of the signature"))
    manifests.delete(database, APP, image.digest)
    for _ in range(3):
        pass_time(database, 200)
        collect(database)
    assert names(database) == []
