"""What a tag named before, in the registry that it comes from: its history here begins with that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from functions.registry.metadata.db import Call, Statement
from functions.registry.metadata.history.ending import HISTORY_DAYS
from functions.registry.metadata.imports.vocabulary import ListedTag

# Of tags that came as they are listed, and have no history here: the ids of its rows are the order of what happened.
_PUT: Final = Statement(
    "imports_put_former_names",
    int,
    """
    INSERT INTO tag_history (repository_id, tag, digest, since, until, size, kind, cause, actor, is_move, created_at,
                             updated_at, pulls, pulled_at)
    SELECT old.repository_id, former.name, former.digest, former.since, former.until, coalesce(manifests.size, 0),
           coalesce(manifests.kind, 'other'), change_cause(), change_actor(), true, base.created_at, former.since, 0,
           '-infinity'
      FROM unnest(CAST(:ids AS bigint[]), CAST(:names AS text[]), CAST(:digests AS bytea[]),
                  CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]))
           AS former (id, name, digest, since, until)
      JOIN import_repositories AS old ON old.id = former.id
      JOIN import_tags AS base ON base.import_id = old.id AND base.name = former.name AND base.state = 'applied'
      LEFT JOIN manifests ON manifests.repository_id = old.repository_id AND manifests.digest = former.digest
     WHERE former.until > now() - make_interval(days => :days)
       AND NOT EXISTS (SELECT FROM tag_history AS known
                        WHERE known.repository_id = old.repository_id AND known.tag = former.name)
     ORDER BY old.repository_id, former.name COLLATE "C", former.until
    """,
)


def putting(bases: Sequence[tuple[int, ListedTag]]) -> list[Call[int]]:
    """Returns what to run once the tags are put; nothing if none of them named anything else before."""
    rows = [
        (id_, tag.name, digest, since, until)
        for id_, tag in bases
        for (digest, since), until in zip(
            tag.former, [*(since for _, since in tag.former), tag.updated_at][1:], strict=False
        )
    ]
    if not rows:
        return []
    ids, names, digests, sinces, untils = (list(column) for column in zip(*rows, strict=True))
    return [_PUT(ids=ids, names=names, digests=digests, since=sinces, until=untils, days=HISTORY_DAYS)]
