"""What tags named before is kept, and what is deleted comes back: whatever happened to it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from functions.registry import told
from functions.registry.metadata.access import rules
from functions.registry.metadata.access.rules import NewRule
from functions.registry.metadata.content import blobs, manifests, moves, pushes, removal, repositories, tags
from functions.registry.metadata.content.pushes import Push
from functions.registry.metadata.db import ChangeRefused, Database, Session
from functions.registry.metadata.gc.reviews import LINKS, MANIFESTS
from functions.registry.metadata.history import bindings, deleted, ending, restoring
from functions.registry.metadata.history.restoring import NothingToRestore, Restored, Then, Wanted
from functions.registry.metadata.lists.keyset import Walk
from functions.registry.metadata.usage import quotas, recount, untagged
from functions.registry.metadata.usage.quotas import Quota
from functions.registry.oci.digest import Digest
from functions.registry.oci.manifest import parse_manifest
from functions.registry.oci.name import RepositoryName, Tag
from functions.registry.oci.page import Page
from functions.registry.told import Told
from tests.metadata.build import (
    APP,
    OTHER,
    pass_time,
    push_blob,
    push_image,
    push_index,
    put,
    query,
    set_grace,
    signature_of,
    value,
)
from tests.support import Image

V1 = Tag("v1")
SOMEBODY = Told("robot:ci", "client")


@pytest.fixture(autouse=True)
def with_undo(database: Database) -> Iterator[None]:
    """The registry's own window; nothing else is kept for long. Every figure is right at the end."""
    set_grace(database, undo=168, push=0, untag=0, cascade=0, upload=0, lease=0, unlink=0)
    yield
    assert recount.recount(database).differences == []


def collect(database: Database) -> None:
    """Manifests and links, as a run does."""
    for queue in (MANIFESTS, LINKS):
        while database.transaction(partial(_batch, queue)):
            pass


def _batch(queue: Any, session: Session) -> int:
    claimed = queue.claim(session, 500)
    if claimed:
        queue.process(session, claimed)
    return len(claimed)


def collected(database: Database) -> None:
    with told.telling(told.COLLECTION):
        collect(database)


def history(database: Database, tag: Tag | None = V1) -> list[dict[str, Any]]:
    found = bindings.page(database, APP, tag, Walk(descending=True, size=100))
    assert found is not None
    return found.items


def pulls_whole(database: Database, repository: RepositoryName, tag: Tag, image: Image) -> None:
    stored = manifests.get(database, repository, tag)
    assert stored is not None
    assert stored.payload == image.manifest
    for blob in image.blobs:
        assert blobs.get(database, repository, Digest.of(blob)) is not None


def restore(database: Database, tag: Tag | None = V1, **more: Any) -> Restored:
    with told.telling(SOMEBODY):
        return restoring.restore(database, Wanted(APP, tag, **more))


def test_a_move_and_a_deletion_are_kept_with_who_and_why(database: Database) -> None:
    with told.telling(SOMEBODY):
        first = push_image(database, APP, "v1")
        second = push_image(database, APP, "v1")
        tags.delete(database, APP, V1)
    newer, older = history(database)
    assert (older["digest"], older["change"]) == (str(first.digest), "moved")
    assert (newer["digest"], newer["change"]) == (str(second.digest), "deleted")
    assert {(row["actor"], row["cause"]) for row in (newer, older)} == {("robot:ci", "client")}
    assert older["since"] < older["until"] == newer["since"] < newer["until"]
    assert history(database, None) == [newer, older]
    assert [row["restorable"] for row in (newer, older)] == [True, True]


def test_what_nobody_told_is_unknown(database: Database) -> None:
    push_image(database, APP, "v1")
    tags.delete(database, APP, V1)
    assert [(row["actor"], row["cause"]) for row in history(database)] == [("unknown", "unknown")]


def test_a_push_of_the_same_changes_nothing_of_when_it_was_named(database: Database) -> None:
    image = push_image(database, APP, "v1")
    between = value(database, "SELECT clock_timestamp()")
    put(database, APP, image.manifest, "v1")
    push_image(database, APP, "v1")
    assert len(history(database)) == 1
    named = bindings.at(database, APP, V1, between)
    assert named is not None
    assert named.digest == image.digest


def test_of_two_pushes_that_waited_the_later_is_the_later(database: Database) -> None:
    """A transaction's time is that of its start: the clock's is taken where the tag is written."""
    push_image(database, APP, "v1")
    push_image(database, APP, "v1")
    push_image(database, APP, "v1")
    newer, older = history(database)
    assert older["since"] < older["until"] == newer["since"] < newer["until"]


