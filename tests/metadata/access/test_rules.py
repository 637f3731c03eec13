"""Rules hold in the statement that writes, whoever it is and however many at once; without one all is free."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from functions.registry.metadata.access import rules
from functions.registry.metadata.access.patterns import PatternInvalid
from functions.registry.metadata.access.rules import NewRule, Rule, RuleExists, RuleKind, RuleRefused, TooManyRules
from functions.registry.metadata.content import blobs, manifests, tags
from functions.registry.metadata.db import ChangeRefused, Database
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import Tag
from tests.metadata.build import (
    APP,
    OTHER,
    OpenTransaction,
    push_blob,
    push_image,
    put,
    query,
    value,
    wait_until_blocked,
)
from tests.support import encode, index_of

NOBODY, READER, WRITER, MAINTAINER, ADMIN = range(5)
V1 = Tag("v1")


def a_manifest(number: int) -> bytes:
    return encode({"schemaVersion": 2, "annotations": {"number": str(number)}})


ONE, TWO = a_manifest(1), a_manifest(2)


def add(database: Database, kind: RuleKind, role: str | None = None, **more: Any) -> int:
    return rules.add(
        database, NewRule(**{"name": kind, "position": 0, "repositories": "team/*", **more}, kind=kind, role=role)
    )


def tagged(database: Database, tag: Tag = V1) -> Digest | None:
    found = manifests.get(database, APP, tag)
    return found.digest if found else None


def is_refused(database: Database, payload: bytes, rank: int, tag: str = "v1") -> bool:
    """Says whether a push is; a refused one leaves nothing."""
    before = tagged(database, Tag(tag)), value(database, "SELECT count(*) FROM manifests")
    try:
        put(database, APP, payload, tag, rank=rank)
    except ChangeRefused:
        assert (tagged(database, Tag(tag)), value(database, "SELECT count(*) FROM manifests")) == before
        return True
    assert tagged(database, Tag(tag)) == Digest.of(payload)
    return False


def is_kept(database: Database, rank: int, tag: Tag = V1) -> bool:
    try:
        return not tags.delete(database, APP, tag, rank)
    except ChangeRefused:
        assert tagged(database, tag) is not None
        return True


@pytest.mark.parametrize(("role", "enough"), [("writer", 2), ("maintainer", 3), ("admin", 4), (None, 5)])
def test_a_protected_tag_is_created_moved_and_deleted_by_whom_the_rule_says(
    database: Database, role: str | None, enough: int
) -> None:
    for rank in range(5):
        rule = add(database, "protected", role, tags="v*")
        assert is_refused(database, ONE, rank) is (rank < enough)
        assert rules.remove(database, rule)
        put(database, APP, ONE, "v1")
        rule = add(database, "protected", role, tags="v*")
        assert is_refused(database, TWO, rank) is (rank < enough)
        assert is_kept(database, rank) is (rank < enough)
        assert rules.remove(database, rule)
        tags.delete(database, APP, V1)


def test_an_immutable_tag_is_created_by_anybody_and_moves_for_whom_the_rule_says(database: Database) -> None:
    add(database, "immutable", "admin")
    assert not is_refused(database, ONE, NOBODY)
    for rank in (NOBODY, WRITER, MAINTAINER):
        assert is_refused(database, TWO, rank)
        assert is_kept(database, rank)
    assert not is_refused(database, TWO, ADMIN)
    assert not is_kept(database, ADMIN)


@pytest.mark.parametrize("kind", ["protected", "immutable"])
def test_pushing_the_same_digest_again_is_always_right(database: Database, kind: RuleKind) -> None:
    put(database, APP, ONE, "v1")
    add(database, kind)
    assert not is_refused(database, ONE, NOBODY)
    assert is_refused(database, TWO, ADMIN)


def test_a_push_of_several_tags_is_refused_as_a_whole(database: Database) -> None:
    add(database, "protected", tags="v1")
    with pytest.raises(ChangeRefused):
        put(database, APP, ONE, "free", "v1", "zzz", rank=WRITER)
    assert tags.delete(database, APP, Tag("free")) is False
    assert put(database, APP, ONE, "free", "zzz") == Digest.of(ONE)


def test_the_refusal_names_the_rule_and_who_may(database: Database) -> None:
    add(database, "protected", "maintainer", name="releases")
    with pytest.raises(ChangeRefused) as refused:
        put(database, APP, ONE, "v1", rank=WRITER)
    assert str(refused.value) == 'tag v1 is protected by rule "releases": it takes the role maintainer'
    add(database, "immutable", name="100% %s", position=-1)
    put(database, APP, ONE, "v1")
    with pytest.raises(ChangeRefused) as refused:
        put(database, APP, TWO, "v1", rank=ADMIN)
    assert str(refused.value) == 'tag v1 is immutable by rule "100% %s": nobody may change it'


def test_the_first_rule_that_matches_decides(database: Database) -> None:
    put(database, APP, ONE, "latest")
    add(database, "protected", None, position=9)
    assert is_refused(database, TWO, ADMIN, "latest")
    add(database, "exempt", position=8, tags="lat*")
    assert not is_refused(database, TWO, NOBODY, "latest")
    assert is_refused(database, TWO, ADMIN, "v1")
    add(database, "protected", "writer", name="earlier", position=7, repositories="**")
    assert is_refused(database, ONE, READER, "latest")
    assert not is_refused(database, ONE, WRITER, "latest")
    add(database, "exempt", name="same position, later", position=7)
    assert is_refused(database, TWO, READER, "latest")


@pytest.mark.parametrize(
    ("repositories", "tag_pattern", "holds"),
    [
        ("team/app", "v1", True),
        ("**", "*", True),
        ("*/app", "*1", True),
        ("team/ap", "*", False),
        ("team/app", "v", False),
    ],
)
def test_a_rule_holds_where_both_its_patterns_match(
    database: Database, repositories: str, tag_pattern: str, holds: bool
) -> None:
    add(database, "protected", repositories=repositories, tags=tag_pattern)
    assert is_refused(database, ONE, ADMIN) is holds


def test_whoever_says_no_rank_has_none(database: Database) -> None:
    add(database, "protected", "reader")
    put(database, APP, ONE, "v1", rank=READER)
    with (
        database._pool.connection(may_block=False) as connection,
        pytest.raises(Exception, match="is protected by rule"),
    ):
        connection.run([("DELETE FROM tags", {})])
    assert tagged(database) is not None
    assert is_refused(database, TWO, NOBODY)


def test_deleting_a_digest_is_refused_only_if_a_tag_that_a_rule_holds_is_on_it(database: Database) -> None:
    add(database, "immutable", "admin", tags="v*")
    put(database, APP, ONE, "v1", "latest")
    put(database, APP, TWO, "latest")
    with pytest.raises(ChangeRefused, match="tag v1"):
        manifests.delete(database, APP, Digest.of(ONE), MAINTAINER)
    assert tagged(database) == Digest.of(ONE)
    assert manifests.delete(database, APP, Digest.of(TWO), MAINTAINER)
    assert manifests.delete(database, APP, Digest.of(ONE), ADMIN)


def test_a_kept_repository_loses_nothing_but_by_whom_the_rule_says(database: Database) -> None:
    image = push_image(database, APP, "v1")
    loose = push_blob(database, APP, b"loose")
    add(database, "delete_protected", "admin", name="archive")
    reason = 'repository team/app is delete-protected by rule "archive": to delete takes the role admin'
    deletions: list[Callable[[], object]] = [
        lambda: tags.delete(database, APP, V1, MAINTAINER),
        lambda: manifests.delete(database, APP, image.digest, MAINTAINER),
        lambda: blobs.delete(database, APP, loose, MAINTAINER),
    ]
    for delete in deletions:
        with pytest.raises(ChangeRefused) as refused:
            delete()
        assert str(refused.value) == reason
    assert not is_refused(database, ONE, WRITER, tag="v2"), "a new tag leaves nothing without one"
    assert is_refused(database, ONE, MAINTAINER), "one that moves does"
    assert not is_refused(database, TWO, ADMIN)
    assert tags.delete(database, APP, V1, ADMIN)
    assert manifests.delete(database, APP, image.digest, ADMIN)
    assert blobs.delete(database, APP, loose, ADMIN)


def test_kept_for_good(database: Database) -> None:
    put(database, APP, ONE, "v1")
    add(database, "delete_protected", name="archive")
    assert is_kept(database, ADMIN)
    with pytest.raises(
        ChangeRefused, match='repository team/app is delete-protected by rule "archive": nobody may delete'
    ):
        tags.delete(database, APP, V1, ADMIN)


def test_a_rule_that_keeps_and_one_for_the_tag_both_hold(database: Database) -> None:
    add(database, "delete_protected", "admin", position=0)
    add(database, "protected", "maintainer", position=1)
    assert is_refused(database, ONE, WRITER)
    assert not is_refused(database, ONE, MAINTAINER)
    assert is_kept(database, MAINTAINER)
    assert not is_kept(database, ADMIN)


def test_an_exception_before_a_rule_that_keeps(database: Database) -> None:
    put(database, APP, ONE, "v1", "cache-1")
    put(database, OTHER, ONE, "v1")
    add(database, "exempt", name="caches", tags="cache-*")
    add(database, "exempt", name="other", repositories=OTHER)
    add(database, "delete_protected", position=1)
    assert not is_kept(database, NOBODY, Tag("cache-1"))
    assert is_kept(database, ADMIN)
    with pytest.raises(ChangeRefused):
        manifests.delete(database, APP, Digest.of(ONE), ADMIN)
    assert manifests.delete(database, OTHER, Digest.of(ONE))


def race(database: Database, *payloads: bytes, rank: int = WRITER) -> list[bool]:
    """Says of each push of v1, all begun at once, whether it came through."""

    def push(payload: bytes) -> bool:
        try:
            put(database, APP, payload, "v1", rank=rank)
        except ChangeRefused:
            return False
        return True

    with ThreadPoolExecutor(len(payloads)) as pool:
        return list(pool.map(push, payloads))


def test_of_two_that_create_an_immutable_tag_at_once_exactly_one_does(database: Database) -> None:
    payloads = [ONE, TWO]
    for _ in range(30):
        rule = add(database, "immutable")
        outcomes = race(database, *payloads)
        assert outcomes.count(True) == 1
        winner = Digest.of(payloads[outcomes.index(True)])
        assert tagged(database) == winner
        assert value(database, "SELECT count(*) FROM manifests") == 1
        assert rules.remove(database, rule)
        assert manifests.delete(database, APP, winner)


def test_of_those_that_push_the_same_immutable_tag_at_once_all_succeed(database: Database) -> None:
    add(database, "immutable")
    assert race(database, *[ONE] * 6) == [True] * 6


def test_who_waits_for_the_first_to_create_a_tag_is_refused_once_it_has(database: Database, database_url: str) -> None:
    put(database, APP, ONE)
    add(database, "immutable")
    with OpenTransaction(database_url) as first, ThreadPoolExecutor() as pool:
        put(first, APP, ONE, "v1", rank=WRITER)
        second = pool.submit(put, database, APP, TWO, "v1", rank=WRITER)
        wait_until_blocked(database)
        first.commit()
        with pytest.raises(ChangeRefused, match="immutable"):
            second.result(10)
    assert tagged(database) == Digest.of(ONE)


def test_a_protected_tag_that_goes_while_it_is_pushed_again_is_not_made_anew(
    database: Database, database_url: str
) -> None:
    """The same digest again: right as long as the tag is there, and a creation once it is not."""
    put(database, APP, ONE, "v1")
    add(database, "protected", "maintainer")
    with OpenTransaction(database_url) as deleting, ThreadPoolExecutor() as pool:
        assert tags.delete(deleting, APP, V1, MAINTAINER)
        again = pool.submit(put, database, APP, ONE, "v1", rank=WRITER)
        wait_until_blocked(database)
        deleting.commit()
        with pytest.raises(ChangeRefused):
            again.result(10)
    assert tagged(database) is None


def test_a_new_rule_holds_for_who_is_in_the_middle_of_a_push(database: Database, database_url: str) -> None:
    put(database, APP, ONE, "v1")
    with OpenTransaction(database_url) as first:
        put(first, APP, a_manifest(3))
        add(database, "immutable")
        with pytest.raises(Exception, match="immutable"):
            put(first, APP, TWO, "v1")


def test_rules_do_not_hinder_the_cascade_of_a_deleted_manifest(database: Database) -> None:
    """Nor the triggers that count and queue."""
    child = push_image(database, APP)
    index = put(database, APP, index_of(child.manifest), "v1")
    add(database, "immutable", "maintainer", tags="release-*")
    assert manifests.delete(database, APP, index)
    assert manifests.delete(database, APP, child.digest)
    assert value(database, "SELECT tags + manifests FROM repository_usage") == 0


def test_a_refused_change_leaves_counters_and_queues_as_they_were(database: Database) -> None:
    put(database, APP, ONE, "v1")
    add(database, "immutable")
    state = "SELECT tags, manifests, (SELECT count(*) FROM manifest_reviews) FROM repository_usage"
    before = query(database, state)
    assert is_refused(database, TWO, ADMIN)
    assert is_kept(database, ADMIN)
    assert query(database, state) == before


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"kind": "frozen"}, "protected, immutable, exempt or delete_protected"),
        ({"kind": "protected", "role": "owner"}, "no role owner"),
        ({"kind": "delete_protected", "tags": "v*"}, "about all tags"),
        ({"kind": "exempt", "role": "admin"}, "takes no role"),
        ({"kind": "protected", "name": "known"}, "there is a rule known"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(database: Database, more: dict[str, Any], reason: str) -> None:
    add(database, "exempt", name="known")
    with pytest.raises(RuleRefused, match=reason):
        add(database, **{"name": "new", **more})


def test_patterns_are_checked(database: Database) -> None:
    with pytest.raises(PatternInvalid):
        add(database, "protected", repositories="a?")
    with pytest.raises(PatternInvalid):
        add(database, "protected", tags="a/b")


def test_rules_of_a_namespace_are_those_that_say_nothing_of_others(database: Database) -> None:
    for number, pattern in enumerate(("team/*", "team", "team*/x", "**", "teams/x", "team/a")):
        rules.add(database, NewRule(f"rule {number}", 9 - number, "exempt", pattern))
    assert [rule.repositories for rule in rules.list_all(database, "team")] == ["team/a", "team/*"]
    assert rules.list_all(database, "te") == []
    [other] = rules.list_all(database, "teams")
    assert rules.get(database, other.id) == other
    assert rules.get(database, other.id + 99) is None


def test_rules_are_listed_in_the_order_in_which_they_are_asked(database: Database) -> None:
    last = add(database, "protected", "admin", name="last", position=2, tags="v*")
    first = add(database, "exempt", name="first", position=-1)
    assert rules.list_all(database) == [
        Rule(first, "first", -1, "exempt", "team/*", "*", None),
        Rule(last, "last", 2, "protected", "team/*", "v*", "admin"),
    ]
    removed = rules.remove(database, last)
    assert removed is not None
    assert removed.name == "last"
    assert rules.remove(database, last) is None


_RULES_READ = """
    SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
      FROM pg_stat_xact_user_tables WHERE schemaname = 'public' AND relname = 'tag_rules'
