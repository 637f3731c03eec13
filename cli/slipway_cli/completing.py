"""Completion of names: asked of the registry, remembered for a minute, and silent if anything goes wrong."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import click

from slipway_cli.contexts import cache_folder, write_json
from slipway_cli.tree import Asked

if TYPE_CHECKING:
    from slipway_cli.client import Client

_SECONDS: Final = 60
# As long as somebody waits who has pressed Tab.
_PATIENCE: Final = 3
Names = Callable[["Client"], Iterator[str]]
Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def complete(root: click.Command, instruction: str) -> int:
    """Answers what a shell asks with each Tab."""
    from click.shell_completion import shell_complete  # noqa: PLC0415  # every command has completers, and few complete

    return shell_complete(root, {"obj": Asked()}, "slipway", "_SLIPWAY_COMPLETE", instruction)


def _of(what: str, names: Names) -> Completer:
    def find(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
        return [name for name in _known(ctx, what, names) if name.startswith(incomplete)]

    return find


def _known(ctx: click.Context, what: str, names: Names) -> list[str]:
    try:
        from slipway_cli.client import Client  # noqa: PLC0415  # commands are completed without a client
        from slipway_cli.contexts import find_registry  # noqa: PLC0415  # as above

        registry = find_registry(ctx.ensure_object(Asked).registry)
        kept = cache_folder() / f"names-{hashlib.sha256(f'{registry.url} {what}'.encode()).hexdigest()[:16]}.json"
        try:
            if time.time() - kept.stat().st_mtime < _SECONDS:
                return list(json.loads(kept.read_text(encoding="utf-8"))["names"])
        except (OSError, ValueError, KeyError):
            pass
        client = Client(registry)
        client.seconds = (_PATIENCE, _PATIENCE)
        found = list(names(client))
        write_json(kept, {"names": found})
    except Exception:  # noqa: BLE001  # a terminal in the middle of a line is no place for an error
        return []
    return found


def _repositories(client: Client) -> Iterator[str]:
    from slipway_cli.suggesting import repositories  # noqa: PLC0415  # as above

    return repositories(client)


def _namespaces(client: Client) -> Iterator[str]:
    return iter(sorted({name.partition("/")[0] for name in _repositories(client)}))


def _principals(kind: str | None) -> Names:
    def names(client: Client) -> Iterator[str]:
        from slipway_cli.suggesting import principals  # noqa: PLC0415  # as above

        return principals(client, kind)

    return names


def _tags(ctx: click.Context, repository: str) -> list[str]:
    from slipway_cli.suggesting import tags  # noqa: PLC0415  # as above

    return _known(ctx, f"tags {repository}", lambda client: tags(client, repository))


def _reference(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    name, colon, tag = incomplete.partition(":")
    if colon:
        return [f"{name}:{each}" for each in _tags(ctx, name) if each.startswith(tag)]
    return [each for each in _known(ctx, "repositories", _repositories) if each.startswith(incomplete)]


def _tag(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    reference = ctx.params.get("reference")
    repository = reference.repository if reference else ctx.params.get("repository")
    return [each for each in _tags(ctx, repository) if each.startswith(incomplete)] if repository else []


REPOSITORY: Final = _of("repositories", _repositories)
NAMESPACE: Final = _of("namespaces", _namespaces)
PRINCIPAL: Final = _of("principals", _principals(None))
USER: Final = _of("users", _principals("user"))
ROBOT: Final = _of("robots", _principals("robot"))
REFERENCE: Final = _reference
TAG: Final = _tag
