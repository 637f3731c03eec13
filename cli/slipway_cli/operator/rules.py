"""`grants`, `rules` and `audit`: who may do what, what nobody may, and what was done."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any, Final

from functions.registry.auth.roles import Role
from functions.registry.metadata.access import audit, grants, rules
from functions.registry.metadata.access.audit import Filter
from functions.registry.metadata.access.grants import Grant
from functions.registry.metadata.access.patterns import namespace_of
from functions.registry.metadata.access.rules import KINDS, NewRule, Rule
from slipway_cli.operator.shared import IDENTITY, CommandRefused, Desk, add_command, add_subject, number, show

# No user and no robot can have that name.
ANYONE: Final = "anyone"
_ROLES: Final = [role.label for role in Role]
_PAGE: Final = 1000
_OF_NAMESPACE: Final = "only those whose patterns begin with it and a slash"
_GIVE: Final = (
    "give a role, in place of the one held by the same pattern; an admin of team/** administers the namespace"
)
_POSITION: Final = "lower ones are asked first (0); a namespace's administrators add theirs from 1 on"


def add_commands(subjects: Any) -> None:
    grant = add_subject(subjects, "grants", "the roles that users, robots and anyone have in repositories")
    command = add_command(grant, "list", _list_grants, "by pattern")
    command.add_argument("--principal", help="only those of this user or robot")
    command.add_argument("--namespace", help=_OF_NAMESPACE)
    command = add_command(grant, "add", _add_grant, _GIVE)
    command.add_argument("principal", help=f"the name of a user or a robot, or {ANYONE}: without signing in")
    command.add_argument("repositories", help="a pattern: * within a part of the name, ** across parts; quote it")
    command.add_argument("role", choices=_ROLES)
    command = add_command(grant, "remove", _remove_grant, "take a role away")
    command.add_argument("id", type=IDENTITY, help="as `grants list` shows it")
    rule = add_subject(
        subjects, "rules", "protected and immutable tags, delete-protected repositories: the first that matches decides"
    )
    command = add_command(rule, "list", _list_rules, "in the order in which they are asked")
    command.add_argument("--namespace", help=_OF_NAMESPACE)
    command = add_command(rule, "add", _add_rule, "it holds at once")
    command.add_argument("name", help="shown to whom it refuses something")
    command.add_argument(
        "kind",
        choices=KINDS,
        help="protected: to create, move or delete a tag takes the role; immutable: to move or delete one does;"
        " exempt: an exception; delete_protected: to delete anything takes the role",
    )
    command.add_argument("repositories", help="a pattern: * within a part of the name, ** across parts; quote it")
    command.add_argument("--tags", default=rules.ALL_TAGS, help="a pattern of tags; all if left out")
    command.add_argument("--role", choices=_ROLES, help="the least that may; nobody if left out")
    command.add_argument("--position", type=number(0, 2**31 - 1), default=0, help=_POSITION)
    command = add_command(rule, "remove", _remove_rule, "it holds no more")
    command.add_argument("id", type=IDENTITY, help="as `rules list` shows it")
    trail = add_subject(subjects, "audit", "what was done and what was refused")
    command = add_command(trail, "list", _list_audit, "the latest first")
    command.add_argument("--principal", help="who: robot:ci, user:alice, operator")
    command.add_argument("--resource", help="a repository, a pattern, a principal or a rule")
    command.add_argument("--namespace", help="only what is about nothing else")
    command.add_argument("--action", help="such as manifest.push or grant.add")
    command.add_argument("--outcome", choices=["success", "denied", "error"])
    command.add_argument("--count", type=number(1, _PAGE), default=50, help="at most so many (50)")
    command.add_argument("--before", type=IDENTITY, help="only entries older than this id")


def _list_grants(desk: Desk, options: argparse.Namespace) -> None:
    of = None if options.principal is None else desk.known(options.principal).id
    found = [
        (each.id, each.principal or ANYONE, each.pattern, each.role) for each in _every(desk, of, options.namespace)
    ]
    show(("id", "principal", "repositories", "role"), found)


def _every(desk: Desk, principal_id: int | None, namespace: str | None) -> Iterator[Grant]:
    last = None
    while True:
        found = grants.list_page(desk.database, _PAGE, last, principal_id, namespace)
        yield from found[:_PAGE]
        if len(found) <= _PAGE:
            return
        last = found[_PAGE - 1]


def _add_grant(desk: Desk, options: argparse.Namespace) -> None:
    principal = None if options.principal == ANYONE else desk.known(options.principal)
    made = grants.add(desk.database, principal.id if principal else None, options.repositories, options.role)
    name = principal.name if principal else None
    pattern, role = options.repositories, options.role
    desk.record("grant.add", pattern, namespace_of(pattern), id=made, principal=name, role=role)
    print(f"grant {made}: {name or ANYONE} is {options.role} in {options.repositories}")


def _remove_grant(desk: Desk, options: argparse.Namespace) -> None:
    removed = grants.get(desk.database, options.id)
    if removed is None or not grants.remove(desk.database, options.id):
        raise CommandRefused(f"there is no grant {options.id}: `grants list` shows which there are")
    details = {"id": removed.id, "principal": removed.principal, "role": removed.role}
    desk.record("grant.remove", removed.pattern, namespace_of(removed.pattern), **details)
    print(f"grant {options.id} is gone")


def _list_rules(desk: Desk, options: argparse.Namespace) -> None:
    show(
        ("id", "name", "position", "kind", "repositories", "tags", "role"),
        [
            (each.id, each.name, each.position, each.kind, each.repositories, each.tags, each.role)
            for each in rules.list_all(desk.database, options.namespace)
        ],
    )


def _add_rule(desk: Desk, options: argparse.Namespace) -> None:
    rule = NewRule(options.name, options.position, options.kind, options.repositories, options.tags, options.role)
    made = rules.add(desk.database, rule)
    _record_rule(desk, "rule.add", made, rule)
    print(f"rule {made} holds")


def _remove_rule(desk: Desk, options: argparse.Namespace) -> None:
    removed = rules.remove(desk.database, options.id)
    if removed is None:
        raise CommandRefused(f"there is no rule {options.id}: `rules list` shows which there are")
    _record_rule(desk, "rule.remove", removed.id, removed)
    print(f"rule {options.id} is gone")


def _record_rule(desk: Desk, action: str, identity: int, rule: NewRule | Rule) -> None:
    details = {"kind": rule.kind, "repositories": rule.repositories, "tags": rule.tags, "role": rule.role}
    namespace = namespace_of(rule.repositories)
    desk.record(action, rule.name, namespace, id=identity, position=rule.position, **details)


def _list_audit(desk: Desk, options: argparse.Namespace) -> None:
    wanted = Filter(options.principal, options.resource, options.action, options.outcome, options.namespace)
    found = audit.list_page(desk.database, options.count, wanted, options.before)[: options.count]
    show(
        ("id", "at", "action", "outcome", "principal", "resource", "address", "reason"),
        [
            (each.id, each.at, each.event.action, each.event.outcome, each.event.principal, each.event.resource,
             each.event.address, each.event.reason)
            for each in found
        ],
    )  # fmt: skip
