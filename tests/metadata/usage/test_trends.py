"""What repositories are ranked by is, after each GC run, what one adds up by hand; and both rankings show it."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pytest

from functions.registry.metadata.content import manifests, moves, removal
from functions.registry.metadata.content.moves import NameTaken, NothingToMove
from functions.registry.metadata.db import Database
from functions.registry.metadata.lists import rankings
from functions.registry.metadata.usage import pulls_and_pushes, trends
from functions.registry.metadata.usage.pulls_and_pushes import Counts
from functions.registry.metadata.usage.trends import DAYS
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName
from tests.metadata.build import (
    APP,
    OpenTransaction,
    push_image,
    query,
    start_upload,
    value,
    wait_until_blocked,
)
from tests.metadata.list_rows import collect
from tests.support import Image

NAMES: Final = [RepositoryName(f"{namespace}/{name}") for namespace in ("ash", "beech") for name in ("a", "b", "c")]

# As if so many days had gone by: everything lies so much further back.
_PASS: Final = """
    SET session_replication_role = replica;
    UPDATE repository_days SET day = day - 1000;
    UPDATE repository_days SET day = day + 1000 - {days};
    UPDATE repository_trends SET due_on = due_on - {days} WHERE due_on > '-infinity';
    UPDATE repositories SET created_at = created_at - interval '{days} days';
    UPDATE repository_usage SET pushed_at = pushed_at - interval '{days} days' WHERE pushed_at > '-infinity';
    SET session_replication_role = origin;
"""
_REPOSITORIES: Final = """
    SELECT name, created_at, manifests, bytes, nullif(pushed_at, '-infinity'), id
      FROM repositories JOIN repository_usage ON repository_id = id
