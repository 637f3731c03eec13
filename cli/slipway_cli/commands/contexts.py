"""`context`: the registries that one uses."""

from __future__ import annotations

import click

from slipway_cli.contexts import address_of, contexts, keep_contexts, running_nearby
from slipway_cli.failures import NotThere
from slipway_cli.output import Form, gives_list, say, show_list, text
from slipway_cli.tree import Group, command, nearest


@click.group("context", cls=Group)
def context() -> None:
    """The registries that you use, by name; one of them is meant where nothing else is said."""


@command(context, "list", "slipway context list", "slipway context list -o json", is_local=True)
@gives_list
def list_(form: Form) -> None:
    """List the contexts, and a `make up` nearby."""
    known = contexts()
    rows = [
        {"name": name, "registry": address, "current": name == known["current"]}
        for name, address in sorted(known["contexts"].items())
    ]
    if near := running_nearby():
        rows.append({"name": "(nearby)", "registry": near.registry, "current": known["current"] is None})
    show_list(rows, (text("name", "name"), text("registry", "registry"), text("in use", "current")), form)


@command(context, "add", "slipway context add production registry.example.com", is_local=True)
@click.argument("name")
@click.argument("registry")
def add(name: str, registry: str) -> None:
    """Give a registry a name. `login` does so as well."""
    known = contexts()
    keep_contexts({**known, "contexts": {**known["contexts"], name: address_of(registry)}})
    say(f"{name} is {address_of(registry)}")


@command(context, "use", "slipway context use production", "slipway context use --none", is_local=True)
@click.argument("name", required=False)
@click.option("--none", is_flag=True, help="None of them: a `make up` nearby is meant again.")
def use(name: str | None, none: bool) -> None:
    """Choose which registry is meant from now on."""
    if none == (name is not None):
        raise click.UsageError("a name, or --none")
    known = contexts()
    if name is not None:
        _require(name, known["contexts"])
    keep_contexts({**known, "current": name})
    say(f"{name or 'no context'} is in use")


@command(context, "rm", "slipway context rm production", is_local=True)
@click.argument("name")
def rm(name: str) -> None:
    """Forget a name. The registry knows nothing of it."""
    known = contexts()
    _require(name, known["contexts"])
    left = {each: address for each, address in known["contexts"].items() if each != name}
    keep_contexts({"current": None if known["current"] == name else known["current"], "contexts": left})
    say(f"{name} is forgotten")


def _require(name: str, known: dict[str, str]) -> None:
    if name not in known:
        near = nearest(name, list(known))
        raise NotThere(f"there is no context {name}", f"did you mean {near}?" if near else "`slipway context list`")