def test_what_a_tag_named_at_a_time(database: Database) -> None:
    def now() -> datetime:
        moment: datetime = value(database, "SELECT clock_timestamp()")
        return moment

    before = now()
    first = push_image(database, APP, "v1")
    with_first = now()
    second = push_image(database, APP, "v1")
    with_second = now()
    tags.delete(database, APP, V1)
    after = now()
    third = push_image(database, APP, "v1")
    asked = [bindings.at(database, APP, V1, moment) for moment in (before, with_first, with_second, after, now())]
    assert [named and named.digest for named in asked] == [None, first.digest, second.digest, None, third.digest]
    assert asked[-1] is not None
    assert asked[-1].until is None


def test_a_deleted_tag_comes_back_as_it_was(database: Database) -> None:
    image = push_image(database, APP, "v1")
    query(
        database,
        "UPDATE tags SET pulls = 7, pulled_at = '2026-03-01', created_at = '2026-01-01', updated_at = '2026-02-01'",
    )
    columns = "SELECT created_at, updated_at, pulls, pulled_at FROM tags"
    before = query(database, columns)
    tags.delete(database, APP, V1)
    collected(database)
    assert restore(database) == Restored(image.digest, [V1], None)
    assert query(database, columns) == before
    assert value(database, "SELECT restored_at > now() - interval '1 minute' FROM tags")
    pulls_whole(database, APP, V1, image)


def test_an_overwritten_tag_comes_back_and_can_be_put_forth_again(database: Database) -> None:
    set_grace(database, untag=24)
    first, second = push_image(database, APP, "v1"), push_image(database, APP, "v1")
    collected(database)
    assert restore(database) == Restored(first.digest, [V1], second.digest)
    assert restore(database) == Restored(second.digest, [V1], first.digest)
    assert restore(database, digest=first.digest, target=Tag("old")).tags == [Tag("old")]
    pulls_whole(database, APP, Tag("old"), first)
    pulls_whole(database, APP, V1, second)


def test_after_its_time_it_is_gone_with_all_its_rows(database: Database) -> None:
    image = push_image(database, APP, "v1")
    tags.delete(database, APP, V1)
    pass_time(database, 167)
    collected(database)
    assert history(database)[0]["restorable"]
    pass_time(database, 1.1)
    collected(database)
    with pytest.raises(NothingToRestore, match="collected"):
        restore(database)
    [row] = history(database)
    assert (row["restorable"], row["restorable_until"]) == (False, None)
    assert str(image.digest) in row["reason"]
    assert value(database, "SELECT count(*) FROM repository_blobs") == 0


def test_a_manifest_deleted_by_digest_comes_back_with_its_tags(database: Database) -> None:
    with told.telling(SOMEBODY):
        image = push_image(database, APP, "v1", "v2")
        manifests.delete(database, APP, image.digest)
    collected(database)
    assert manifests.get(database, APP, image.digest) is None
    assert restore(database, None, digest=image.digest).tags == [V1, Tag("v2")]
    for tag in (V1, Tag("v2")):
        pulls_whole(database, APP, tag, image)
    assert value(database, "SELECT count(*) FROM withdrawn_manifests") == 0


def test_what_was_deleted_twice_is_withdrawn_once(database: Database) -> None:
    image = push_image(database, APP, "v1")
    manifests.delete(database, APP, image.digest)
    put(database, APP, image.manifest, "v1")
    manifests.delete(database, APP, image.digest)
    assert restore(database).digest == image.digest
    pulls_whole(database, APP, V1, image)


def test_an_index_comes_back_with_what_it_listed(database: Database) -> None:
    children = [push_image(database, APP) for _ in range(2)]
    index = push_index(database, APP, "v1", of=children)
    manifests.delete(database, APP, index)
    for child in children:
        manifests.delete(database, APP, child.digest)
    collected(database)
    assert restore(database).digest == index
    for child in children:
        stored = manifests.get(database, APP, child.digest)
        assert stored is not None
        assert stored.payload == child.manifest


def test_a_sparse_manifest_comes_back_without_what_it_never_had(database: Database) -> None:
    image = Image(layers=(b"there", b"never there"))
    push_blob(database, APP, image.config)
    push_blob(database, APP, b"there")
    manifest = parse_manifest(image.manifest, None)
    pushes.put(database, Push(APP, image.digest, manifest, image.manifest, [V1], accepts_missing=True))
    manifests.delete(database, APP, image.digest)
    assert restore(database).digest == image.digest
    assert manifests.get(database, APP, V1) is not None


