"""`login`, `logout` and `whoami`."""

from __future__ import annotations

import sys
from typing import Any

import click
import requests

from slipway_cli.client import Client
from slipway_cli.commands.accounts import asked_secret
from slipway_cli.contexts import Registry, address_of, contexts, find_registry, keep_contexts
from slipway_cli.credentials import forget_token, keep_token
from slipway_cli.failures import Failed
from slipway_cli.output import Form, gives_one, say, show_one, text
from slipway_cli.session import connect
from slipway_cli.tokens import Challenge, Tokens
from slipway_cli.tree import Asked, alone


@alone("login", "slipway login HOST --user ci --password-stdin < secret.txt", is_local=True)
@click.argument("host")
@click.option("-u", "--user", help="Your name there; asked for if left out.")
@click.option("--password-stdin", is_flag=True, help="The secret or password is the first line of the input.")
@click.option("--context", "name", metavar="NAME", help="What to call this registry; its host if left out.")
def login(host: str, user: str | None, password_stdin: bool, name: str | None) -> None:
    """Sign in, and use this registry from now on.

    Kept is a refresh token that lasts thirty days, not the secret. What `docker login` stored needs no login: it is
    used as it is; so is a CI job's identity.
    """
    known = contexts()
    registry = Registry(address_of(known["contexts"].get(host, host)), "login")
    client = Client(registry)
    challenge = _challenge(client)
    if challenge is not None:
        if user is None:
            if password_stdin or not sys.stdin.isatty():
                raise click.UsageError("--user is missing")
            user = str(click.prompt("User", err=True))
        secret = asked_secret("Secret or password")
        token = Tokens(client.session, registry).refresh_token(challenge, user, secret)
        keep_token(registry, token)
    called = name or registry.host
    keep_contexts({"current": called, "contexts": {**known["contexts"], called: registry.url}})
    say(f"{registry.host} is the registry in use" + ("" if challenge else "; it is open, and nobody signs in"))


def _challenge(client: Client) -> Challenge | None:
    """Returns None for a registry that lets everybody in."""
    answer = client.ask_openly("/v2/")
    if answer.status_code == requests.codes.ok:
        return None
    challenge = Challenge.of(answer)
    if answer.status_code != requests.codes.unauthorized or challenge is None:
        raise Failed(f"{client.registry.host} answers {answer.status_code} at /v2/: is that a registry?")
    return challenge


@alone("logout", "slipway logout HOST", is_local=True)
@click.argument("host", required=False)
def logout(host: str | None) -> None:
    """Forget the refresh token that `login` kept. What docker stored stays: `docker logout`."""
    registry = find_registry(host or click.get_current_context().ensure_object(Asked).registry)
    was_there = forget_token(registry)
    say(f"signed out of {registry.host}" if was_there else f"nothing was kept for {registry.host}")


@alone("whoami", "slipway whoami", "slipway whoami -o json")
@gives_one
def whoami(form: Form) -> None:
    """Who you are to the registry, what signed you in, and what you administer."""
    client = connect()
    found: dict[str, Any] = client.get("/api/v1/whoami")
    columns = (
        text("kind", "kind"),
        text("name", "name"),
        text("administrator", "is_admin"),
        text("administers", "namespaces"),
    )
    show_one(found, columns, form)
    if form.format == "table":
        source = client.credentials.source if client.credentials else "nothing"
        say(f"{client.registry.host}, by {client.registry.found}; signed in by {source}")
