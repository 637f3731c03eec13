"""Drills: who brought a backup back elsewhere, to see that it comes back, and how many of its tags were lost.

A drill is one JSON object wherever it is told of, beside other things or alone.
"""

from __future__ import annotations

from typing import Any, Final

from functions.registry.metadata.db import Call, Database, Statement, compose

_DRILL: Final = """
    json_build_object('backup', drill.backup_id, 'tags', drill.tags, 'lost', drill.lost, 'seconds', drill.seconds,
                      'note', drill.note, 'drilled_by', drill.drilled_by, 'drilled_at', drill.drilled_at)
"""

_LATEST: Final = "SELECT $drill FROM backup_drills AS drill WHERE $which ORDER BY drill.id DESC LIMIT 1"

# The last drill of a row of `backup_runs`, as a column of what reads these: NULL if there is none.
OF_THE_RUN: Final = compose(f"({_LATEST})", drill=_DRILL, which="drill.backup_id = backup_runs.id")

_LAST: Final = Statement("drills_last", dict, compose(_LATEST, drill=_DRILL, which="drill.id > 0"))

_ADD: Final = Statement(
    "drills_add",
    dict,
    compose(
        """
        INSERT INTO backup_drills AS drill (backup_id, tags, lost, seconds, note, drilled_by)
        VALUES (:backup, :tags, :lost, :seconds, :note, :drilled_by)
        RETURNING $drill
        """,
        drill=_DRILL,
    ),
)

_UNSAID: Final = dict.fromkeys(("tags", "lost", "seconds", "note"))

_ID_OF: Final = Statement(
    "drills_backup_of_name", int, "SELECT id FROM backup_runs WHERE name = :name AND kind = 'backup'"
)


def add(db: Database, backup: int, drilled_by: str, **said: int | str) -> dict[str, Any]:
    """Records that a backup came back, and returns the record. `said` has any of `tags`, which were compared, `lost`,
    those of them that were not as they should be, `seconds` and `note`; the first two go together.
    """
    return db.all(_ADD(backup=backup, drilled_by=drilled_by, **{**_UNSAID, **said}))[0]


def reading() -> Call[dict[str, Any]]:
    """Returns what asks for the last of all, for a batch: no row if there was none."""
    return _LAST()


def last(db: Database) -> dict[str, Any] | None:
    return db.one_or_none(reading())


def backup_of(db: Database, name: str) -> int | None:
    """Returns the id of the backup that has this name at its destination."""
    return db.one_or_none(_ID_OF(name=name))