def test_a_layer_that_somebody_deleted_is_named(database: Database) -> None:
    image = push_image(database, APP, "v1")
    manifests.delete(database, APP, image.digest)
    layer = Digest.of(image.layers[0])
    assert blobs.delete(database, APP, layer)
    with pytest.raises(NothingToRestore, match=f"layer {layer} was deleted"):
        restore(database)
    assert str(layer) in history(database)[0]["reason"]


def test_its_signature_stays_for_as_long(database: Database) -> None:
    image = push_image(database, APP, "v1")
    signature = push_image(database, APP, image=signature_of(image.manifest))
    manifests.delete(database, APP, image.digest)
    pass_time(database, 100)
    collected(database)
    assert restore(database).digest == image.digest
    assert manifests.get(database, APP, signature.digest) is not None


def test_who_comes_back_keeps_what_is_left_of_the_window(database: Database) -> None:
    """Pushed again by its digest, or put back and overwritten, it goes no sooner than if nobody had touched it."""
    for comes_back in ("pushed", "restored"):
        tag = Tag(comes_back)
        image = push_image(database, APP, tag)
        manifests.delete(database, APP, image.digest)
        if comes_back == "pushed":
            put(database, APP, image.manifest)
        else:
            restore(database, tag)
            push_image(database, APP, tag)
        pass_time(database, 160)
        collected(database)
        assert manifests.get(database, APP, image.digest) is not None, comes_back


def test_a_window_of_a_namespace_and_of_a_repository(database: Database) -> None:
    push_image(database, APP, "v1")
    query(database, "UPDATE namespaces SET undo = interval '0'")
    tags.delete(database, APP, V1)
    collected(database)
    with pytest.raises(NothingToRestore):
        restore(database)
    query(database, "UPDATE repositories SET undo = interval '2 days'")
    push_image(database, APP, "v1")
    tags.delete(database, APP, V1)
    pass_time(database, 47)
    collected(database)
    restore(database)


def test_a_repository_s_own_grace_does_not_shorten_it(database: Database) -> None:
    image = push_image(database, APP, "v1")
    query(database, "UPDATE repositories SET grace = interval '0'")
    tags.delete(database, APP, V1)
    pass_time(database, 160)
    collected(database)
    assert restore(database).digest == image.digest


def test_a_rule_refuses_what_it_would_refuse_a_push(database: Database) -> None:
    push_image(database, APP, "v1")
    tags.delete(database, APP, V1)
    rules.add(database, NewRule("releases", 1, "protected", APP, "v*", "admin"))
    with pytest.raises(ChangeRefused, match="releases"):
        restore(database)


def test_what_is_kept_is_paid_for_and_a_full_quota_takes_it_back(database: Database) -> None:
    image = push_image(database, APP, "v1")
    used = value(database, "SELECT bytes FROM namespace_totals")
    manifests.delete(database, APP, image.digest)
    assert value(database, "SELECT bytes FROM namespace_totals") == used
    quotas.put(database, Quota(APP.namespace, used, None))
    other = Image(layers=())
    with pytest.raises(ChangeRefused):
        push_image(database, APP, "v2", image=other)
    assert restore(database).digest == image.digest


def test_a_refused_push_is_told_how_much_can_be_purged(database: Database) -> None:
    image = push_image(database, APP, "v1")
    manifests.delete(database, APP, image.digest)
    repository = value(database, "SELECT id FROM repositories")
    assert untagged.scan(database, repository) is not None
    bytes_ = len(image.manifest) + sum(map(len, image.blobs))
    assert value(database, "SELECT restorable_bytes FROM repository_usage") == bytes_
    quotas.put(database, Quota(APP.namespace, bytes_, None))
    with pytest.raises(ChangeRefused, match=f"up to {bytes_} bytes of it are deleted or untagged, and can be purged"):
        push_image(database, APP, "v2")
    removal.remove(database, APP)
    with pytest.raises(ChangeRefused, match=r"can be purged"):
        push_image(database, OTHER, "v2")