"""
_DAYS: Final = "SELECT day, pushes, pulls, bytes FROM repository_days WHERE repository_id = :id ORDER BY day"


def let_pass(database: Database, days: int) -> None:
    with database._pool.connection(may_block=False) as connection:
        connection.simple(_PASS.format(days=days))


def by_hand(database: Database) -> dict[str, tuple[int, int, int]]:
    """Bytes gained, pushes and pulls of each repository that has any."""
    first = datetime.now(UTC).date() - timedelta(days=DAYS)
    found = {}
    for name, created_at, count, size, pushed_at, id_ in query(database, _REPOSITORIES):
        days = query(database, _DAYS, id=id_)
        recent = [(pushes, pulls) for day, pushes, pulls, _ in days if day > first]
        gained = size - _bytes_before(days, first, created_at.date() >= first, size)
        if pushed_at is None or pushed_at.date() < first:
            gained = 0
        if count > 0:
            found[name] = (max(gained, 0), sum(pushes for pushes, _ in recent), sum(pulls for _, pulls in recent))
    return {name: figures for name, figures in found.items() if any(figures)}


def _bytes_before(days: list[list[Any]], first: date, is_young: bool, size: int) -> int:
    counted = [(day, held) for day, _, _, held in days if held is not None]
    older = [held for day, held in counted if day <= first]
    if older:
        return int(older[-1])
    if is_young:
        return 0
    return int(counted[0][1]) if counted else size


def as_kept(database: Database, namespace: str | None = None) -> dict[str, tuple[int, int, int]]:
    """The same, by what the two rankings show."""
    found: dict[str, tuple[int, int, int]] = {}
    for item in rankings.most_active(database, 100, namespace):
        found[item["name"]] = (0, item["recent_pushes"], item["recent_pulls"])
    for item in rankings.fastest_growing(database, 100, namespace):
        found[item["name"]] = (item["gained_bytes"], *found.get(item["name"], (0, 0, 0))[1:])
    return found


def use(database: Database, name: RepositoryName, *, pushes: int = 0, pulls: int = 0, age: float = 0) -> None:
    pulls_and_pushes.add(database, [Counts(name, None, Digest.of(b"any"), pulls, pushes, age)])


def assert_by_hand(database: Database) -> None:
    expected = by_hand(database)
    assert as_kept(database) == expected
    for namespace in ("ash", "beech"):
        of_namespace = {name: figures for name, figures in expected.items() if name.startswith(f"{namespace}/")}
        assert as_kept(database, namespace) == of_namespace


@dataclass
class Life:
    """Does one thing after the other, as chance has it."""

    database: Database
    seed: int
    images: list[tuple[RepositoryName, Image]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)  # noqa: S311  # a test's chance, which can be repeated

    def act(self) -> None:
        acts = [self.push, self.push, self.delete, self.use, self.use, self.move, self.remove, self.let_pass]
        self.random.choice(acts)()

    def push(self) -> None:
        name = self.random.choice(NAMES)
        self.images.append((name, push_image(self.database, name, f"v{self.random.randrange(3)}")))

    def delete(self) -> None:
        if self.images:
            name, image = self.random.choice(self.images)
            manifests.delete(self.database, name, image.digest)

    def use(self) -> None:
        age = self.random.choice((0, 86_400, 3 * 86_400))
        use(self.database, self.random.choice(NAMES), pushes=self.random.randrange(3), pulls=1, age=age)

    def move(self) -> None:
        old, new = self.random.sample(NAMES, 2)
        try:
            moves.move(self.database, old, new, with_below=False, dry_run=False)
        except (NameTaken, NothingToMove):
            return
        self.images = [(new if name == old else name, image) for name, image in self.images]

    def remove(self) -> None:
        if self.random.random() < 0.3:
            removal.remove(self.database, self.random.choice(NAMES))

    def let_pass(self) -> None:
        let_pass(self.database, self.random.choice((1, 1, 2, 5, 15, 29, 30, 31)))


@pytest.mark.parametrize("seed", range(6))
def test_ranks_are_what_one_adds_up_by_hand_whatever_happens(database: Database, seed: int) -> None:
    life = Life(database, seed)
    for _ in range(40):
        for _ in range(life.random.randrange(1, 4)):
            life.act()
        collect(database)
        assert_by_hand(database)


def test_each_day_that_goes_by_without_any_use_changes_what_it_changes(database: Database) -> None:
    push_image(database, APP, "v1")
    for pulls, age in ((1, 0), (2, 5), (4, 29)):
        use(database, APP, pulls=pulls, age=86_400 * age)
    collect(database)
    seen = []
    for _ in range(DAYS + 3):
        let_pass(database, 1)
        handled = trends.add_up(database, 10)
        assert as_kept(database) == by_hand(database)
        seen.append((handled, as_kept(database).get(APP, (0, 0, 0))[2]))
    assert seen[0] == (1, 3)
    assert [number for number, (handled, _) in enumerate(seen) if handled] == [0, 24, 29, 30]
    assert seen[24:31] == [(1, 1), (0, 1), (0, 1), (0, 1), (0, 1), (1, 0), (1, 0)]
    assert value(database, "SELECT due_on IS NULL FROM repository_trends")


def test_an_untagged_scan_that_comes_late_changes_nothing_about_when_it_was_made_and_pushed_to(
    database: Database,
) -> None:
    start_upload(database, APP)
    let_pass(database, 5)
    gained = []
    for _ in range(2):
        image = push_image(database, APP, "v1")
        let_pass(database, 5)
        collect(database)
        for _ in range(DAYS + 10):
            gained.append(as_kept(database).get(APP, (0, 0, 0))[0])
            assert as_kept(database) == by_hand(database)
            let_pass(database, 1)
            trends.add_up(database, 10)
    size = len(image.manifest) + sum(map(len, image.blobs))
    assert gained == [size] * 21 + [0] * 19 + [size] * 26 + [0] * 14


def test_one_that_shrinks_has_not_grown_until_the_days_before_are_long_past(database: Database) -> None:
    first, second = push_image(database, APP, "v1"), push_image(database, APP, "v2")
    collect(database)
    let_pass(database, 40)
    manifests.delete(database, APP, first.digest)
    push_image(database, APP, "v2", image=second)
    use(database, APP, pushes=1)
    collect(database)
    assert as_kept(database) == by_hand(database) == {APP: (0, 1, 0)}
    assert value(database, "SELECT gained_bytes FROM repository_trends") == -len(first.manifest)
    let_pass(database, 20)
    push_image(database, APP, "v1", image=first)
    collect(database)
    assert as_kept(database) == by_hand(database) == {APP: (0, 1, 0)}
    let_pass(database, 10)
    collect(database)
    assert as_kept(database) == by_hand(database) == {APP: (len(first.manifest), 0, 0)}


def test_what_has_been_emptied_is_not_shown_before_garbage_collection_either(database: Database) -> None:
    image = push_image(database, APP, "v1")
    use(database, APP, pulls=1)
    collect(database)
    assert set(as_kept(database)) == {APP}
    manifests.delete(database, APP, image.digest)
    assert as_kept(database) == {}


def test_several_collect_at_once_and_each_repository_is_added_up_by_one(database: Database, database_url: str) -> None:
    for name in NAMES:
        push_image(database, name, "v1")
        use(database, name, pulls=1)
    with OpenTransaction(database_url) as other:
        other.run("SELECT FROM repository_trends ORDER BY repository_id LIMIT 2 FOR NO KEY UPDATE")
        assert trends.add_up(database, 100) == len(NAMES) - 2
        other.commit()
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(lambda _: trends.add_up(database, 1), range(4))) == 2


def test_what_is_used_while_it_is_added_up_has_its_turn_again(database: Database, database_url: str) -> None:
    push_image(database, APP, "v1")
    use(database, APP, pulls=1)
    with OpenTransaction(database_url) as other, ThreadPoolExecutor(1) as pool:
        assert trends._CLAIM.read(other.batch([trends._CLAIM(limit=10)])[0])
        other.count(trends._ADD_UP(ids=[value(database, "SELECT id FROM repositories")], days=DAYS))
        using = pool.submit(use, database, APP, pulls=2)
        wait_until_blocked(database)
        other.commit()
        using.result(10)
    assert as_kept(database)[APP][2] == 1
    collect(database)
    assert as_kept(database)[APP][2] == 3


def test_a_dry_move_leaves_a_rank_where_it_is(database: Database) -> None:
    push_image(database, NAMES[0], "v1")
    use(database, NAMES[0], pulls=1)
    collect(database)
    moves.move(database, NAMES[0], NAMES[-1], with_below=False, dry_run=True)
    assert set(as_kept(database, "ash")) == {NAMES[0]}
    moves.move(database, NAMES[0], NAMES[-1], with_below=False, dry_run=False)
    assert as_kept(database, "ash") == {}
    assert set(as_kept(database, "beech")) == {NAMES[-1]}, "at once, not with the next GC run"
