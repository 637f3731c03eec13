"""What every command that asks a registry begins with."""

from __future__ import annotations

import sys

import click

from slipway_cli.client import Client
from slipway_cli.contexts import find_registry
from slipway_cli.output import say
from slipway_cli.tree import Asked


def connect() -> Client:
    """Returns the registry that is meant. Raises Failed where none is."""
    asked = click.get_current_context().ensure_object(Asked)
    registry = find_registry(asked.registry)
    if registry.folder is not None and asked.registry is None and sys.stderr.isatty():
        say(f"{registry.host}, by {registry.found}")
    return Client(registry)
