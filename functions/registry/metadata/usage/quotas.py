"""Quotas of namespaces: bytes and repositories. They hold in the statements that write, whoever writes.

Bytes are those that `namespace_totals` counts: manifests, and blobs once for the namespace, tagged or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from functions.registry.metadata.db import Call, Conflict, Database, Statement, compose
from functions.registry.metadata.driver import Outcome
from functions.registry.oci.page import Page


@dataclass(frozen=True, slots=True)
class Quota:
    """It is a namespace's, which need not exist yet. `None` is no limit."""

    namespace: str
    bytes: int | None
    repositories: int | None


@dataclass(frozen=True, slots=True)
class QuotaReport:
    """It is a quota, and what of it is used now."""

    namespace: str
    bytes: int | None
    repositories: int | None
    used_bytes: int
    used_repositories: int


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """Bytes in use, of those that there may be."""

    namespace: str
    used: int
    most: int


_REPORT: Final = """
    SELECT quotas.namespace, quotas.bytes, quotas.repositories, used_bytes(quotas.namespace),
           coalesce((SELECT totals.repositories
                       FROM namespaces JOIN namespace_totals AS totals ON totals.namespace_id = namespaces.id
                      WHERE namespaces.name = quotas.namespace), 0)
      FROM quotas
"""

_GET: Final = Statement(
    "quotas_get", QuotaReport, compose("$report WHERE quotas.namespace = :namespace", report=_REPORT)
)

_SET: Final = Statement(
    "quotas_set",
    int,
    """
    INSERT INTO quotas (namespace, bytes, repositories) VALUES (:namespace, :bytes, :repositories)
    ON CONFLICT (namespace) DO UPDATE SET bytes = excluded.bytes, repositories = excluded.repositories
    """,
)

_REMOVE: Final = Statement("quotas_remove", int, "DELETE FROM quotas WHERE namespace = :namespace")

_LIST: Final = Statement(
    "quotas_list",
    QuotaReport,
    compose("$report WHERE quotas.namespace > :last ORDER BY quotas.namespace LIMIT :size", report=_REPORT),
)

# Named by functions/migrate/versions/pre/0001_baseline/quotas.sql.
_ONE_AT_A_TIME: Final = "quotas_one_at_a_time"

_CLAIM: Final = Statement("quotas_claim", str, "SELECT CAST(claim_quota(:namespace, true) AS text)", is_hot=True)

# Nine tenths of it. A push that added anything has looked already (obey_quota): that figure is still right.
_NEARLY_USED: Final = Statement(
    "quotas_nearly_used",
    QuotaUse,
    """
    SELECT namespace, used, bytes
      FROM (SELECT namespace, bytes,
                   coalesce(CAST(nullif(current_setting('slipway.used_bytes', true), '') AS bigint),
                            used_bytes(namespace)) AS used
              FROM quotas WHERE namespace = :namespace AND bytes IS NOT NULL) AS quota
     WHERE used >= bytes - bytes / 10
    """,
    is_hot=True,
)


def get(db: Database, namespace: str) -> QuotaReport | None:
    return db.one_or_none(_GET(namespace=namespace))


def put(db: Database, quota: Quota) -> None:
    """Holds from the next push on. What is there already stays, however much it is."""
    db.count(_SET(namespace=quota.namespace, bytes=quota.bytes, repositories=quota.repositories))


def remove(db: Database, namespace: str) -> bool:
    return db.count(_REMOVE(namespace=namespace)) > 0


def list_page(db: Database, page: Page) -> list[QuotaReport]:
    """Returns quotas by namespace; one more than the page holds, if there are more."""
    return db.all(listing(page))


def listing(page: Page) -> Call[QuotaReport]:
    """Returns what `list_page` asks, for a batch."""
    return _LIST(last=page.last, size=page.size + 1)


def claiming(namespace: str) -> Call[Any]:
    """Returns what to put in front of a batch that is to add to the namespace alone, if that has a quota."""
    return _CLAIM(namespace=namespace)


def must_go_alone(conflict: Conflict) -> bool:
    """Says whether a batch has to run again behind `claiming`: others add at the same time, and little is left."""
    return conflict.constraint == _ONE_AT_A_TIME


def nearly_used(namespace: str) -> Call[QuotaUse]:
    """Returns what to put behind a batch that adds to this namespace alone: it tells who pushes in time."""
    return _NEARLY_USED(namespace=namespace)


def read_nearly_used(outcome: Outcome) -> QuotaUse | None:
    rows = _NEARLY_USED.read(outcome)
    return rows[0] if rows else None
