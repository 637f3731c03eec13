"""Whether somebody may do something, by which grant, and which rule stands against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypedDict

from functions.registry.metadata.access.grants import NOBODY
from functions.registry.metadata.db import Database, Statement
from functions.registry.oci.name import RepositoryName, Tag


@dataclass(frozen=True, slots=True)
class Asked:
    """`action` is pull, push or delete; without a tag it is about the repository as a whole."""

    repository: RepositoryName
    action: str
    tag: Tag | None


class Decision(TypedDict):
    """The grant of the best role, as lists show one, and in which words a rule refuses; None where there is none."""

    grant: dict[str, Any] | None
    refusal: str | None


# Grants as `grants_roles` finds them, rules by the functions that the triggers ask.
_DECIDE: Final = Statement(
    "decisions_decide",
    dict,
    """
    WITH held AS (
        SELECT grants.id, principals.name AS principal, grants.pattern AS repositories, grants.role,
               role_rank(grants.role) AS rank
          FROM grants
          LEFT JOIN principals ON principals.id = grants.principal_id
         WHERE (grants.principal_id = :principal_id OR grants.principal_id IS NULL)
           AND grants.namespace IN ('', split_part(:repository, '/', 1))
           AND :repository >= grants.pattern_prefix AND :repository < grants.pattern_prefix || '~'
           AND :repository LIKE grants.pattern_like
           AND glob_fits(:repository, grants.pattern, grants.pattern_form, grants.pattern_regex)
         ORDER BY rank DESC, grants.id
         LIMIT 1
    ), caller AS (
        SELECT CASE WHEN CAST(:is_admin AS boolean) THEN role_rank('admin')
                    ELSE coalesce((SELECT rank FROM held), 0) END AS rank
    ), found AS (
        SELECT EXISTS (SELECT FROM tags JOIN repositories ON repositories.id = tags.repository_id
                        WHERE repositories.name = :repository AND tags.name = :tag) AS is_there
    )
    SELECT json_build_object(
           'grant', (SELECT json_build_object('id', id, 'principal', principal, 'repositories', repositories,
                                              'role', role) FROM held),
           'refusal', CASE
               WHEN :action = 'push' AND CAST(:tag AS text) IS NOT NULL
               THEN tag_refusal(:repository, :tag, NOT found.is_there, caller.rank)
               WHEN :action = 'delete' AND CAST(:tag AS text) IS NOT NULL
               THEN coalesce(tag_refusal(:repository, :tag, false, caller.rank),
                             deletion_refusal(:repository, :tag, caller.rank))
               WHEN :action = 'delete' THEN deletion_refusal(:repository, NULL, caller.rank) END)
      FROM caller, found
    """,
)


def decide(db: Database, asked: Asked, principal_id: int | None, *, is_admin: bool) -> Decision:
    """None is anyone. Whether the role is enough for the action is for the caller to say."""
    call = _DECIDE(
        principal_id=principal_id or NOBODY,
        repository=asked.repository,
        action=asked.action,
        tag=asked.tag,
        is_admin=is_admin,
    )
    found = db.all(call)[0]
    return Decision(grant=found["grant"], refusal=found["refusal"])