def test_a_repository_as_it_was(database: Database) -> None:
    kept, moved, lost = (
        push_image(database, APP, "kept"),
        push_image(database, APP, "moved"),
        push_image(database, APP, "lost"),
    )
    moment = value(database, "SELECT clock_timestamp()")
    newer = push_image(database, APP, "moved")
    tags.delete(database, APP, Tag("lost"))
    push_image(database, APP, "made")
    found = restoring.differences(database, APP, Then(moment, "*", False), "", 10)
    assert [(each.tag, each.digest, each.present) for each in found] == [
        ("lost", lost.digest, None),
        ("moved", moved.digest, newer.digest),
    ]
    exact = restoring.differences(database, APP, Then(moment, "*", True), "", 10)
    assert [(each.tag, each.digest) for each in exact] == [
        ("lost", lost.digest),
        ("made", None),
        ("moved", moved.digest),
    ]
    assert restoring.differences(database, APP, Then(moment, "m*", False), "", 10) == found[1:]
    assert kept.digest


def test_history_of_a_tag_is_bounded(database: Database) -> None:
    first, second = push_image(database, APP, "v1"), push_image(database, APP, "v2")
    for _ in range(700):
        for image in (first, second):
            put(database, APP, image.manifest, "v1")
    assert 1000 <= value(database, "SELECT count(*) FROM tag_history WHERE tag = 'v1'") <= 1128


def test_old_history_and_withdrawn_rows_end(database: Database) -> None:
    image = push_image(database, APP, "v1")
    manifests.delete(database, APP, image.digest)
    assert ending.end_withdrawn(database, 10) == 0
    assert ending.trim_history(database, 10) == 0
    pass_time(database, 169)
    query(database, "UPDATE tag_history SET until = until - interval '401 days'")
    assert ending.end_withdrawn(database, 10) == 1
    assert ending.trim_history(database, 10) == 1
    collected(database)
    assert value(database, "SELECT count(*) FROM repository_blobs") == 0
    assert value(database, "SELECT bytes FROM namespace_totals") == 0


def test_a_deleted_repository_is_set_aside_and_comes_back_whole(database: Database) -> None:
    image = push_image(database, APP, "v1", "v2")
    with told.telling(SOMEBODY):
        removed = removal.remove(database, APP)
    assert removed is not None
    assert (removed.tags, removed.manifests) == (2, 1)
    assert removed.restorable_until is not None
    collected(database)
    assert not repositories.exists(database, APP)
    assert repositories.list_names(database, Page.parse(None, None)) == []
    assert manifests.get(database, APP, V1) is None
    assert not blobs.mount(database, OTHER, Digest.of(image.layers[0]), APP)
    [shown] = deleted.list_repositories(database, None, Walk(descending=True, size=10)).items
    assert (shown["name"], shown["deleted_by"], shown["tags"]) == (APP, "robot:ci", 2)
    assert deleted.list_repositories(database, "elsewhere", Walk(descending=True, size=10)).items == []
    assert deleted.put_back(database, APP).tags == 2
    for tag in (V1, Tag("v2")):
        pulls_whole(database, APP, tag, image)


def test_a_name_is_free_at_once_and_settings_do_not_leak(database: Database) -> None:
    old = push_image(database, APP, "v1")
    query(database, "UPDATE repositories SET keep_untagged = true")
    removal.remove(database, APP)
    new = push_image(database, APP, "v1")
    assert query(database, "SELECT keep_untagged FROM repositories WHERE name = :name", name=APP) == [[False]]
    with pytest.raises(deleted.NameTaken):
        deleted.put_back(database, APP)
    back = deleted.put_back(database, APP, OTHER)
    assert back.name == OTHER
    pulls_whole(database, OTHER, V1, old)
    pulls_whole(database, APP, V1, new)


def test_a_repository_that_is_set_aside_counts_its_bytes_and_no_repository(database: Database) -> None:
    push_image(database, APP, "v1")
    used = query(database, "SELECT repositories, bytes FROM namespace_totals")[0]
    removal.remove(database, APP)
    assert query(database, "SELECT repositories, bytes FROM namespace_totals") == [[0, used[1]]]
    quotas.put(database, Quota(APP.namespace, None, 1))
    push_image(database, OTHER, "v1")
    assert OTHER.namespace == APP.namespace
    with pytest.raises(ChangeRefused, match="1 repositories"):
        deleted.put_back(database, APP)


def test_a_move_leaves_what_is_set_aside(database: Database) -> None:
    push_image(database, RepositoryName("team/app/below"), "v1")
    removal.remove(database, RepositoryName("team/app/below"))
    push_image(database, RepositoryName("team/app"), "v1")
    moved = moves.move(database, RepositoryName("team/app"), RepositoryName("team/new"), with_below=True, dry_run=False)
    assert moved.repositories == 1
    assert deleted.put_back(database, RepositoryName("team/app/below")).name == "team/app/below"


