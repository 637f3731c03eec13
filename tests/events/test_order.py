"""Order: ids follow commits, positions follow ids, one fan-out does after the other, and nobody overtakes in a lane."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from functions.registry.metadata.content import manifests, removal
from functions.registry.metadata.db import Database
from functions.registry.metadata.events import outbox, subscriptions
from functions.registry.metadata.events.subscriptions import NewSubscription
from functions.registry.oci.name import RepositoryName, Tag
from tests.metadata.build import OpenTransaction, push_image, query, value
from tests.support import Image

REPOSITORIES = [RepositoryName(f"team/r{number}") for number in range(3)]
EVENT = "INSERT INTO events (kind, repository_id, repository, tag) VALUES ('tag.moved', 1, 'team/app', 'v1')"


def subscribed(database: Database, target: str = "https://hooks.example.com", **more: object) -> int:
    chosen = {"name": "all", "repositories": "**", "created_by": "user:admin", "target": target, **more}
    return subscriptions.add(database, NewSubscription(**chosen))  # type: ignore[arg-type]


def test_while_one_fans_out_another_does_not(database: Database, database_url: str) -> None:
    """Else the later events of a repository would be sent before the earlier ones, which it has not committed yet."""
    subscribed(database)
    query(database, EVENT)
    with OpenTransaction(database_url) as first:
        assert outbox.fan_out(first, 1) == 1
        query(database, EVENT)
        assert outbox.fan_out(database, 10) == 0
        first.commit()
    assert outbox.fan_out(database, 10) == 1
    assert query(database, "SELECT id, position FROM events ORDER BY id") == query(
        database, "SELECT id, row_number() OVER (ORDER BY id) FROM events ORDER BY id"
    )


def test_whoever_asks_behind_a_position_misses_nothing(database: Database, database_url: str) -> None:
    """An event that was committed late has a lower id, and a later position."""
    subscribed(database, "poll")
    with OpenTransaction(database_url) as late:
        late.run(EVENT)
        query(database, EVENT)
        outbox.fan_out(database, 10)
        seen = outbox.list_page(database, 0, 10)
        assert len(seen.events) == 1
        late.commit()
    outbox.fan_out(database, 10)
    after = outbox.list_page(database, seen.last, 10)
    assert [event["id"] < seen.events[0]["id"] for event in after.events] == [True]


IMAGES = [Image(layers=(bytes([number]),)) for number in range(4)]


def write(database: Database, seed: int) -> None:
    """Pushes, moves and deletions, of tags and by digest."""
    chance = random.Random(seed)  # noqa: S311  # no secret
    for _ in range(25):
        repository = chance.choice(REPOSITORIES)
        choice = chance.random()
        if choice < 0.7:
            push_image(database, repository, chance.choice("abc"), image=chance.choice(IMAGES))
        elif choice < 0.85:
            removal.delete_tags(database, repository, [Tag(tag) for tag in "abc"])
        else:
            manifests.delete(database, repository, chance.choice(IMAGES).digest)


class Watch:
    """It looks again and again for an event that came after one of its repository with a higher id."""

    def __init__(self, database: Database) -> None:
        self.inversions: list[tuple[int, int]] = []
        self._database = database
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        highest: dict[int, int] = {}
        known: set[int] = set()
        while not self._over.is_set():
            for event, repository in query(self._database, "SELECT id, repository_id FROM events ORDER BY id"):
                if event not in known and event < highest.get(repository, 0):
                    self.inversions.append((repository, event))
                known.add(event)
                highest[repository] = max(event, highest.get(repository, 0))


def test_ids_of_a_repository_are_in_the_order_of_its_commits(database: Database) -> None:
    subscribed(database)
    with Watch(database) as watch, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: write(database, seed), range(4)))
    assert watch.inversions == []
    assert value(database, "SELECT count(*) FROM events") > 100
    while outbox.fan_out(database, 7):
        pass
    wrong = """
        SELECT count(*) FROM events AS a JOIN events AS b USING (repository_id)
         WHERE a.id < b.id AND a.position > b.position
    """
    assert value(database, wrong) == 0


def test_what_nobody_wants_is_not_written(database: Database) -> None:
    """Neither of other kinds, nor of other namespaces."""
    subscribed(database, kinds=["tag.moved"])
    subscribed(database, name="other", repositories="other/**")
    push_image(database, REPOSITORIES[0], "a")
    assert value(database, "SELECT count(*) FROM events") == 0
    push_image(database, REPOSITORIES[0], "a")
    assert query(database, "SELECT kind, count(*) FROM events GROUP BY 1") == [["tag.moved", 1]]


def test_only_what_a_subscription_matches_waits_for_it(database: Database) -> None:
    subscribed(database, name="tags", tags="v*")
    subscribed(database, name="one", repositories="team/r1")
    subscribed(database, name="poll", target="poll")
    for repository in REPOSITORIES[:2]:
        push_image(database, repository, "v1")
        push_image(database, repository, "latest")
    outbox.fan_out(database, 100)
    found = query(
        database,
        """
        SELECT subscriptions.name, events.repository, coalesce(events.tag, ''), events.kind
          FROM deliveries JOIN events ON events.id = event_id JOIN subscriptions ON subscriptions.id = subscription_id
         ORDER BY events.id
        """,
    )
    assert [row[1:] for row in found if row[0] == "tags"] == [
        ["team/r0", "v1", "tag.created"],
        ["team/r1", "v1", "tag.created"],
    ]
    assert {row[1] for row in found if row[0] == "one"} == {"team/r1"}
    assert {row[0] for row in found} == {"tags", "one"}
