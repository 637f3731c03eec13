"""What is meant by `team/app`, `team/app:1.4` and `team/app@sha256:…`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import click

_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST: Final = re.compile(r"sha(256:[a-f0-9]{64}|512:[a-f0-9]{128})")


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
            self.fail(f"must be a repository's name, such as team/app; not {value}", param, ctx)
        return str(value)


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
