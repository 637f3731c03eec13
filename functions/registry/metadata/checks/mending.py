"""What a repair needs of findings, and what it did about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.checks.vocabulary import DAMAGED_BLOBS, Action, Kind
from functions.registry.metadata.db import Call, Database, Session, Statement
from functions.registry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Noted:
    """What a repair needs of a finding."""

    id: int
    kind: Kind
    subject: str
    digest: Digest | None
    size: int | None


_COUNT_UNMARKED: Final = Statement(
    "checks_count_unmarked",
    int,
    """
    SELECT count(*)
      FROM findings AS found
     WHERE found.check_id = :check_id AND found.id > 0 AND found.gone_at IS NULL
       AND found.kind = ANY (CAST(:kinds AS text[]))
       AND EXISTS (SELECT FROM blobs
                    WHERE blobs.object_name = found.subject AND blobs.damaged_at IS NULL OFFSET 0)
    """,
)

_TO_MEND: Final = Statement(
    "checks_findings_to_mend",
    Noted,
    """
    SELECT id, kind, subject, digest, size FROM findings
     WHERE check_id = :check_id AND id > :after AND gone_at IS NULL AND action IS NULL
       AND kind = ANY (CAST(:kinds AS text[]))
     ORDER BY id LIMIT :limit
    """,
)

_ACT: Final = Statement(
    "checks_act",
    int,
    """
    UPDATE findings
       SET action = :action, acted_at = now(), gone_at = CASE WHEN CAST(:is_gone AS boolean) THEN now() END
     WHERE id = ANY (CAST(:ids AS bigint[]))
    """,
)

# Only what nobody has begun to delete.
_UNDO: Final = Statement(
    "checks_undo",
    int,
    """
    WITH taken AS MATERIALIZED (
        SELECT found.id, found.subject
          FROM findings AS found
          JOIN deletions ON deletions.object_name = found.subject AND deletions.attempts = 0
         WHERE found.check_id = :check_id AND found.id > 0 AND found.kind = 'unknown' AND found.action = 'queued'
         ORDER BY found.subject
           FOR UPDATE OF deletions
    ), kept AS (
        DELETE FROM deletions USING taken WHERE deletions.object_name = taken.subject
    )
    UPDATE findings SET action = NULL, acted_at = NULL, gone_at = NULL
      FROM taken WHERE findings.id = taken.id
    """,
)


def count_unmarked(db: Database, check_id: int) -> int:
    """Returns how many blobs the check found to be damaged that nobody has marked yet."""
    return db.one_or_none(_COUNT_UNMARKED(check_id=check_id, kinds=list(DAMAGED_BLOBS))) or 0


def to_mend(session: Session | Database, check_id: int, kinds: Sequence[Kind], after: int, limit: int) -> list[Noted]:
    """Returns those that the check came upon, and about which nothing was done yet."""
    return session.all(_TO_MEND(check_id=check_id, kinds=list(kinds), after=after, limit=limit))


def acting(ids: Sequence[int], action: Action, *, is_gone: bool) -> Call[int]:
    """`is_gone` if that is the end of it."""
    return _ACT(ids=list(ids), action=action, is_gone=is_gone)


def undo(db: Database, check_id: int) -> int:
    """Keeps the unknown objects that the check's repair queued for deletion. Returns how many there still were."""
    call: Call[Any] = _UNDO(check_id=check_id)
    return db.count(call)
