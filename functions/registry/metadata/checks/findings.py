"""What checks found: noted once, shown with what names it, and closed when it is no more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from functions.registry.metadata.checks.vocabulary import DAMAGE, DAMAGED_BLOBS, KINDS, Action, Found, Kind
from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.oci.digest import Digest

_MOST_TOLD: Final = 1000
# More than this is as bad as this, and costs no more to count: a bucket that is gone has a finding for each blob.
MOST_COUNTED: Final = 1000
_MOST_HOLDERS: Final = 100
# A blob that was pushed again, or is gone, has the finding's object no more, and a manifest that was is not marked; the
# next check closes the row.
IS_OPEN: Final = """
    found.gone_at IS NULL
       AND (found.kind NOT IN ('missing', 'size', 'checksum', 'digest', 'marked')
            OR EXISTS (SELECT FROM blobs
                        WHERE blobs.object_name = found.subject AND blobs.digest = found.digest
                          AND (found.kind <> 'marked' OR blobs.damaged_at IS NOT NULL) OFFSET 0))
       AND (found.kind <> 'manifest' OR found.action IS DISTINCT FROM 'marked'
            OR EXISTS (SELECT FROM manifests
                        WHERE manifests.id = CAST(found.subject AS bigint) AND manifests.damaged_at IS NOT NULL
                       OFFSET 0))
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """`repositories` are up to ten that have it, and `images` as many tags that need it, the one that was pulled last
    first; `pulled_at` is when that was.
    """

    id: int
    check_id: int
    kind: Kind
    subject: str
    digest: Digest | None
    repository: str | None
    size: int | None
    detail: str
    found_at: datetime
    action: Action | None
    acted_at: datetime | None
    repositories: list[str]
    images: list[str]
    pulled_at: datetime | None


_NOTE: Final = Statement(
    "checks_note_findings",
    int,
    """
    INSERT INTO findings AS known (check_id, kind, subject, digest, repository, size, detail)
    SELECT :check_id, found.*
      FROM unnest(CAST(:kinds AS text[]), CAST(:subjects AS text[]), CAST(:digests AS bytea[]),
                  CAST(:repositories AS text[]), CAST(:sizes AS bigint[]), CAST(:details AS text[])) AS found
     ORDER BY 2, 3
    ON CONFLICT (kind, subject) DO UPDATE
       SET check_id = excluded.check_id, digest = excluded.digest, repository = excluded.repository,
           size = excluded.size, detail = excluded.detail, gone_at = NULL,
           found_at = CASE WHEN known.gone_at IS NULL THEN known.found_at ELSE now() END,
           action = CASE WHEN known.gone_at IS NULL THEN known.action END,
           acted_at = CASE WHEN known.gone_at IS NULL THEN known.acted_at END
    """,
)

# What names a blob: manifests, and indexes that list those. A tag of either needs it.
_LIST_SQL: Final = """
    SELECT found.id, found.check_id, found.kind, found.subject, found.digest, found.repository, found.size,
           found.detail, found.found_at, found.action, found.acted_at,
           CASE WHEN found.repository IS NULL THEN coalesce(held.names, '[]')
                ELSE json_build_array(found.repository) END,
           coalesce(needing.images, '[]'), needing.pulled_at
      FROM findings AS found
      LEFT JOIN LATERAL (
           SELECT json_agg(image.name ORDER BY image.pulled_at DESC, image.name) AS images,
                  nullif(max(image.pulled_at), '-infinity') AS pulled_at
             FROM (SELECT repositories.name || ':' || tags.name AS name, tags.pulled_at
                     FROM (SELECT named.manifest_id AS id
                             FROM repository_blobs AS link
                             JOIN manifest_blobs AS named
                               ON named.repository_id = link.repository_id AND named.digest = link.digest
                            WHERE link.digest = found.digest AND found.kind = ANY (CAST(:of_blobs AS text[]))
                            UNION ALL
                           SELECT CAST(found.subject AS bigint) WHERE found.kind IN ('manifest', 'references')
                            LIMIT :holders) AS direct
                    CROSS JOIN LATERAL (
                          SELECT direct.id
                           UNION ALL
                          SELECT parent_id FROM manifest_children WHERE child_id = direct.id) AS holder
                     JOIN tags ON tags.manifest_id = holder.id
                     JOIN repositories ON repositories.id = tags.repository_id
                    ORDER BY tags.pulled_at DESC, 1
                    LIMIT 10) AS image
           ) AS needing ON true
      LEFT JOIN LATERAL (
           SELECT json_agg(link.name) AS names
             FROM (SELECT repositories.name
                     FROM repository_blobs AS link
                     JOIN repositories ON repositories.id = link.repository_id
                    WHERE link.digest = found.digest
                    ORDER BY link.repository_id LIMIT 10) AS link
           ) AS held ON true
     WHERE found.id > :last AND found.kind = coalesce(:kind, found.kind) AND $is_open
     ORDER BY found.id
     LIMIT :limit
"""

_LIST: Final = Statement("checks_list_findings", Finding, compose(_LIST_SQL, is_open=IS_OPEN))


