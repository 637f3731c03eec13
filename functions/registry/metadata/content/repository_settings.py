"""What a repository keeps in a way of its own: its untagged manifests, garbage, and what is deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.name import RepositoryName

LONGEST_GRACE_SECONDS: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """`grace_seconds` stands in for the registry's graces, for all events; None is the registry's. `undo_seconds` is
    how long what is deleted can be put back; None is the namespace's.
    """

    keep_untagged: bool
    grace_seconds: int | None
    undo_seconds: int | None


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """What is None in it stays; `changes_grace` and `changes_undo` tell a time of None from one that stays."""

    keep_untagged: bool | None = None
    changes_grace: bool = False
    grace_seconds: int | None = None
    changes_undo: bool = False
    undo_seconds: int | None = None


_CHANGE: Final = Statement(
    "repository_settings_change",
    RepositorySettings,
    """
    UPDATE repositories
       SET keep_untagged = coalesce(CAST(:keep_untagged AS boolean), keep_untagged),
           grace = CASE WHEN CAST(:changes_grace AS boolean)
                        THEN make_interval(secs => CAST(:grace_seconds AS double precision)) ELSE grace END,
           undo = CASE WHEN CAST(:changes_undo AS boolean)
                       THEN make_interval(secs => CAST(:undo_seconds AS double precision)) ELSE undo END
     WHERE name = :repository
    RETURNING keep_untagged, CAST(extract(epoch FROM grace) AS bigint), CAST(extract(epoch FROM undo) AS bigint)
    """,
)

_CHANGE_NAMESPACE: Final = Statement(
    "repository_settings_change_namespace",
    int,
    """
    UPDATE namespaces SET undo = make_interval(secs => CAST(:undo_seconds AS double precision)) WHERE name = :namespace
    """,
)


def change(db: Database, repository: RepositoryName, change: SettingsChange) -> RepositorySettings | None:
    """Returns all its settings as they are now; None if there is no such repository. A grace holds from the next event
    on.

    Raises Conflict if the grace is not from 0 to LONGEST_GRACE_SECONDS.
    """
    return db.one_or_none(
        _CHANGE(
            repository=repository,
            keep_untagged=change.keep_untagged,
            changes_grace=change.changes_grace,
            grace_seconds=change.grace_seconds,
            changes_undo=change.changes_undo,
            undo_seconds=change.undo_seconds,
        )
    )


def change_namespace(db: Database, namespace: str, undo_seconds: int | None) -> bool:
    """Sets how long what is deleted in its repositories can be put back, from the next deletion on; None is the
    registry's. False if there is no such namespace.
    """
    return db.count(_CHANGE_NAMESPACE(namespace=namespace, undo_seconds=undo_seconds)) > 0
