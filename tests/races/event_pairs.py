"""The fan-out and the delivery of events against what makes events, and against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from functions.registry.metadata.content import removal
from functions.registry.metadata.db import Database
from functions.registry.metadata.driver import Connection
from functions.registry.metadata.events import lanes, outbox, subscriptions
from functions.registry.metadata.events.lanes import Bounds, Result, Sent
from functions.registry.metadata.events.subscriptions import NewSubscription
from tests.metadata.build import APP, query
from tests.races.operations import OPERATIONS, SUCCEEDS, Cast, Operation
from tests.races.pairs import Arena, Pair
from tests.races.props import MOVING
from tests.races.scenes import SCENES, Scene
from tests.races.stage import Performance
from tests.races.undo_pairs import PURGE, RESTORE, SET_ASIDE

_BOUNDS: Final = Bounds(lanes=10, lanes_each=10, events=100, seconds=60)
_MORE: Final = 1000


def _told(db: Database) -> None:
    """Somebody is subscribed when the image is tagged, and then deleted; nothing is fanned out."""
    new = NewSubscription(name="all", repositories="**", target="https://hooks.example.com", created_by="user:admin")
    subscriptions.add(db, new)
    SCENES["tagged"].build(db)
    removal.delete_tags(db, APP, [MOVING])


def _fanned_out(db: Database) -> None:
    _told(db)
    outbox.fan_out(db, _MORE)


EVENT_SCENES: Final = {
    scene.name: scene
    for scene in (
        Scene("told", "an image was tagged and its tag deleted, and one is subscribed: nothing is fanned out", _told),
        Scene("fanned_out", "as *told*, and what happened so far is fanned out", _fanned_out),
    )
}
_ALL: Final = tuple(EVENT_SCENES)


def _fan_out(most: int) -> Callable[[Cast], str]:
    def act(cast_: Cast) -> str:
        return "fans out" if outbox.fan_out(cast_.database, most) else "leaves it to another"

    return act


def _deliver(cast_: Cast) -> str:
    """Delivers as the function does it: what is claimed is sent with no transaction open, and then settled."""
    claimed = lanes.claim(cast_.database, _BOUNDS, {})
    count = sum(len(lane.events) for lane in claimed)
    lanes.settle(
        cast_.database,
        [
            Result(
                lane.subscription_id,
                lane.repository_id,
                lane.lease,
                [Sent(event["id"], "sent", 204, 1, "") for event in lane.events],
                wait_seconds=0,
                attempts=0,
                got_through=True,
            )
            for lane in claimed
        ],
    )
    return f"sends {count}"


def _trim(cast_: Cast) -> str:
    return f"ends {outbox.trim(cast_.database, _MORE)}"


FAN_OUT: Final = Operation("fan out", _ALL, _fan_out(_MORE))
FAN_OUT_SOME: Final = Operation("fan out some", ("told",), _fan_out(2))
DELIVER: Final = Operation("deliver", ("fanned_out",), _deliver)
TRIM: Final = Operation("trim events", _ALL, _trim)
_STEPS: Final = (FAN_OUT, FAN_OUT_SOME, DELIVER, TRIM)
_MET: Final = ("manifest PUT", "tag move", "tag delete", "manifest delete", "move", "collect manifests")
_OTHERS: Final = (
    *(replace(OPERATIONS[name], scenes=_ALL, also=()) for name in _MET),
    *(replace(each, scenes=_ALL) for each in (RESTORE, PURGE, SET_ASIDE)),
)
EVENT_PAIRS: Final = [
    Pair(first, second)
    for number, first in enumerate(_STEPS)
    for second in (*_OTHERS, *_STEPS[number:])
    if set(first.scenes) & set(second.scenes)
]

# Once the rest is fanned out as well.
_WRONG: Final = {
    "an event has no position": "SELECT id FROM events WHERE position IS NULL",
    "two events of a repository are in the wrong order": """
        SELECT one.id FROM events AS one JOIN events AS other USING (repository_id)
         WHERE one.id < other.id AND one.position >= other.position
    """,
    "an event is delivered to nobody": """
        SELECT id FROM events WHERE NOT EXISTS (SELECT FROM deliveries WHERE event_id = events.id)
    """,
    "a lane counts wrongly": """
        SELECT repository_id FROM lanes
         WHERE waiting <> (SELECT count(*) FROM deliveries
                            WHERE deliveries.subscription_id = lanes.subscription_id
                              AND deliveries.repository_id = lanes.repository_id AND state = 'waiting')
    """,
    "a later event was sent before an earlier one": """
        SELECT later.event_id FROM deliveries AS later JOIN deliveries AS earlier USING (repository_id)
         WHERE later.state = 'sent' AND earlier.state = 'waiting' AND earlier.event_id < later.event_id
    """,
}
_SENT: Final = "SELECT count(*) FROM deliveries WHERE state = 'sent'"
# What a change is told as. One that found nothing to do is told by nothing.
_KINDS: Final = {
    "manifest PUT": "manifest.pushed",
    "tag move": "manifest.pushed",
    "manifest delete": "manifest.deleted",
    "set aside": "repository.deleted",
    "move": "repository.moved",
    "restore": "tag.restored",
}
_TOLD: Final = "SELECT DISTINCT kind FROM events"


class EventArena(Arena):
    """Every change is told once, in the order of the commits of its repository."""

    def __init__(self, url: str) -> None:
        connection = Connection(url)
        connection.simple("UPDATE gc_settings SET grace = '7 days' WHERE event = 'undo'")
        connection.close()
        super().__init__(url, EVENT_SCENES)
        self._after = Database(url, size=1)
        self.look_further = self._look

    def __exit__(self, *_: object) -> None:
        self._after.close()
        super().__exit__()

    def _look(self, pair: Pair, performance: Performance, _: set[str]) -> list[str]:
        while outbox.fan_out(self._after, _MORE):
            pass
        faults = [f"{what}: {rows}" for what, sql in _WRONG.items() if (rows := query(self._after, sql))]
        told = {kind for (kind,) in query(self._after, _TOLD)}
        for name, ending in zip(pair.names, performance.endings, strict=True):
            if ending == SUCCEEDS and name in _KINDS and _KINDS[name] not in told:
                faults.append(f"{name} was not told")
        sent = sum(int(ending.split()[1]) for ending in performance.endings if ending.startswith("sends"))
        if [[sent]] != query(self._after, _SENT):
            faults.append(f"{sent} events were sent, and others are marked so")
        return faults