@dataclass(frozen=True, slots=True)
class OpenFindings:
    """How many of a kind nobody has mended yet; MOST_COUNTED may stand for more."""

    kind: Kind
    count: int


_COUNT_SQL: Final = """
    SELECT asked.kind, counted.count
      FROM unnest(CAST(:kinds AS text[])) AS asked (kind)
     CROSS JOIN LATERAL (
           SELECT count(*) AS count
             FROM (SELECT FROM findings AS found
                    WHERE found.kind = asked.kind AND found.id > 0 AND $is_open
                    ORDER BY found.subject LIMIT :most) AS few) AS counted
     WHERE counted.count > 0
     ORDER BY asked.kind
"""

_COUNT: Final = Statement("checks_count_findings", OpenFindings, compose(_COUNT_SQL, is_open=IS_OPEN))

_OPEN_SUBJECTS: Final = Statement(
    "checks_open_subjects",
    str,
    """
    SELECT asked.subject FROM unnest(CAST(:subjects AS text[])) AS asked (subject)
     WHERE EXISTS (SELECT FROM findings AS found
                    WHERE found.kind = ANY (CAST(:kinds AS text[])) AND found.subject = asked.subject
                      AND found.gone_at IS NULL OFFSET 0)
    """,
)

# Of what this check is the first to find: one for each repository that has it, as far as somebody is subscribed. Where
# much is gone the first of them tell it; how many there are stands in the log.
_TELL: Final = Statement(
    "checks_tell_damage",
    int,
    """
    WITH damaged AS MATERIALIZED (
        SELECT found.kind, found.subject, found.digest, found.size
          FROM findings AS found JOIN checks ON checks.id = found.check_id
         WHERE found.check_id = :check_id AND found.id > 0 AND found.gone_at IS NULL
           AND found.found_at >= checks.started_at AND found.kind = ANY (CAST(:kinds AS text[]))
         ORDER BY found.id
         LIMIT :most
    ), places AS (
        SELECT link.repository_id, damaged.digest, damaged.size
          FROM damaged
         CROSS JOIN LATERAL (
               SELECT repository_id FROM repository_blobs WHERE repository_blobs.digest = damaged.digest
                LIMIT :most) AS link
         WHERE damaged.kind NOT IN ('manifest', 'references')
         UNION
        SELECT manifests.repository_id, damaged.digest, damaged.size
          FROM damaged
          JOIN manifests
            ON manifests.id = CASE WHEN damaged.kind IN ('manifest', 'references') THEN CAST(damaged.subject AS bigint)
                              END
         ORDER BY 1, 2
         LIMIT :most
    )
    INSERT INTO events (kind, repository_id, repository, digest, size, actor, cause)
    SELECT 'fsck.damaged', here.id, here.name, places.digest, places.size, :actor, 'operator'
      FROM places JOIN repositories AS here ON here.id = places.repository_id
     WHERE here.deleted_at IS NULL AND is_wanted('fsck.damaged', split_part(here.name, '/', 1))
     ORDER BY here.id, places.digest
    """,
)


def noting(check_id: int, found: Sequence[Found]) -> list[Call[int]]:
    """Empty for nothing. What was found before stays one row."""
    if not found:
        return []
    return [
        _NOTE(
            check_id=check_id,
            kinds=[each.kind for each in found],
            subjects=[each.subject for each in found],
            digests=[each.digest for each in found],
            repositories=[each.repository for each in found],
            sizes=[each.size for each in found],
            details=[each.detail for each in found],
        )
    ]


def list_open(db: Database, kind: Kind | None, last: int, limit: int) -> list[Finding]:
    """Returns what is wrong now, as far as the checks so far know; one more than `limit` if there is more."""
    return db.all(_listing(kind, last, limit, None))


def listing(kind: Kind | None, last: int, limit: int) -> Call[Finding]:
    """Returns what `list_open` asks, for a batch; of what very many images need, some of these are looked at."""
    return _listing(kind, last, limit, _MOST_HOLDERS)


def _listing(kind: Kind | None, last: int, limit: int, holders: int | None) -> Call[Finding]:
    return _LIST(kind=kind, last=last, limit=limit + 1, holders=holders, of_blobs=[*DAMAGED_BLOBS, "marked"])


def count_open(db: Database) -> dict[Kind, int]:
    """Counts all of them, however many there are."""
    return {each.kind: each.count for each in db.all(_COUNT(kinds=list(KINDS), most=None))}


def counting() -> Call[OpenFindings]:
    """Counts as far as a page needs it, for a batch: at most MOST_COUNTED of each kind."""
    return _COUNT(kinds=list(KINDS), most=MOST_COUNTED)


def open_subjects(db: Database, kinds: Sequence[Kind], subjects: Sequence[str]) -> set[str]:
    """Returns those of the subjects of which something of these kinds was found."""
    return set(db.all(_OPEN_SUBJECTS(kinds=list(kinds), subjects=list(subjects))))


def telling_damage(check_id: int, actor: str) -> Call[int]:
    """Tells whoever is subscribed to it of what the check, which `actor` asked for, is the first to find."""
    return _TELL(check_id=check_id, actor=actor, kinds=list(DAMAGE), most=_MOST_TOLD)