"""


def test_rules_that_do_not_match_are_never_looked_at(database: Database, database_url: str) -> None:
    """A thousand of others cost a push and a deletion no row of theirs."""
    put(database, APP, ONE, "v1")
    names = [f"t{number}" for number in range(20)]

    def rows_read() -> int:
        with OpenTransaction(database_url) as client:
            put(client, APP, ONE, *names)
            client.run("DELETE FROM tags WHERE name <> 'v1'")
            return int(client._held.run([(_RULES_READ, {})])[0].rows[0][0])

    assert rows_read() == 0
    for number in range(1000):
        add(database, "protected", name=str(number), repositories=f"team-{number}/**", tags=f"*{number}*")
    query(database, "ANALYZE tag_rules")
    assert rows_read() == 0
    add(database, "protected", name="near", repositories="team/**", tags="*-none")
    assert rows_read() > 0, "one of this namespace is looked at, which shows that the counter counts"


def test_a_namespace_has_no_more_rules_than_it_may(database: Database) -> None:
    for number in range(3):
        rules.add(database, NewRule(str(number), 0, "exempt", "team/**"), most=3)
    with pytest.raises(TooManyRules, match="at most 3 rules"):
        rules.add(database, NewRule("3", 0, "exempt", "team/**"), most=3)
    assert rules.add(database, NewRule("3", 0, "exempt", "other/**"), most=3)
    assert rules.add(database, NewRule("3", 0, "exempt", "**"), most=3), "of the registry there are as many as it likes"


def test_rules_names_are_a_namespaces_own(database: Database) -> None:
    for repositories in ("team/**", "other/**", "**"):
        rules.add(database, NewRule("releases", 0, "immutable", repositories))
    with pytest.raises(RuleExists):
        rules.add(database, NewRule("releases", 1, "exempt", "team/app"))


def test_a_rank_ends_with_its_transaction(database: Database) -> None:
    """Sessions are used again, by whoever comes next."""
    add(database, "protected", "reader")
    put(database, APP, ONE, "v1", rank=READER)
    assert tags.delete(database, APP, V1, READER)
    put(database, APP, ONE, "v1", rank=READER)
    with (
        database._pool.connection(may_block=False) as connection,
        pytest.raises(Exception, match="is protected by rule"),
    ):
        connection.run([("DELETE FROM tags", {})])
    assert tagged(database) is not None
