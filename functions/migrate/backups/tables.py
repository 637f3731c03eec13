"""Which tables a backup has, and what becomes of each when it is restored: this is the one list of it.

A table that is in neither list fails tests/backups/test_tables.py. Most rows come back as they were. What is due at
some moment does not: time has passed since the backup, and a first collection would take what nobody had time to want.
And what acts on the world outside waits for somebody to look at it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Copied:
    """Its rows are in the backup.

    `due` are the columns with the moment at which something is taken away: they move by the time that has passed since,
    to a day from now at least, and not all at once. `until` are those with the end of a promise, which what it needs
    must outlive: they move alike, and no further. `stays` are those that look like it and must not move. `afterwards`
    is run once the rows are back; `:name` stands for the backup's own name.
    """

    due: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    afterwards: str = ""


_CONTENT: Final = Copied()
_REVIEWS: Final = Copied(due=("review_after",))

COPIED: Final[dict[str, Copied]] = {
    "audit": _CONTENT,
    "background_failures": _CONTENT,
    "background_migrations": Copied(stays=("due_at",)),
    "backup_drills": _CONTENT,
    # The backup itself was not sealed yet when its rows were read; whatever else was under way has no worker any more.
    "backup_runs": Copied(
        stays=("lease_until",),
        afterwards="""
            UPDATE backup_runs SET state = CASE WHEN name = :name THEN 'sealed' ELSE 'failed' END,
                   error = CASE WHEN name = :name THEN NULL ELSE 'the registry was restored meanwhile' END,
                   hold_id = NULL, ended_at = now()
             WHERE ended_at IS NULL
        """,
    ),
    "blob_reviews": _REVIEWS,
    "blobs": _CONTENT,
    "collected": _CONTENT,
    "deliveries": _CONTENT,
    # Who waits for a transaction waits for one of this cluster, as with imports below.
    "event_fan_out": _CONTENT,
    "events": Copied(until=("keep_until",), afterwards="UPDATE events SET made_in = pg_current_xact_id()"),
    "gc_settings": _CONTENT,
    "grants": _CONTENT,
    "identities": _CONTENT,
    "import_deleted": _CONTENT,
    "import_modes": _CONTENT,
    "import_problems": _CONTENT,
    "import_ranges": Copied(stays=("lease_until",)),
    # Another cluster counts its transactions anew: that of then might be one that is never over here.
    "import_repositories": Copied(
        stays=("lease_until", "due_at", "export_due_at", "export_after"),
        afterwards="UPDATE import_repositories SET export_after = pg_current_xact_id()",
    ),
    # The other registry has gone on. Whoever resumes it knows which of the two is right.
    "import_sources": Copied(
        afterwards="""
            UPDATE import_sources SET state = 'paused', reason = 'this registry was restored from a backup: resume it'
             WHERE state NOT IN ('added', 'paused', 'sealed')
        """
    ),
    "import_tags": _CONTENT,
    "lanes": Copied(stays=("leased_until",)),
    "link_reviews": _REVIEWS,
    "manifest_blobs": _CONTENT,
    "manifest_children": _CONTENT,
    "manifest_days": _CONTENT,
    "manifest_reviews": _REVIEWS,
    "manifests": _CONTENT,
    "namespace_blobs": _CONTENT,
    "namespace_days": _CONTENT,
    "namespace_usage": _CONTENT,
    "namespaces": _CONTENT,
    # Work, not loss: what is due is looked at.
    "platforms": Copied(stays=("look_after",)),
    "principals": _CONTENT,
    "quotas": _CONTENT,
    "registry_days": _CONTENT,
    "registry_usage": _CONTENT,
    "repositories": Copied(until=("deleted_until",)),
    "repository_blobs": _CONTENT,
    "repository_days": _CONTENT,
    "repository_kinds": _CONTENT,
    "repository_trends": Copied(stays=("due_on",)),
    "repository_usage": _CONTENT,
    "retention_clock": _CONTENT,
    "retention_fills": Copied(
        afterwards="""
            UPDATE retention_fills SET after_transaction = pg_current_xact_id() WHERE after_transaction IS NOT NULL
        """
    ),
    # Nothing is deleted by a rule before somebody has looked at what it would delete now.
    "retention_policies": Copied(
        afterwards="UPDATE retention_policies SET mode = 'preview' WHERE mode = 'enforce'",
    ),
    "retention_reviews": Copied(due=("due_at",)),
    "retention_runs": Copied(
        stays=("lease_until", "expires_at"),
        afterwards="""
            UPDATE retention_runs SET state = 'dropped', reason = 'this registry was restored from a backup'
             WHERE state IN ('making', 'ready', 'open', 'held', 'applying', 'undoing')
        """,
    ),
    "retention_scopes": _CONTENT,
    "retention_verdicts": _CONTENT,
    # Their ends are what was promised when they were made.
    "secrets": Copied(stays=("expires_at",)),
    "sparse_references": _CONTENT,
    # A week of old events isn't sent again: each is resumed by hand.
    "subscriptions": Copied(
        stays=("previous_until",),
        afterwards="""
            UPDATE subscriptions SET state = 'paused', reason = 'this registry was restored from a backup: resume it'
             WHERE state = 'on'
        """,
    ),
    "tag_days": _CONTENT,
    # Its times are those of what has ended.
    "tag_history": Copied(stays=("until",)),
    "tag_reviews": _REVIEWS,
    "tag_rules": _CONTENT,
    "tags": _CONTENT,
    "trusted_publishers": _CONTENT,
    "usage_changes": _CONTENT,
    # They keep a CI job's token from being used twice.
    "used_tokens": Copied(stays=("expires_at",)),
    "withdrawn_manifests": Copied(until=("until",)),
}

# Whose rows are in no backup, and why.
LEFT_OUT: Final[dict[str, str]] = {
    "alembic_version": "the seal names the revisions, and the restore migrates to them",
    "check_pieces": "who is at work now",
    "checks": "they are of the bucket of then: the next one says what is wrong now",
    "console_links": "whoever was signed in signs in again",
    "console_sessions": "whoever was signed in signs in again",
    "deletions": "their objects are in no backup; those of the database that is restored into go on being deleted",
    "findings": "as checks",
    "holds": "they keep objects for somebody who is at work now",
    "import_places": "who is at work now",
    "refresh_tokens": "whoever was signed in signs in again",
    "sign_in_failures": "they are forgiven",
    "upload_objects": "their bytes are in no backup",
    "uploads": "a client begins anew: one that went on would be acknowledged, and fail at its end",
}
# Of these, what the database has that is restored into stays as it is.
UNTOUCHED: Final = frozenset({"alembic_version", "deletions", "holds"})
# What a database must not have that is restored into. All else, migrations and the deployment have put there.
EMPTY: Final = ("namespaces", "repositories", "manifests", "blobs", "uploads")
# Who is signed in, or at work: over, where a database goes back in time with all that it had.
OVER: Final = ("refresh_tokens", "console_sessions", "console_links", "holds")
# Columns that look like moments at which something is due.
DUE_NAMES: Final = ("_after", "until", "expires_at", "not_before", "due_at", "due_on")