def test_a_kept_tag_keeps_its_repository(database: Database) -> None:
    push_image(database, APP, "v1")
    rules.add(database, NewRule("releases", 1, "immutable", APP, "v*", None))
    with pytest.raises(ChangeRefused, match="releases"):
        removal.remove(database, APP)
    assert repositories.exists(database, APP)


def test_after_its_time_a_repository_ends_in_batches_whatever_rules_say(database: Database) -> None:
    image = push_image(database, APP, "v1", "v2", "v3")
    index = push_index(database, APP, "index", of=[image])
    gone = push_image(database, APP, "gone")
    manifests.delete(database, APP, gone.digest)
    removal.remove(database, APP)
    rules.add(database, NewRule("all", 1, "immutable", "**", "*", None))
    assert ending.end_repository(database, 2) == 0
    pass_time(database, 169)
    with pytest.raises(deleted.NotDeleted):
        deleted.put_back(database, APP)
    batches = 0
    while ending.end_repository(database, 2):
        batches += 1
    assert batches > 5
    assert index
    left = [
        value(database, f"SELECT count(*) FROM {table}")  # noqa: S608
        for table in ("repositories", "manifests", "tags", "withdrawn_manifests", "tag_history", "repository_blobs")
    ]
    assert left == [0] * 6


def test_without_a_window_a_repository_goes_at_once(database: Database) -> None:
    image = push_image(database, APP, "v1")
    gone = push_image(database, APP, "gone")
    manifests.delete(database, APP, gone.digest)
    query(database, "UPDATE gc_settings SET grace = '0' WHERE event = 'undo'")
    removed = removal.remove(database, APP)
    assert removed is not None
    assert (removed.tags, removed.restorable_until) == (1, None)
    assert value(database, "SELECT count(*) FROM repositories") == 0
    assert image


def test_deleted_tags_are_listed_while_they_can_be_put_back(database: Database) -> None:
    push_image(database, APP, "v1", "v2")
    push_image(database, OTHER, "v1")
    for repository in (APP, OTHER):
        tags.delete(database, repository, V1)
    listed = deleted.list_tags(database, None, Walk(descending=True, size=10)).items
    assert [(each["repository"], each["tag"]) for each in listed] == [(OTHER, V1), (APP, V1)]
    restore(database)
    listed = deleted.list_tags(database, APP.namespace, Walk(descending=True, size=10)).items
    assert [each["repository"] for each in listed] == [OTHER]
    assert deleted.list_tags(database, "elsewhere", Walk(descending=True, size=10)).items == []


def test_a_purge_of_a_deleted_repository_is_for_good(database: Database) -> None:
    push_image(database, APP, "v1")
    removal.remove(database, APP)
    assert deleted.purge(database, APP).manifests == 1
    with pytest.raises(deleted.NotDeleted):
        deleted.put_back(database, APP)
    assert value(database, "SELECT count(*) FROM repositories") == 0


def test_a_connection_that_is_used_again_knows_nothing_of_it(database_url: str) -> None:
    with closing(Database(database_url, size=1)) as one:
        with told.telling(SOMEBODY):
            push_image(one, APP, "v1")
        tags.delete(one, APP, V1)
        assert history(one)[0]["actor"] == "unknown"


def test_a_signature_s_tag_outlives_its_deleted_subject(database: Database) -> None:
    """Cosign names it after the digest that it signs: it is there still when that comes back."""
    image = push_image(database, APP, "v1")
    tag = Tag(f"sha256-{image.digest.hex}.sig")
    signature = push_image(database, APP, tag)
    manifests.delete(database, APP, image.digest)
    pass_time(database, 100)
    collected(database)
    assert restore(database).digest == image.digest
    pulls_whole(database, APP, tag, signature)


def test_what_every_push_calls_does_not_ask_for_the_window(database: Database) -> None:
    """Asked in it, for the window as well, a call of `grace` took twelve times as long."""
    [[source]] = query(database, "SELECT prosrc FROM pg_proc WHERE proname = 'grace'")
    assert "undo" not in source
    assert "current_setting" not in source


def test_history_and_reviews_of_tags_hold_no_repository(database: Database) -> None:
    """A tag's deletion has the tag, then would lock the repository; a repository's does it the other way round."""
    refers = """
        SELECT relname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
         WHERE contype = 'f' AND relname IN ('tag_history', 'tag_reviews', 'withdrawn_manifests')
    """
    assert query(database, refers) == [["withdrawn_manifests"]]
