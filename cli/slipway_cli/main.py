"""The one tree of commands, and how each run of it ends."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from typing import Final, TextIO

import click

from slipway_cli import VERSION
from slipway_cli.failures import CLOSED_PIPE, INTERRUPTED, ClosedPipe, Failed
from slipway_cli.printable import printable
from slipway_cli.tree import CONTEXT, Asked, Group, Later, registry_option

_IN: Final = "slipway_cli.commands"
# A later group of commands is a module of its own, and a line here.
COMMANDS: Final = {
    "login": Later(f"{_IN}.signing_in", "login", "Sign in, and keep what signs in again."),
    "logout": Later(f"{_IN}.signing_in", "logout", "Forget what `login` kept."),
    "whoami": Later(f"{_IN}.signing_in", "whoami", "Who you are to the registry, and what you administer."),
    "context": Later(f"{_IN}.contexts", "context", "Which registries you use, and which one is meant."),
    "ls": Later(f"{_IN}.listing", "ls", "What there is: repositories, or the tags of one."),
    "search": Later(f"{_IN}.listing", "search", "Find repositories and tags by a part of their name."),
    "show": Later(f"{_IN}.showing", "show", "All about a repository, a tag or a manifest."),
    "console": Later(f"{_IN}.console", "console", "Open the registry's console in a browser."),
    "pull-command": Later(f"{_IN}.showing", "pull_command", "What to type to pull an image, by its digest."),
    "tag": Later(f"{_IN}.tags", "tag", "The tags of a repository: list, delete."),
    "manifest": Later(f"{_IN}.manifests", "manifest", "Manifests by digest: print, referrers, delete."),
    "history": Later(f"{_IN}.history", "history", "What tags named before, and what can be put back."),
    "restore": Later(f"{_IN}.history", "restore", "Put back a tag, a manifest, or a repository."),
    "purge": Later(f"{_IN}.history", "purge_tags", "Delete for good what was deleted."),
    "deleted": Later(f"{_IN}.history", "deleted", "What was deleted and can be put back."),
    "repository": Later(f"{_IN}.repositories", "repository", "Repositories: list, move, delete, settings."),
    "namespace": Later(f"{_IN}.namespaces", "namespace", "Namespaces and their figures."),
    "quota": Later(f"{_IN}.quotas", "quota", "How much a namespace may hold."),
    "usage": Later(f"{_IN}.usage", "usage", "Figures: totals, rankings, days, a recount."),
    "audit": Later(f"{_IN}.audit", "audit", "Who did what, and what was refused."),
    "user": Later(f"{_IN}.accounts", "user", "People: list, add, disable, delete."),
    "robot": Later(f"{_IN}.accounts", "robot", "What signs in by itself, such as CI jobs."),
    "secret": Later(f"{_IN}.secrets", "secret", "What users and robots sign in with."),
    "trusted-publisher": Later(f"{_IN}.publishers", "publisher", "CI jobs that act as a robot without a secret."),
    "grant": Later(f"{_IN}.grants", "grant", "Who has which role in which repositories."),
    "rule": Later(f"{_IN}.rules", "rule", "Tags and repositories that are protected."),
    "retention": Later(f"{_IN}.retention", "retention", "Which tags are kept, what would go, what went."),
    "explain": Later(f"{_IN}.explaining", "explain", "May somebody do something, and why (not)?"),
    "events": Later(f"{_IN}.events", "events", "Changes, told to whoever subscribed; and what became of that."),
    "import": Later(f"{_IN}.imports", "import_", "Move an existing registry in, and back."),
    "backup": Later(f"{_IN}.backups", "backup", "Backups: make, list, verify, prune."),
    "migrations": Later(f"{_IN}.migrations", "migrations", "Large tables that are changed in the background."),
    "gc": Later(f"{_IN}.collection", "gc", "The garbage collection: how it stands, a preview, a run."),
    "fsck": Later(f"{_IN}.fsck", "fsck", "Is all of it there? Rows and objects compared, and mended."),
    "doctor": Later(f"{_IN}.doctor", "doctor", "Is it well? Why can't I push or pull?"),
    "completion": Later(f"{_IN}.completion", "completion", "Completion for bash, zsh and fish."),
}
# The client comes without it where it is one file.
if find_spec("slipway_cli.operator") is not None:
    COMMANDS["operator"] = Later(
        "slipway_cli.operator", "operator", "What needs the database: the first administrator, …"
    )


@click.group("slipway", cls=Group, later=COMMANDS, context_settings=CONTEXT)
@click.version_option(VERSION, message="slipway %(version)s")
def slipway() -> None:
    """Slipway, a container registry: look into it, administer it, find out what is wrong.

    Which registry is meant: --registry, else SLIPWAY_REGISTRY, else the context in use, else one that `make up` runs on
    this machine. What `docker login` stored signs in, or `slipway login`, or the CI job's identity.

    Lists are tables; -o json, jsonl, csv or name is for programs. Exit codes: 0 done, 1 refused or something found,
    2 usage, 3 not there, 4 no right, 5 registry away, 6 done in part.
    """
    click.get_current_context().ensure_object(Asked)


slipway.params.append(registry_option())


def main() -> None:
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Returns the exit code, having said what is to be said."""
    try:
        return _run(arguments)
    except OSError as error:
        # Whoever was to be told of a failure has gone as well.
        _leave_unwritten(sys.stderr)
        return CLOSED_PIPE if isinstance(error, BrokenPipeError) else Failed.code


def _run(arguments: list[str]) -> int:
    try:
        if instruction := os.environ.get("_SLIPWAY_COMPLETE"):
            from slipway_cli.completing import complete  # noqa: PLC0415  # only a shell asks for it

            return complete(slipway, instruction)
        with slipway.make_context("slipway", arguments, obj=Asked()) as context:
            slipway.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.ClickException as wrong:
        wrong.show()
        code = wrong.exit_code
    except Failed as failed:
        _flush()
        _say(str(failed), failed.advice)
        code = failed.code
    except ModuleNotFoundError as missing:
        _say(f"{missing.name} isn't installed", "the operator's commands come with pipx install 'SOURCES[operator]'")
        code = Failed.code
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        code = INTERRUPTED
    except (ClosedPipe, BrokenPipeError):
        _leave_unwritten(sys.stdout)
        code = CLOSED_PIPE
    except OSError as error:
        _say(f"{error.filename or 'the output'}: {error.strerror or error}")
        _leave_unwritten(sys.stdout)
        code = Failed.code
    else:
        code = 0
    return code


def _say(*lines: str) -> None:
    for line in filter(None, lines):
        click.echo(printable(f"slipway: {line}"), err=True)


def _flush() -> None:
    """What was given before something failed stands before what is said of it."""
    try:
        sys.stdout.flush()
    except OSError:
        _leave_unwritten(sys.stdout)


def _leave_unwritten(stream: TextIO) -> None:
    """Drops what is left in its buffer and can't be written: else Python tries again when it exits, and complains."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
