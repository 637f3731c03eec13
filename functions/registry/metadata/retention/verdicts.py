"""The verdicts of a run, a row for each tag, and what became of those that it would remove."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

from functions.registry.metadata.db import Call, Database, Statement
from functions.registry.oci.digest import Digest

# `changed`: it was pushed or moved since; `gone`: somebody else deleted it; `kept`: it isn't to be removed any more.
# Of an undone run, `taken`: somebody has pushed the tag since; `lost`: its manifest was collected.
Ending = Literal["waiting", "removed", "changed", "gone", "kept", "restored", "taken", "lost"]
OUTCOMES: Final[tuple[Ending, ...]] = get_args(Ending)


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """Times are microseconds since 1970; `digest` is written as text."""

    repository_id: int
    tag: str
    manifest_id: int
    digest: str
    size: int
    pushed_at: int
    pulled_at: int | None
    verdict: str
    reason: str
    rule: int | None
    why: str


@dataclass(frozen=True, slots=True)
class Shown:
    """`repository` is None if it is gone; `note` says why a tag was left alone."""

    repository: str | None
    tag: str
    digest: Digest
    size: int
    pushed_at: datetime
    pulled_at: datetime | None
    verdict: str
    reason: str
    rule: int | None
    why: str
    outcome: str | None
    note: str | None
    repository_id: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which verdicts of a run are shown; None for any."""

    verdict: str | None = None
    reason: str | None = None
    outcome: str | None = None


# One that was removed stays as it is: that is what an undo needs.
_ADD: Final = Statement(
    "retention_verdicts_add",
    int,
    """
    INSERT INTO retention_verdicts AS known (run_id, repository_id, tag, manifest_id, digest, size, pushed_at,
                                             pulled_at, verdict, reason, rule, why, outcome)
    SELECT :run, given.repository_id, given.tag, given.manifest_id, digest_bytes(given.digest), given.size,
           moment_of(given.pushed_at), moment_of(given.pulled_at), given.verdict, given.reason, given.rule, given.why,
           CASE given.verdict WHEN 'remove' THEN 'waiting' END
      FROM json_to_recordset(CAST(:verdicts AS json))
           AS given (repository_id bigint, tag text, manifest_id bigint, digest text, size bigint, pushed_at bigint,
                     pulled_at bigint, verdict text, reason text, rule int, why text)
     ORDER BY given.repository_id, given.tag COLLATE "C"
    ON CONFLICT (run_id, repository_id, tag) DO UPDATE
       SET manifest_id = excluded.manifest_id, digest = excluded.digest, size = excluded.size,
           pushed_at = excluded.pushed_at, pulled_at = excluded.pulled_at, verdict = excluded.verdict,
           reason = excluded.reason, rule = excluded.rule, why = excluded.why, outcome = excluded.outcome, note = NULL
     WHERE known.outcome IS DISTINCT FROM 'removed'
    """,
)

_FORGET: Final = Statement(
    "retention_verdicts_forget",
    int,
    "DELETE FROM retention_verdicts WHERE run_id = :run AND repository_id = :repository_id",
)

_END: Final = Statement(
    "retention_verdicts_end",
    int,
    """
    WITH come AS (
        UPDATE retention_runs SET gone_through = :last WHERE id = :run
    )
    UPDATE retention_verdicts AS known SET outcome = ended.outcome, note = ended.note
      FROM unnest(CAST(:repository_ids AS bigint[]), CAST(:tags AS text[]), CAST(:outcomes AS text[]),
                  CAST(:notes AS text[])) AS ended (repository_id, tag, outcome, note)
     WHERE known.run_id = :run AND known.repository_id = ended.repository_id AND known.tag = ended.tag
    """,
)

_LIST: Final = Statement(
    "retention_verdicts_list",
    Shown,
    """
    SELECT repositories.name, known.tag, known.digest, known.size, known.pushed_at, known.pulled_at, known.verdict,
           known.reason, known.rule, known.why, known.outcome, known.note, known.repository_id
      FROM (SELECT * FROM retention_verdicts
             WHERE run_id = :run AND (repository_id, tag) > (CAST(:repository_id AS bigint), CAST(:tag AS text))
               AND (CAST(:verdict AS text) IS NULL OR verdict = :verdict)
               AND (CAST(:reason AS text) IS NULL OR reason = :reason)
               AND (CAST(:outcome AS text) IS NULL OR outcome = :outcome)
             ORDER BY repository_id, tag
             LIMIT :size) AS known
      LEFT JOIN repositories ON repositories.id = known.repository_id
     ORDER BY known.repository_id, known.tag
    """,
)

# Behind those that were gone through, whose entries in the index are read until they are vacuumed.
_WAITING: Final = Statement(
    "retention_verdicts_waiting",
    list,
    """
    SELECT coalesce(json_agg(json_build_array(repository_id, tag, manifest_id, microseconds(pushed_at),
                                              digest_text(digest))), '[]')
      FROM (SELECT repository_id, tag, manifest_id, pushed_at, digest FROM retention_verdicts
             WHERE run_id = :run AND outcome = :outcome
               AND repository_id >= (SELECT gone_through FROM retention_runs WHERE id = :run)
             ORDER BY repository_id, tag
             LIMIT :limit) AS waiting
    """,
)


def adding(run: int, found: Sequence[NewVerdict]) -> Call[int]:
    return _ADD(run=run, verdicts=json.dumps([asdict(each) for each in found]))


def forgetting(run: int, repository_id: int) -> Call[int]:
    """Forgets what a plan found in a repository in which it was interrupted."""
    return _FORGET(run=run, repository_id=repository_id)


def ending(run: int, ended: dict[tuple[int, str], tuple[Ending, str | None]]) -> Call[int]:
    """Says what became of tags, by their repositories' ids and their names, with a note; in the order of `waiting`."""
    return _END(
        run=run,
        last=max(repository_id for repository_id, _ in ended),
        repository_ids=[repository_id for repository_id, _ in ended],
        tags=[tag for _, tag in ended],
        outcomes=[outcome for outcome, _ in ended.values()],
        notes=[note for _, note in ended.values()],
    )


def waiting(run: int, limit: int, outcome: Ending = "waiting") -> Call[list[Any]]:
    """Gives repository, tag, manifest, when it was pushed and digest of some with that outcome, in their order."""
    return _WAITING(run=run, limit=limit, outcome=outcome)


def list_page(db: Database, run: int, wanted: Wanted, after: tuple[int, str], size: int) -> list[Shown]:
    """Returns one more than `size` if there are more behind the repository's id and the tag of `after`."""
    return db.all(listing(run, wanted, after, size))


def listing(run: int, wanted: Wanted, after: tuple[int, str], size: int) -> Call[Shown]:
    """Returns what `list_page` asks, for a batch."""
    return _LIST(
        run=run,
        verdict=wanted.verdict,
        reason=wanted.reason,
        outcome=wanted.outcome,
        repository_id=after[0],
        tag=after[1],
        size=size + 1,
    )
