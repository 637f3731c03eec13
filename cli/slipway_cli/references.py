"""What is meant by `team/app`, `team/app:1.4` and `team/app@sha256:…`; names of namespaces, users and robots.

All of them become parts of an address: what is no name would be the address of something else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import click

_PART: Final = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
_NAMESPACE: Final = re.compile(_PART)
_NAME: Final = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"sha(256:[a-f0-9]{64}|512:[a-f0-9]{128})")
_TAGGED: Final = re.compile(rf"{_NAME.pattern}:.*")
_PRINCIPAL: Final = re.compile(r"(?:(?:user|robot):)?([a-z0-9][a-z0-9._@+-]{0,127})")


@dataclass(frozen=True, slots=True)
class Reference:
    repository: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.repository}{f':{self.tag}' if self.tag else ''}{f'@{self.digest}' if self.digest else ''}"


class Repository(click.ParamType[str]):
    """A repository's name."""

    name = "repository"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _NAME.fullmatch(value):
            without = (
                f", and without a tag: {value.partition(':')[0]}" if _TAGGED.fullmatch(value) else f"; not {value}"
            )
            self.fail(f"must be a repository's name, such as team/app{without}", param, ctx)
        return str(value)


class Namespace(click.ParamType[str]):
    """The first part of repositories' names."""

    name = "namespace"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        namespace = str(value).rstrip("/")
        if not _NAMESPACE.fullmatch(namespace):
            self.fail(
                f"must be the first part of repositories' names, such as team in team/app; not {value}", param, ctx
            )
        return namespace


class Principal(click.ParamType[str]):
    """The name of a user or a robot. `user:alice`, as the audit trail writes it, is alice."""

    name = "principal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        match = _PRINCIPAL.fullmatch(value)
        if match is None:
            self.fail(f"must be the name of a user or a robot, such as alice or team+ci; not {value}", param, ctx)
        return match[1]


class Image(click.ParamType[Reference]):
    """A repository, with a tag or a digest or neither."""

    name = "reference"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Reference:
        if isinstance(value, Reference):
            return value
        rest, at, digest = value.partition("@")
        name, colon, tag = rest.partition(":")
        if not _NAME.fullmatch(name) or (colon and not _TAG.fullmatch(tag)) or (at and not _DIGEST.fullmatch(digest)):
            self.fail(f"must be team/app, team/app:TAG or team/app@sha256:…; not {value}", param, ctx)
        return Reference(name, tag or None, digest or None)
