"""The end of the way back: withdrawn manifests, repositories that are set aside, and history, when their time is over.

Each is claimed with SKIP LOCKED, so that whoever puts it back at this moment has it.
"""

from __future__ import annotations

from typing import Final

from functions.registry import told
from functions.registry.metadata.db import Database, Session, Statement

HISTORY_DAYS: Final = 400

# What only these held is due a minute later.
_WITHDRAWN: Final = Statement(
    "ending_withdrawn",
    int,
    """
    WITH claimed AS MATERIALIZED (
        SELECT repository_id, digest FROM withdrawn_manifests
         WHERE until < now() ORDER BY until LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    DELETE FROM withdrawn_manifests AS gone USING claimed
     WHERE gone.repository_id = claimed.repository_id AND gone.digest = claimed.digest
    """,
)

_HISTORY: Final = Statement(
    "ending_history",
    int,
    """
    WITH claimed AS MATERIALIZED (
        SELECT repository_id, tag, id FROM tag_history
         WHERE until < now() - make_interval(days => :days) ORDER BY until, id LIMIT :limit FOR UPDATE SKIP LOCKED
    )
    DELETE FROM tag_history AS old USING claimed
     WHERE old.repository_id = claimed.repository_id AND old.tag = claimed.tag AND old.id = claimed.id
    """,
)

# Not while nobody knows yet which names a registry that is moved in has: this one could still be one of them.
_CLAIM: Final = Statement(
    "ending_claim_repository",
    int,
    """
    SELECT id FROM repositories
     WHERE deleted_at IS NOT NULL AND deleted_until < now()
       AND NOT EXISTS (SELECT FROM import_sources WHERE state NOT IN ('added', 'sealed') AND listed_at IS NULL)
     ORDER BY deleted_until, id
     LIMIT 1
       FOR UPDATE SKIP LOCKED
    """,
)

_TAGS: Final = Statement(
    "ending_tags",
    int,
    """
    DELETE FROM tags
     WHERE repository_id = :id
       AND name = ANY (ARRAY(SELECT name FROM tags WHERE repository_id = :id ORDER BY name LIMIT :limit))
    """,
)

# What lists them goes first, and what they list: nothing of it is served.
_CHILDREN: Final = Statement(
    "ending_children",
    int,
    """
    DELETE FROM manifest_children AS listed
     USING (SELECT id FROM manifests WHERE repository_id = :id ORDER BY digest LIMIT :limit) AS going
     WHERE listed.parent_id = going.id OR listed.child_id = going.id
    """,
)

_MANIFESTS: Final = Statement(
    "ending_manifests",
    int,
    """
    DELETE FROM manifests
     WHERE id = ANY (ARRAY(SELECT id FROM manifests WHERE repository_id = :id ORDER BY digest LIMIT :limit))
    """,
)

_PAYLOADS: Final = Statement(
    "ending_payloads",
    int,
    """
    DELETE FROM withdrawn_manifests
     WHERE repository_id = :id
       AND digest = ANY (ARRAY(SELECT digest FROM withdrawn_manifests WHERE repository_id = :id
                                ORDER BY digest LIMIT :limit))
    """,
)

_LINKS: Final = Statement(
    "ending_links",
    int,
    """
    DELETE FROM repository_blobs
     WHERE repository_id = :id
       AND digest = ANY (ARRAY(SELECT digest FROM repository_blobs WHERE repository_id = :id
                                ORDER BY digest LIMIT :limit))
    """,
)

_UPLOADS: Final = Statement(
    "ending_uploads",
    int,
    "DELETE FROM uploads WHERE id = ANY (ARRAY(SELECT id FROM uploads WHERE repository_id = :id LIMIT :limit))",
)

_BINDINGS: Final = Statement(
    "ending_bindings",
    int,
    """
    DELETE FROM tag_history
     WHERE repository_id = :id
       AND id = ANY (ARRAY(SELECT id FROM tag_history WHERE repository_id = :id ORDER BY until, id LIMIT :limit))
    """,
)

_REPOSITORY: Final = Statement("ending_repository", int, "DELETE FROM repositories WHERE id = :id")

# In the order in which whoever deletes one of them locks them; the lists of a batch of manifests with them.
_STEPS: Final = ((_TAGS,), (_CHILDREN, _MANIFESTS), (_PAYLOADS,), (_LINKS,), (_UPLOADS,), (_BINDINGS,))


def end_withdrawn(db: Database, limit: int) -> int:
    """Returns how many manifests can be put back no more."""
    with told.telling(told.COLLECTION):
        return db.count(_WITHDRAWN(limit=limit))


def end_repository(db: Database, limit: int) -> int:
    """Deletes at most `limit` rows of a repository whose time is over, its own at last. Returns how many."""

    def work(session: Session) -> int:
        repository_id = session.one_or_none(_CLAIM())
        if repository_id is None:
            return 0
        for step in _STEPS:
            count = session.batch([statement(id=repository_id, limit=limit) for statement in step])[-1].count
            if count:
                return count
        return session.count(_REPOSITORY(id=repository_id))

    with told.telling(told.COLLECTION):
        return db.transaction(work)


def trim_history(db: Database, limit: int) -> int:
    """Returns how many bindings are forgotten that ended more than HISTORY_DAYS ago."""
    return db.count(_HISTORY(days=HISTORY_DAYS, limit=limit))
