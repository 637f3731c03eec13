"""What somebody chooses for an import, as the body of a request has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.api.web.json_body import Reader, choice, flag, nullable, number, repository, text, texts
from functions.registry.auth.source_credentials import Credentials

_MOST_NAMES: Final = 10_000
_LONGEST_NAME: Final = 512
_INTERVAL_SECONDS: Final = number(60, 30 * 86_400)


def _names(value: Any) -> list[str]:
    name = text(_LONGEST_NAME)
    if not isinstance(value, list) or not 1 <= len(value) <= _MOST_NAMES:
        raise ValueError(f"takes a list of 1 to {_MOST_NAMES} names")
    return [name(each) for each in value]


def _renames(value: Any) -> dict[str, str]:
    return {old: repository(new) for old, new in texts(value).items()}


def _secret(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[\x20-\x7e]{1,8192}", value):
        raise ValueError("takes 1 to 8192 printable characters of ASCII")
    return value


CHOICES: Final[Mapping[str, Reader]] = {
    "workers": number(1, 64),
    "untagged": choice("grace", "keep", "skip"),
    "renames": _renames,
    "repositories": _names,
    "rate": nullable(number(1, 10_000)),
    "page_size": number(1, 10_000),
    "keeps_deleted": flag,
    "repair": flag,
    "every_seconds": nullable(_INTERVAL_SECONDS),
    "export_every_seconds": nullable(_INTERVAL_SECONDS),
    "username": text(255),
    "secret": _secret,
}
_INTERVALS: Final = frozenset({"every_seconds", "export_every_seconds"})
# Those that are columns of their own.
_COLUMNS: Final = frozenset({"workers", "untagged"})


def options_of(context: Context, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the other choices as they are kept; a secret is sealed. Raises ParameterInvalid for a secret without a
    name.
    """
    options = {name: value for name, value in fields.items() if name in CHOICES and name not in _COLUMNS}
    username, secret = options.pop("username", None), options.pop("secret", None)
    if (username is None) != (secret is None):
        raise ParameterInvalid("username and secret are given together")
    if username is not None and secret is not None:
        options["credentials"] = Credentials(username, secret).sealed(context.services.settings.pepper)
    for name in _INTERVALS & options.keys():
        seconds = options.pop(name)
        options[name.removesuffix("_seconds")] = None if seconds is None else f"{seconds} seconds"
    return options


def shown(options: Mapping[str, Any]) -> dict[str, Any]:
    """Shows what was chosen, but for the secret, and without what was not."""
    known = {name: value for name, value in options.items() if name in CHOICES}
    for name in _INTERVALS:
        if interval := options.get(name.removesuffix("_seconds")):
            known[name] = int(str(interval).partition(" ")[0])
    return known


def columns_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name in _COLUMNS}
