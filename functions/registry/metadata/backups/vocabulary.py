"""The words of backups, and a row of `backup_runs`, as the schema explains them (functions/migrate/versions/pre/)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

RunKind = Literal["backup", "verification", "prune"]
RunState = Literal["waiting", "copying", "sealed", "done", "failed", "pruned"]


@dataclass(frozen=True, slots=True)
class Run:
    """One thing that is or was done, as people see it. `missing` counts objects that the registry's bucket lacked;
    `drill` is the last one that brought this backup back, None if there was none.
    """

    id: int
    kind: RunKind
    state: RunState
    destination: str
    name: str
    options: dict[str, Any]
    snapshot_at: datetime | None
    counts: dict[str, int]
    missing: int
    error: str | None
    created_at: datetime
    ended_at: datetime | None
    drill: dict[str, Any] | None


@dataclass(slots=True)
class Claim:
    """A run that somebody is at work on, as it stood when it was claimed, and as he goes on with it.

    `lease` tells it from a later claim. `missing` are the names that were found to be missing since the last note.
    """

    id: int
    kind: RunKind
    state: RunState
    destination: str
    name: str
    options: dict[str, Any]
    snapshot: dict[str, Any] | None
    snapshot_at: datetime | None
    hold_id: int | None
    cursor: str
    tokens: dict[str, str]
    counts: dict[str, int]
    lease: int
    attempts: int
    missing: list[str] = field(default_factory=list)
