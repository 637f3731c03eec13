"""`trusted-publisher`: which CI jobs act as a robot, without a secret."""

from __future__ import annotations

from typing import Final

import click

from slipway_cli.asking import changes, goes_on
from slipway_cli.commands.accounts import PRINCIPALS, principal
from slipway_cli.completing import ROBOT
from slipway_cli.failures import Failed, NotThere
from slipway_cli.output import Form, gives_list, gives_one, plain, say, show_list, show_one, text
from slipway_cli.references import Principal
from slipway_cli.session import connect
from slipway_cli.tree import Group, command

ISSUERS: Final = {
    "github": "https://token.actions.githubusercontent.com",
    "gitlab": "https://gitlab.com",
    "google": "https://accounts.google.com",
    "buildkite": "https://agent.buildkite.com",
}
_EXAMPLES: Final = {
    "github": "repository_id=$(gh api repos/OWNER/NAME --jq .id)",
    "gitlab": "project_id=7, which the project's page shows",
    "google": "sub=103847561029384756102, the service account's unique id",
}
_COLUMNS: Final = (text("id", "id"), text("issuer", "issuer"), text("claims", "claims"))


@click.group("trusted-publisher", cls=Group)
def publisher() -> None:
    """CI jobs that act as a robot without a secret: their issuer says who they are, and the robot trusts it."""


@command(publisher, "list", "slipway trusted-publisher list ci", "slipway trusted-publisher list ci -o json")
@click.argument("robot", type=Principal(), shell_complete=ROBOT)
@gives_list
def list_(robot: str, form: Form) -> None:
    """List which jobs act as a robot."""
    client = connect()
    principal(client, robot, "robot")
    found = client.get(f"{PRINCIPALS}/{robot}/trusted_publishers")["trusted_publishers"]
    show_list(found, _COLUMNS, form, "id")


@command(
    publisher,
    "add",
    "slipway trusted-publisher add ci github repository_id=42 ref=refs/heads/main",
    "slipway trusted-publisher add ci gitlab project_id=7 ref_protected=true",
)
@click.argument("robot", type=Principal(), shell_complete=ROBOT)
@click.argument("issuer", metavar=f"{'|'.join(ISSUERS)}|URL")
@click.argument("claims", nargs=-1, required=True, metavar="CLAIM=VALUE...")
@gives_one
def add(robot: str, issuer: str, claims: tuple[str, ...], form: Form) -> None:
    """Let the jobs of one issuer, with all these claims, act as a robot.

    One of the claims names the tenant: GitHub's repository_id (gh api repos/OWNER/NAME --jq .id), GitLab's project_id.
    The workflow needs `permissions: id-token: write`; docker signs in as oidc+ROBOT with the job's token.
    """
    asked = dict(claim.partition("=")[::2] for claim in claims)
    if not all(asked) or not all("=" in claim for claim in claims):
        raise click.UsageError(f"a claim is NAME=VALUE, such as {_EXAMPLES.get(issuer, 'sub=system:deployer')}")
    client = connect()
    principal(client, robot, "robot")
    document = {"issuer": ISSUERS.get(issuer, issuer), "claims": asked}
    try:
        made = client.send("POST", f"{PRINCIPALS}/{robot}/trusted_publishers", document)
    except Failed as failed:
        example = _EXAMPLES.get(issuer)
        raise type(failed)(str(failed), failed.advice or (f"such as {example}" if example else "")) from failed
    show_one(made, _COLUMNS, form, "id")
    say(f"a job signs in as oidc+{robot}, with its identity token for a password: docs/clients.md has the workflow")


@command(
    publisher,
    "rm",
    "slipway trusted-publisher rm ci PUBLISHER-ID --dry-run",
    "slipway trusted-publisher rm ci PUBLISHER-ID --yes",
)
@click.argument("robot", type=Principal(), shell_complete=ROBOT)
@click.argument("identity", metavar="ID", type=int)
@changes
def rm(robot: str, identity: int, yes: bool, dry_run: bool) -> None:
    """Let these jobs act as the robot no more."""
    client = connect()
    principal(client, robot, "robot")
    known = client.get(f"{PRINCIPALS}/{robot}/trusted_publishers")["trusted_publishers"]
    found = next((each for each in known if each["id"] == identity), None)
    if found is None:
        raise NotThere(f"{robot} has no trusted publisher {identity}", f"`slipway trusted-publisher list {robot}`")
    what = f"take away trusted publisher {identity} of {robot}: {found['issuer']} {plain(found['claims'])}"
    if goes_on(what, yes=yes, dry_run=dry_run):
        client.send("DELETE", f"{PRINCIPALS}/{robot}/trusted_publishers/{identity}")
        say(f"trusted publisher {identity} is gone")
