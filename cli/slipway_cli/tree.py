"""Groups whose commands are imported when they are asked for, and commands that have examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import click

_WIDTH: Final = 100
# What is called otherwise elsewhere.
_MEANT: Final = {
    "delete": ("rm",),
    "remove": ("rm",),
    "revoke": ("rm",),
    "create": ("add",),
    "new": ("add",),
    "rename": ("mv",),
    "move": ("mv",),
    "ls": ("list",),
    "list": ("ls",),
    "get": ("show", "list"),
    "describe": ("show",),
    "info": ("show", "doctor"),
    "status": ("doctor",),
    "health": ("doctor",),
    "check": ("doctor",),
    "can": ("explain",),
    "permissions": ("grant", "explain"),
    "log": ("audit",),
    "logs": ("audit",),
    "history": ("audit",),
    "token": ("secret",),
    "password": ("secret",),
}
CONTEXT: Final[dict[str, Any]] = {"help_option_names": ["-h", "--help"], "max_content_width": _WIDTH}


@dataclass(frozen=True, slots=True)
class Later:
    """A command that is imported when it is needed: its module, its name there, and its line in the group's help."""

    module: str
    name: str
    purpose: str


@dataclass
class Asked:
    """What was said about the registry, at whatever place in the line."""

    registry: str | None = None


def _remember(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        ctx.ensure_object(Asked).registry = value


def registry_option() -> click.Option:
    return click.Option(
        ["--registry"],
        metavar="REGISTRY",
        callback=_remember,
        expose_value=False,
        help="A host, an address, or a context: which registry is meant.",
    )


class Command(click.Command):
    """`examples` are whole lines as they are typed, and stand in the help; the tests run each of them."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), is_local: bool = False, **more: Any) -> None:
        more.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **more)
        self.examples = tuple(examples)
        # What asks no registry takes no --registry.
        if not is_local:
            self.params.append(registry_option())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}{example}\n")
        super().format_epilog(ctx, formatter)


class Group(click.Group):
    def __init__(self, *args: Any, later: Mapping[str, Later] | None = None, **more: Any) -> None:
        more.setdefault("context_settings", CONTEXT)
        super().__init__(*args, **more)
        self.later = dict(later or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # as click calls it
        """Lists them in the order in which they are written down: what belongs together stands together."""
        return [*self.later, *(name for name in self.commands if name not in self.later)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands and cmd_name in self.later:
            later = self.later[cmd_name]
            self.add_command(getattr(import_module(later.module), later.name), cmd_name)
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            near = next((name for name in _MEANT.get(args[0], ()) if name in known), None) or nearest(args[0], known)
            advice = f"did you mean `{ctx.command_path} {near}`?" if near else f"`{ctx.command_path} --help` lists them"
            raise click.UsageError(f"there is no command {args[0]}: {advice}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes them without importing any that is imported later."""
        rows = []
        for name in self.list_commands(ctx):
            if name in self.later:
                rows.append((name, self.later[name].purpose))
            elif (command := self.get_command(ctx, name)) is not None and not command.hidden:
                rows.append((name, command.get_short_help_str(_WIDTH)))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def nearest(word: str, known: Sequence[str]) -> str | None:
    """Returns the one of `known` that was probably meant."""
    import difflib  # noqa: PLC0415  # seldom needed

    starting = [name for name in known if name.startswith(word) or word.startswith(name)]
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.5)), None) or next(iter(starting), None)


def command(
    group: click.Group, name: str, *examples: str, is_local: bool = False
) -> Callable[[Callable[..., Any]], click.Command]:
    """Adds a function to a group as a command; its docstring is the help."""

    def decorate(function: Callable[..., Any]) -> click.Command:
        made: click.Command = click.command(name, cls=Command, examples=examples, is_local=is_local)(function)
        group.add_command(made)
        return made

    return decorate


def alone(name: str, *examples: str, is_local: bool = False) -> Callable[[Callable[..., Any]], click.Command]:
    """Does the same without a group: main.py gives it a place."""
    return click.command(name, cls=Command, examples=examples, is_local=is_local)
