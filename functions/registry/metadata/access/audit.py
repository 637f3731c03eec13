"""The audit trail: who did what, and what was refused. It is bounded, by age and by what its rows are worth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, get_args

from functions.registry.metadata.db import Call, Database, Statement, compose
from functions.registry.oci.page import LARGEST_BYTES

Outcome = Literal["success", "denied", "error"]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

_NEWEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """`principal` is a caller's label, `resource` a repository or another name.

    `details` is what else there is to tell: never a secret, a token or a signed URL. `namespace` is the one that all of
    it is about, whose administrators may read of it.
    """

    action: str
    outcome: Outcome
    principal: str
    resource: str
    address: str
    reason: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One that doesn't fit on the page any more comes without its details: it says that there are others."""

    id: int
    at: datetime
    event: Event
    fits: bool


@dataclass(frozen=True, slots=True)
class Filter:
    """What is None is not asked for."""

    principal: str | None = None
    resource: str | None = None
    action: str | None = None
    outcome: Outcome | None = None
    namespace: str | None = None


_WRITE: Final = Statement(
    "audit_write",
    int,
    """
    INSERT INTO audit (action, outcome, principal, resource, address, reason, details, namespace)
    VALUES (:action, :outcome, :principal, :resource, :address, :reason, CAST(:details AS jsonb), :namespace)
    """,
    is_brief=True,
)


def _listing(name: str, condition: str) -> Statement[Entry]:
    return Statement(
        name,
        Entry,
        compose(
            """
    SELECT id, at, action, outcome, principal, resource, address, reason,
           CASE WHEN fits THEN details ELSE '{}' END, namespace, fits
      FROM (SELECT *, row_number() OVER newest = 1 OR sum(bytes) OVER newest <= $largest AS fits
              FROM (SELECT *, octet_length(details::text) + 2 * octet_length(concat(
                              action, principal, resource, address, reason, namespace)) + 512 AS bytes
                      FROM audit
                     WHERE id < :before AND $condition
                       AND action = coalesce(:action, action) AND outcome = coalesce(:outcome, outcome)
                     ORDER BY id DESC
                     LIMIT :size) AS found
            WINDOW newest AS (ORDER BY id DESC)) AS measured
     ORDER BY id DESC
    """,
            condition=condition,
            largest=str(LARGEST_BYTES),
        ),
    )


_LIST: Final = _listing("audit_list", "true")
_LIST_OF_PRINCIPAL: Final = _listing(
    "audit_list_of_principal", "principal = :principal AND resource = coalesce(:resource, resource)"
)
_LIST_OF_RESOURCE: Final = _listing("audit_list_of_resource", "resource = :resource")
_LIST_OF_NAMESPACE: Final = _listing(
    "audit_list_of_namespace",
    """namespace = :namespace
       AND principal = coalesce(:principal, principal) AND resource = coalesce(:resource, resource)""",
)

_DONE: Final = Statement(
    "audit_done",
    int,
    """
    SELECT 1 FROM audit
     WHERE at > now() - make_interval(secs => :seconds) AND action = :action AND outcome = 'success'
     LIMIT 1
    """,
)

# Refusals, which strangers cause, and content, which whoever may push causes, are bounded apart: neither pushes out the
# other, nor what administrators changed. `audit_refusals` and `audit_content` are their indexes.
_TRIM: Final = Statement(
    "audit_trim",
    int,
    """
    WITH surplus AS MATERIALIZED (
        (SELECT id FROM audit
          WHERE outcome = 'denied'
            AND id <= (SELECT id FROM audit WHERE outcome = 'denied' AND id > 0
                        ORDER BY id DESC OFFSET :refusals LIMIT 1)
          ORDER BY id
          LIMIT :limit)
        UNION
        (SELECT id FROM audit
          WHERE outcome <> 'denied' AND split_part(action, '.', 1) IN ('manifest', 'blob')
            AND id <= (SELECT id FROM audit
                        WHERE outcome <> 'denied' AND split_part(action, '.', 1) IN ('manifest', 'blob') AND id > 0
                        ORDER BY id DESC OFFSET :rows LIMIT 1)
          ORDER BY id
          LIMIT :limit)
        UNION
        (SELECT id FROM audit WHERE at < now() - make_interval(days => CAST(:days AS int)) ORDER BY at LIMIT :limit)
        LIMIT :limit
    )
    DELETE FROM audit USING surplus WHERE audit.id = surplus.id
    """,
)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The latest `refusals`, and the latest `rows` about content, stay; nothing stays longer than `days`."""

    refusals: int
    rows: int
    days: int


def was_done_within(db: Database, action: str, seconds: int) -> bool:
    """Says whether the trail tells of such a success in the last `seconds`."""
    return db.one_or_none(_DONE(action=action, seconds=seconds)) is not None


def write(db: Database, event: Event) -> None:
    db.count(
        _WRITE(
            action=event.action,
            outcome=event.outcome,
            principal=event.principal,
            resource=event.resource,
            address=event.address,
            reason=event.reason,
            details=json.dumps(dict(event.details)),
            namespace=event.namespace,
        )
    )


def list_page(db: Database, size: int, wanted: Filter | None = None, before: int | None = None) -> list[Entry]:
    """Lists the latest first, those older than the entry `before`; one more than `size`, if there are more."""
    return db.all(listing(size, wanted, before))


def listing(size: int, wanted: Filter | None = None, before: int | None = None) -> Call[Entry]:
    """Returns what `list_page` asks, for a batch."""
    wanted = wanted or Filter()
    values: dict[str, Any] = {
        "before": _NEWEST if before is None else before,
        "action": wanted.action,
        "outcome": wanted.outcome,
        "size": size + 1,
    }
    if wanted.namespace is not None:
        about = {"namespace": wanted.namespace, "principal": wanted.principal, "resource": wanted.resource}
        return _LIST_OF_NAMESPACE(**about, **values)
    if wanted.principal is not None:
        return _LIST_OF_PRINCIPAL(principal=wanted.principal, resource=wanted.resource, **values)
    if wanted.resource is not None:
        return _LIST_OF_RESOURCE(resource=wanted.resource, **values)
    return _LIST(**values)


def trim(db: Database, bounds: Bounds, limit: int = 1000) -> int:
    """Deletes what is beyond the bounds, at most `limit`. Returns how many there were."""
    return db.count(_TRIM(refusals=bounds.refusals, rows=bounds.rows, days=bounds.days, limit=limit))
