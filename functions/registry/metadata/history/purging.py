"""What was deleted, deleted for good: no tag, no digest and no restore brings it back, and nothing of it waits.

It holds the repository alone, so nobody pushes meanwhile; whatever a collector has in hand it passes by. It may break
what a HEAD promised: whoever relied on that uploads again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from functions.registry import told
from functions.registry.metadata.access import rules
from functions.registry.metadata.db import Call, Database, Session, Statement, ranked
from functions.registry.oci.digest import Digest
from functions.registry.oci.name import RepositoryName, Tag

# Of manifests, in one transaction.
_AT_ONCE: Final = 500


@dataclass(slots=True)
class Purged:
    """`bytes` are those of manifests, and of blobs that no other repository links: `elsewhere` are the others."""

    manifests: int = 0
    blobs: int = 0
    bytes: int = 0
    elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class _Ended:
    """A manifest that was deleted, or lost a tag, and when the last time was."""

    digest: Digest
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class _Gone(_Ended):
    size: int
    blobs: list[str]
    manifests: list[str]


@dataclass(frozen=True, slots=True)
class _Link:
    size: int
    is_elsewhere: bool


_LOCK: Final = Statement("purging_lock", int, "SELECT id FROM repositories WHERE name = :repository FOR UPDATE")

# What a rule keeps from the caller is refused where it is named, and passed by where all is meant.
_UNLESS_PROTECTED: Final = Statement(
    "purging_unless_protected",
    str,
    """
    SELECT refuse((SELECT tag_refusal(:repository, asked.tag, false, caller_rank())
                     FROM unnest(CAST(:tags AS text[])) AS asked (tag)
                    WHERE tag_refusal(:repository, asked.tag, false, caller_rank()) IS NOT NULL LIMIT 1))
    """,
)

_ENDED: Final = Statement(
    "purging_ended",
    _Ended,
    """
    SELECT ended.digest, max(ended.changed_at)
      FROM tag_history AS ended
     WHERE ended.repository_id = :id
       AND (CAST(:tags AS text[]) IS NULL OR ended.tag = ANY (CAST(:tags AS text[])))
       AND tag_refusal(:repository, ended.tag, false, caller_rank()) IS NULL
     GROUP BY ended.digest
     ORDER BY ended.digest
    """,
)

# With what each held: an index goes before what it listed. What is not among the digests is asked for by nobody, unless
# all is meant.
_WITHDRAWN: Final = Statement(
    "purging_withdrawn",
    _Gone,
    """
    WITH locked AS MATERIALIZED (
        SELECT digest FROM withdrawn_manifests
         WHERE repository_id = :id
           AND (CAST(:is_all AS boolean) OR digest = ANY (CAST(:digests AS bytea[])))
         ORDER BY digest LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    DELETE FROM withdrawn_manifests AS gone USING locked
     WHERE gone.repository_id = :id AND gone.digest = locked.digest
    RETURNING gone.digest, gone.withdrawn_at, octet_length(gone.payload),
              (SELECT coalesce(json_agg(digest_text(held.digest)), '[]') FROM unnest(gone.blobs) AS held (digest)),
              (SELECT coalesce(json_agg(digest_text(held.digest)), '[]') FROM unnest(gone.children) AS held (digest))
    """,
)

# The next statement sees what nobody changes any more.
_CLAIM: Final = Statement(
    "purging_claim",
    int,
    """
    SELECT id FROM manifests
     WHERE repository_id = :id AND digest = ANY (CAST(:digests AS bytea[]))
     ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED
    """,
)

# With what each held, and its referrers. What an index still lists stays until that goes.
_MANIFESTS: Final = Statement(
    "purging_manifests",
    _Gone,
    """
    WITH going AS MATERIALIZED (
        SELECT manifests.id, asked.ended_at,
               (SELECT coalesce(json_agg(digest_text(held.digest)), '[]')
                  FROM (SELECT digest FROM manifest_blobs WHERE manifest_id = manifests.id
                         UNION SELECT digest FROM sparse_references WHERE manifest_id = manifests.id) AS held) AS blobs,
               (SELECT coalesce(json_agg(digest_text(held.digest)), '[]')
                  FROM (SELECT child.digest FROM manifest_children
                          JOIN manifests AS child ON child.id = manifest_children.child_id
                         WHERE manifest_children.parent_id = manifests.id
                         UNION
                        SELECT referrer.digest FROM manifests AS referrer
                         WHERE referrer.repository_id = :id AND referrer.subject = manifests.digest) AS held) AS others
          FROM manifests
          JOIN unnest(CAST(:digests AS bytea[]), CAST(:moments AS timestamptz[])) AS asked (digest, ended_at)
            ON asked.digest = manifests.digest
         WHERE manifests.repository_id = :id AND manifests.id = ANY (CAST(:ids AS bigint[]))
           AND NOT is_reached(manifests.id, only_by_tags => true)
           AND NOT EXISTS (SELECT FROM manifest_children WHERE child_id = manifests.id)
    )
    DELETE FROM manifests USING going WHERE manifests.id = going.id
    RETURNING manifests.digest, going.ended_at, octet_length(manifests.payload), going.blobs, going.others
    """,
)

# Not what was uploaded or mounted since: that was answered with 201.
_CLAIM_LINKS: Final = Statement(
    "purging_claim_links",
    Digest,
    """
    SELECT link.digest
      FROM unnest(CAST(:digests AS bytea[]), CAST(:moments AS timestamptz[])) AS asked (digest, ended_at)
      JOIN repository_blobs AS link ON link.repository_id = :id AND link.digest = asked.digest
     WHERE link.linked_at <= asked.ended_at
     ORDER BY link.digest
       FOR UPDATE OF link SKIP LOCKED
    """,
)

_LINKS: Final = Statement(
    "purging_links",
    _Link,
    """
    DELETE FROM repository_blobs AS link
     WHERE repository_id = :id AND digest = ANY (CAST(:digests AS bytea[]))
       AND NOT EXISTS (SELECT FROM manifest_blobs AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM sparse_references AS named
                        WHERE named.repository_id = link.repository_id AND named.digest = link.digest)
       AND NOT EXISTS (SELECT FROM withdrawn_manifests AS named
                        WHERE named.repository_id = link.repository_id AND named.blobs @> ARRAY[link.digest])
    RETURNING size, EXISTS (SELECT FROM repository_blobs AS other
                             WHERE other.digest = link.digest AND other.repository_id <> link.repository_id)
    """,
)


@dataclass(slots=True)
class _Batch:
    """What one transaction has taken so far: `blobs` with the last time at which something that held them ended."""

    session: Session
    repository_id: int
    done: Purged = field(default_factory=Purged)
    count: int = 0
    blobs: dict[Digest, datetime] = field(default_factory=dict)

    def manifests(self, wanted: dict[Digest, datetime], *, is_all: bool) -> None:
        """Level by level: what was asked for, then what it listed and its referrers, unless a tag reaches them."""
        found = self._take(self._withdrawn(wanted, is_all=is_all))
        level = {**found, **wanted}
        while level and self.count < _AT_ONCE:
            ids = self.session.all(_CLAIM(id=self.repository_id, digests=list(level), limit=_AT_ONCE - self.count))
            where = {"id": self.repository_id, "ids": ids}
            gone = self.session.all(_MANIFESTS(**where, digests=list(level), moments=list(level.values())))
            level = {**self._take(self._withdrawn(level, is_all=False)), **self._take(gone)}

    def _withdrawn(self, wanted: dict[Digest, datetime], *, is_all: bool) -> list[_Gone]:
        limit = _AT_ONCE - self.count
        where = {"id": self.repository_id, "digests": list(wanted)}
        return self.session.all(_WITHDRAWN(**where, is_all=is_all, limit=limit)) if limit > 0 else []

    def _take(self, gone: Sequence[_Gone]) -> dict[Digest, datetime]:
        """Returns what those held and what belongs to them."""
        others: dict[Digest, datetime] = {}
        for each in gone:
            self.count += 1
            self.done.manifests += 1
            self.done.bytes += each.size
            for held, into in ((each.blobs, self.blobs), (each.manifests, others)):
                for digest in map(Digest.parse, held):
                    into[digest] = max(into.get(digest, each.ended_at), each.ended_at)
        return others

    def links(self) -> None:
        asked = {"digests": list(self.blobs), "moments": list(self.blobs.values())}
        digests = self.session.all(_CLAIM_LINKS(id=self.repository_id, **asked)) if self.blobs else []
        for link in self.session.all(_LINKS(id=self.repository_id, digests=digests)) if digests else []:
            self.done.blobs += 1
            self.done.elsewhere += link.is_elsewhere
            self.done.bytes += 0 if link.is_elsewhere else link.size


def purge(db: Database, repository: RepositoryName, tags: Sequence[Tag] | None, rank: int = 0) -> Purged | None:
    """Takes what these tags named before, or all that was deleted, if no tag reaches it now; None if there is no such
    repository. Objects follow once the last signed URL has expired. Raises ChangeRefused.
    """
    total = Purged()

    def work(session: Session) -> _Batch | None:
        calls: list[Call[Any]] = [ranked(rank), rules.unless_delete_protected(repository)]
        if tags is not None:
            calls.append(_UNLESS_PROTECTED(repository=repository, tags=list(tags)))
        found = _LOCK.read(session.batch([*calls, _LOCK(repository=repository)])[-1])
        if not found:
            return None
        asked = {"repository": repository, "tags": None if tags is None else list(tags)}
        wanted = {each.digest: each.ended_at for each in session.all(_ENDED(id=found[0], **asked))}
        batch = _Batch(session, found[0])
        batch.manifests(wanted, is_all=tags is None)
        batch.links()
        return batch

    with told.because("purge"):
        while (batch := db.transaction(work, is_long=True)) is not None:
            total.manifests += batch.done.manifests
            total.blobs += batch.done.blobs
            total.bytes += batch.done.bytes
            total.elsewhere += batch.done.elsewhere
            if not batch.count:
                return total
    return None
