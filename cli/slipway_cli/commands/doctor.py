"""`doctor`: what lies between a client and the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from slipway_cli.checks import Check
from slipway_cli.checks.docker import check_docker
from slipway_cli.checks.network import check_clock, check_host
from slipway_cli.checks.registry import check_base, check_collection, check_pull, check_rate, check_sign_in, check_wall
from slipway_cli.client import Client
from slipway_cli.completing import REPOSITORY
from slipway_cli.contexts import find_registry
from slipway_cli.failures import Away, Failed
from slipway_cli.output import Form, gives_list, show_list, text
from slipway_cli.tree import Asked, alone


@alone("doctor", "slipway doctor", "slipway doctor HOST --repository team/app -o json")
@click.argument("host", required=False)
@click.option(
    "--repository", help="What to try a pull with; what was pushed last if left out.", shell_complete=REPOSITORY
)
@gives_list
def doctor(host: str | None, repository: str | None, form: Form) -> None:
    """Is it well? Looks at all that lies between here and a registry, and says what to do. Exit code 1 for no.

    Name, connection, certificate, HTTP/2, clock, /v2/ and its challenge, signing in, the rate limit, the 32 MiB wall of
    Cloud Run, a pull followed to the bucket's host, garbage collection for who administers it, and docker's own
    configuration. Nothing is changed.
    """
    asked = click.get_current_context().ensure_object(Asked)
    client = Client(find_registry(host or asked.registry))
    bad: list[str] = []

    def shown() -> Iterator[dict[str, Any]]:
        for check in _checks(client, repository):
            if check.state == "bad":
                bad.append(check.about)
            yield check.shown()

    columns = (text("about", "about"), text("", "state"), text("found", "found"), text("what to do", "advice"))
    show_list(shown(), columns, form, "about")
    if bad:
        raise Failed(f"in the way: {', '.join(bad)}")


def _checks(client: Client, repository: str | None) -> Iterator[Check]:
    """What builds on something that is in the way isn't looked at."""
    for check in check_host(client.registry.url):
        yield check
        if check.state == "bad":
            yield from check_docker(client.registry)
            return
    try:
        answer = client.ask_openly("/v2/")
    except Away as away:
        yield Check("/v2/", "bad", str(away), away.advice)
        return
    if clock := check_clock(answer):
        yield clock
    is_registry = True
    for check in check_base(client, answer):
        yield check
        is_registry = is_registry and check.state != "bad"
    if is_registry:
        yield check_sign_in(client)
        yield check_rate(client)
        yield check_wall(client)
        yield from check_pull(client, repository)
        if collection := check_collection(client):
            yield collection
    yield from check_docker(client.registry)
