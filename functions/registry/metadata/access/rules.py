"""Rules for tags and delete-protected repositories: the database obeys them in the statement that writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from functions.registry.metadata.access.patterns import repository_regex, tag_regex
from functions.registry.metadata.db import Call, Conflict, Database, Statement
from functions.registry.oci.name import RepositoryName

ALL_TAGS: Final = "*"
# The registry's own rules stand before it, so that no namespace makes an exception to them.
FIRST_OF_NAMESPACES: Final = 1
RuleKind = Literal["protected", "immutable", "exempt", "delete_protected"]
KINDS: Final[tuple[RuleKind, ...]] = get_args(RuleKind)


class RuleRefused(ValueError):
    """The message says what a rule takes."""


class RuleExists(RuleRefused):
    """Another rule has the name."""


class TooManyRules(Exception):
    """The namespace has its fill. The message says how many there may be."""


@dataclass(frozen=True, slots=True)
class NewRule:
    """`role` is the least that may; None for nobody."""

    name: str
    position: int
    kind: RuleKind
    repositories: str
    tags: str = ALL_TAGS
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """The first that matches decides, in the order of `position`, then of `id`."""

    id: int
    name: str
    position: int
    kind: RuleKind
    repositories: str
    tags: str
    role: str | None


_ADD: Final = Statement(
    "rules_add",
    int,
    """
    INSERT INTO tag_rules (name, position, kind, repositories, repositories_regex, tags, tags_regex, role)
    SELECT :name, :position, :kind, :repositories, :repositories_regex, :tags, :tags_regex, :role
     WHERE CAST(:most AS bigint) IS NULL OR rules_in(pattern_namespace(:repositories)) < CAST(:most AS bigint)
    RETURNING id
    """,
)

_GET: Final = Statement(
    "rules_get", Rule, "SELECT id, name, position, kind, repositories, tags, role FROM tag_rules WHERE id = :id"
)

_REMOVE: Final = Statement(
    "rules_remove",
    Rule,
    "DELETE FROM tag_rules WHERE id = :id RETURNING id, name, position, kind, repositories, tags, role",
)

_LIST: Final = Statement(
    "rules_list",
    Rule,
    "SELECT id, name, position, kind, repositories, tags, role FROM tag_rules ORDER BY position, id",
)

# Not those for the repository that has the namespace's very name: it lies in none.
_LIST_OF_NAMESPACE: Final = Statement(
    "rules_list_of_namespace",
    Rule,
    """
    SELECT id, name, position, kind, repositories, tags, role
      FROM tag_rules
     WHERE namespace = :namespace AND repositories <> :namespace
     ORDER BY position, id
    """,
)

_UNLESS_KEPT: Final = Statement(
    "rules_unless_kept",
    str,
    "SELECT refuse(deletion_refusal(:repository, NULL, caller_rank()))",
    is_hot=True,
)


def add(db: Database, rule: NewRule, most: int | None = None) -> int:
    """Returns its id; it holds from now on. Raises PatternInvalid, RuleExists and RuleRefused.

    Raises TooManyRules if its namespace has as many as `most`; None for no bound.
    """
    try:
        call = _ADD(
            name=rule.name,
            position=rule.position,
            kind=rule.kind,
            repositories=rule.repositories,
            repositories_regex=repository_regex(rule.repositories),
            tags=rule.tags,
            tags_regex=tag_regex(rule.tags),
            role=rule.role,
            most=most,
        )
        added = db.all(call)
    except Conflict as conflict:
        if conflict.constraint == "tag_rules_name":
            raise RuleExists(f"there is a rule {rule.name} already") from conflict
        reasons = {
            "tag_rules_kind_check": "a rule is protected, immutable, exempt or delete_protected",
            "tag_rules_role_check": f"there is no role {rule.role}",
            "tag_rules_delete_protected": "a rule that keeps a repository is about all tags: *",
            "tag_rules_exempt": "an exception takes no role: it refuses nothing",
        }
        raise RuleRefused(reasons.get(conflict.constraint, conflict.constraint)) from conflict
    if not added:
        raise TooManyRules(f"a namespace has at most {most} rules: take some away, or say more with one pattern")
    return added[0]


def get(db: Database, rule_id: int) -> Rule | None:
    return db.one_or_none(_GET(id=rule_id))


def remove(db: Database, rule_id: int) -> Rule | None:
    """Returns what it was; None if there is no such rule."""
    return db.one_or_none(_REMOVE(id=rule_id))


def list_all(db: Database, namespace: str | None = None) -> list[Rule]:
    """Returns rules in the order in which they are asked. With a namespace: those that say nothing of repositories
    elsewhere.
    """
    return db.all(listing(namespace))


def listing(namespace: str | None = None) -> Call[Rule]:
    """Returns what `list_all` asks, for a batch."""
    return _LIST() if namespace is None else _LIST_OF_NAMESPACE(namespace=namespace)


def unless_delete_protected(repository: RepositoryName) -> Call[str]:
    """Returns what to put, after `ranked`, in front of a batch that deletes from the repository. It raises
    ChangeRefused.
    """
    return _UNLESS_KEPT(repository=repository)
