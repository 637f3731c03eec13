"""`secrets` and `trusted-publishers`: what signs users and robots in."""

from __future__ import annotations

import argparse
from typing import Any

from functions.registry.auth import accounts
from functions.registry.metadata.access import credentials, trusted_publishers
from slipway_cli.operator.shared import IDENTITY, CommandRefused, Desk, add_command, add_subject, number, show


def add_commands(subjects: Any) -> None:
    secrets = add_subject(subjects, "secrets", "what users and robots sign in with")
    command = add_command(
        secrets, "list", _list_secrets, "without the secrets themselves, which nobody knows but their owner"
    )
    command.add_argument("principal", help="the name of a user or a robot")
    command = add_command(secrets, "add", _add_secret, "make a secret: it is shown this once")
    command.add_argument("principal", help="the name of a user or a robot")
    command.add_argument("name", help="what it is for: shown in lists")
    command.add_argument("--days", type=number(1, accounts.MOST_DAYS), help="how long it is good; for ever if left out")
    command = add_command(secrets, "remove", _revoke_secret, "revoke a secret, for good")
    command.add_argument("principal", help="the name of a user or a robot")
    command.add_argument("id", help="as `secrets list` shows it")
    robots = add_subject(
        subjects, "trusted-publishers", "CI jobs and other identities of an issuer that act as a robot"
    )
    command = add_command(robots, "list", _list_trusted_publishers, "what a robot trusts")
    command.add_argument("robot")
    command = add_command(
        robots, "add", _add_trusted_publisher, "a job whose token makes all of these claims acts as the robot"
    )
    command.add_argument("robot")
    command.add_argument("issuer", help="such as https://token.actions.githubusercontent.com")
    command.add_argument("claims", nargs="+", type=_claim, metavar="NAME=VALUE", help="such as repository_id=123456")
    command = add_command(robots, "remove", _remove_trusted_publisher, "the robot trusts them no more")
    command.add_argument("robot")
    command.add_argument("id", type=IDENTITY, help="as `trusted-publishers list` shows it")


def _claim(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError("takes NAME=VALUE, such as repository_id=123456")
    return name, value


def _list_secrets(desk: Desk, options: argparse.Namespace) -> None:
    found = credentials.list_secrets(desk.database, desk.known(options.principal).id)
    show(
        ("id", "name", "created", "expires", "last used", "revoked"),
        [(each.id, each.name, each.created_at, each.expires_at, each.last_used_at, each.revoked_at) for each in found],
    )


def _add_secret(desk: Desk, options: argparse.Namespace) -> None:
    principal = desk.known(options.principal)
    made = accounts.add_secret(desk.database, principal, options.name, desk.settings.pepper, options.days)
    desk.record(
        "secret.add",
        principal.label,
        principal.namespace,
        id=made.id,
        name=made.name,
        expires_at=str(made.expires_at or ""),
    )
    print(made.text)


def _revoke_secret(desk: Desk, options: argparse.Namespace) -> None:
    principal = desk.known(options.principal)
    if not credentials.revoke_secret(desk.database, principal.id, options.id):
        raise CommandRefused(f"no secret {options.id} is good: `secrets list {principal.name}` shows which are")
    desk.record("secret.revoke", principal.label, principal.namespace, id=options.id)
    print(f"{options.id} is revoked")


def _list_trusted_publishers(desk: Desk, options: argparse.Namespace) -> None:
    found = trusted_publishers.list_of(desk.database, desk.known(options.robot).id)
    show(
        ("id", "issuer", "claims"),
        [(each.id, each.issuer, " ".join(f"{name}={value}" for name, value in each.claims.items())) for each in found],
    )


def _add_trusted_publisher(desk: Desk, options: argparse.Namespace) -> None:
    principal, claims = desk.known(options.robot), dict(options.claims)
    made = accounts.add_trusted_publisher(desk.database, principal, options.issuer, claims, desk.settings)
    desk.record(
        "trusted-publisher.add", principal.label, principal.namespace, id=made, issuer=options.issuer, claims=claims
    )
    print(f"trusted publisher {made}: the job signs in as `oidc`, its token is the password")


def _remove_trusted_publisher(desk: Desk, options: argparse.Namespace) -> None:
    principal = desk.known(options.robot)
    if not trusted_publishers.remove(desk.database, principal.id, options.id):
        raise CommandRefused(
            f"{principal.name} has no trusted publisher {options.id}:"
            f" `trusted-publishers list {principal.name}` shows its own"
        )
    desk.record("trusted-publisher.remove", principal.label, principal.namespace, id=options.id)
    print(f"trusted publisher {options.id} is gone")
