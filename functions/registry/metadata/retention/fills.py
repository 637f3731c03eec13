"""What a change of policies leaves to do: which policy decides where, and the first look at each tag there.

Both are walks over a range of names, a page in each transaction. Each begins only when no transaction is left that may
not have seen what was before it: the first, a change of policies that a new repository was not told of; the second, a
repository's policy that a push was not told of. So no tag is left out, and nobody waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Call, Database, Session, Statement

_REPOSITORIES: Final = 500
_TAGS: Final = 5000


@dataclass(frozen=True, slots=True)
class _Fill:
    """`is_settled` tells whether all transactions have ended that went on when its phase began."""

    lowest: str
    highest: str
    phase: str
    is_settled: bool
    repository: str
    tag: str


@dataclass(frozen=True, slots=True)
class _Repository:
    id: int
    name: str
    tags: int


_CLAIM: Final = Statement(
    "retention_fills_claim",
    _Fill,
    """
    SELECT lowest, highest, phase,
           coalesce(pg_snapshot_xmin(pg_current_snapshot()) >= after_transaction, false), repository, tag
      FROM retention_fills
     WHERE lowest >= '' AND (after_transaction IS NULL OR pg_snapshot_xmin(pg_current_snapshot()) >= after_transaction)
     ORDER BY lowest, highest
     LIMIT 1
       FOR UPDATE SKIP LOCKED
    """,
)

_BEGIN_PHASE: Final = Statement(
    "retention_fills_begin_phase",
    int,
    """
    UPDATE retention_fills
       SET phase = :phase, after_transaction = pg_snapshot_xmax(pg_current_snapshot()), repository = '', tag = ''
     WHERE lowest = :lowest AND highest = :highest
    """,
)

_MOVE_ON: Final = Statement(
    "retention_fills_move_on",
    int,
    """
    UPDATE retention_fills SET repository = :repository, tag = :tag, queued = queued + :queued
     WHERE lowest = :lowest AND highest = :highest
    """,
)

_END: Final = Statement(
    "retention_fills_end", int, "DELETE FROM retention_fills WHERE lowest = :lowest AND highest = :highest"
)

_PAGE: Final = Statement(
    "retention_fills_page",
    _Repository,
    """
    SELECT repositories.id, repositories.name, usage.tags
      FROM repositories JOIN repository_usage AS usage ON usage.repository_id = repositories.id
     WHERE repositories.name >= :lowest AND repositories.name > :last AND repositories.name <= :highest
     ORDER BY repositories.name
     LIMIT :size
    """,
)

_DROP_SCOPES: Final = Statement(
    "retention_fills_drop_scopes",
    int,
    """
    DELETE FROM retention_scopes USING repositories
     WHERE retention_scopes.repository_id = ANY (CAST(:ids AS bigint[])) AND repositories.id = repository_id
       AND retention_policy_of(repositories.name) IS NULL
    """,
)

_PUT_SCOPES: Final = Statement(
    "retention_fills_put_scopes",
    int,
    """
    INSERT INTO retention_scopes AS scope (repository_id, policy_id, new_for)
    SELECT repositories.id, policy.id, policy.new_for
      FROM repositories JOIN retention_policies AS policy ON policy.id = retention_policy_of(repositories.name)
     WHERE repositories.id = ANY (CAST(:ids AS bigint[]))
     ORDER BY repositories.id
    ON CONFLICT (repository_id) DO UPDATE SET policy_id = excluded.policy_id, new_for = excluded.new_for
     WHERE (scope.policy_id, scope.new_for) IS DISTINCT FROM (excluded.policy_id, excluded.new_for)
    """,
)

# Tags first, as a push locks them before it queues them. Spread over an hour for each million.
_QUEUE: Final = Statement(
    "retention_fills_queue",
    str,
    """
    WITH locked AS MATERIALIZED (
        SELECT tags.repository_id, tags.name
          FROM retention_scopes AS scope JOIN tags USING (repository_id)
         WHERE scope.repository_id = ANY (CAST(:ids AS bigint[])) AND tags.name > :last
         ORDER BY tags.repository_id, tags.name
         LIMIT :size
           FOR KEY SHARE OF tags
    ), queued AS (
        INSERT INTO retention_reviews AS review (repository_id, tag, due_at)
        SELECT repository_id, name,
               now() + row_number() OVER (ORDER BY repository_id, name) * interval '3.6 milliseconds'
               + (SELECT sum(queued) FROM retention_fills WHERE lowest = :lowest AND highest = :highest)
                 * interval '3.6 milliseconds'
          FROM locked
         ORDER BY repository_id, name
        ON CONFLICT (repository_id, tag)
        DO UPDATE SET due_at = least(review.due_at, excluded.due_at), attempts = 0, error = NULL
    )
    SELECT name FROM locked ORDER BY repository_id DESC, name DESC LIMIT 1
    """,
)


def step(db: Database) -> int:
    """Does a page's work. Returns how many repositories or tags that was; 0 if there is nothing to do now."""

    def work(session: Session) -> int:
        fill = session.one_or_none(_CLAIM())
        if fill is None:
            return 0
        if not fill.is_settled:
            return session.count(_begin(fill, "scopes"))
        return _decide(session, fill) if fill.phase == "scopes" else _queue(session, fill)

    return db.transaction(work)


def _decide(session: Session, fill: _Fill) -> int:
    page = _page(session, fill)
    if not page:
        return session.count(_begin(fill, "tags"))
    ids = [repository.id for repository in page]
    session.batch([_DROP_SCOPES(ids=ids), _PUT_SCOPES(ids=ids), _moving_on(fill, page[-1].name)])
    return len(page)


def _queue(session: Session, fill: _Fill) -> int:
    """Queues tags of several small repositories at once, or of a part of a large one."""
    page = _page(session, fill)
    if not page:
        return session.count(_END(lowest=fill.lowest, highest=fill.highest))
    chosen, tags = [page[0]], page[0].tags
    for repository in page[1:]:
        if fill.tag or tags + repository.tags > _TAGS:
            break
        chosen.append(repository)
        tags += repository.tags
    # What came since the figures were read knows its policy: its tags were queued by their pushes.
    call = _QUEUE(
        ids=[repository.id for repository in chosen],
        last=fill.tag,
        size=_TAGS if len(chosen) == 1 else 2 * _TAGS,
        lowest=fill.lowest,
        highest=fill.highest,
    )
    last = session.one_or_none(call)
    if len(chosen) == 1 and last is not None and page[0].tags > _TAGS:
        session.count(_moving_on(fill, fill.repository, last, _TAGS))
    else:
        session.count(_moving_on(fill, chosen[-1].name, "", tags))
    return len(chosen)


def _page(session: Session, fill: _Fill) -> list[_Repository]:
    call = _PAGE(lowest=fill.lowest, highest=fill.highest, last=fill.repository, size=_REPOSITORIES)
    return session.all(call)


def _begin(fill: _Fill, phase: str) -> Call[int]:
    return _BEGIN_PHASE(lowest=fill.lowest, highest=fill.highest, phase=phase)


def _moving_on(fill: _Fill, repository: str, tag: str = "", queued: int = 0) -> Call[int]:
    return _MOVE_ON(lowest=fill.lowest, highest=fill.highest, repository=repository, tag=tag, queued=queued)
