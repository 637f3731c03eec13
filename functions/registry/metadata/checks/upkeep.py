"""What keeps a registry safe beside its garbage collection: when all was last compared, and last backed up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.checks.findings import IS_OPEN, MOST_COUNTED
from functions.registry.metadata.checks.vocabulary import DAMAGE
from functions.registry.metadata.db import Call, Database, Statement, compose


@dataclass(frozen=True, slots=True)
class Upkeep:
    """When the last check ended, and how; how much of what checks found can't be pulled, or may be lost; of which
    moment the last sealed backup is; and when a backup was last verified, and rows and objects with it.

    `damaged` is MOST_COUNTED at most. None stands for never.
    """

    checked_at: datetime | None = None
    check_state: str | None = None
    damaged: int = 0
    backed_up_at: datetime | None = None
    verified_at: datetime | None = None


_SQL: Final = """
    SELECT checked.finished_at, checked.state, damaged.count, sealed.snapshot_at, verified.ended_at
      FROM (SELECT count(*) AS count
              FROM (SELECT FROM findings AS found
                     WHERE found.id > 0 AND found.kind = ANY (CAST(:damage AS text[])) AND $is_open
                     LIMIT :most) AS few) AS damaged
      LEFT JOIN (SELECT finished_at, state FROM checks WHERE state <> 'running' AND id > 0
                  ORDER BY id DESC LIMIT 1) AS checked ON true
      LEFT JOIN (SELECT snapshot_at FROM backup_runs WHERE kind = 'backup' AND state = 'sealed' AND id > 0
                  ORDER BY id DESC LIMIT 1) AS sealed ON true
      LEFT JOIN (SELECT ended_at FROM backup_runs WHERE kind = 'verification' AND state = 'done' AND id > 0
                  ORDER BY id DESC LIMIT 1) AS verified ON true
"""

_GET: Final = Statement("checks_upkeep", Upkeep, compose(_SQL, is_open=IS_OPEN))


def reading() -> Call[Upkeep]:
    """Returns what tells it, for a batch."""
    return _GET(damage=list(DAMAGE), most=MOST_COUNTED)


def get(db: Database) -> Upkeep:
    return db.one_or_none(reading()) or Upkeep()
