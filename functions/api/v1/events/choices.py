"""What somebody chooses for a subscription, as the body of a request has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.api.web.json_body import Reader, choice, flag, nullable, repositories, tags, text
from functions.registry.auth import webhook_secrets
from functions.registry.events.forms import KINDS_OF
from functions.registry.events.targets import LONGEST, Address, TargetInvalid, is_topic
from functions.registry.metadata.access.patterns import stars
from functions.registry.metadata.events.vocabulary import FORMATS, KINDS, POLL, Format, Kind
from functions.registry.oci.errors import Denied

_LONGEST_NAME: Final = 128
_LONGEST_HEADER: Final = 4096


def _kinds(value: Any) -> list[Kind]:
    """`tag.*` are all of tags."""
    if not isinstance(value, list) or not 1 <= len(value) <= len(KINDS):
        raise ValueError(f"takes a list of 1 to {len(KINDS)} kinds")
    found: set[Kind] = set()
    for each in value:
        named = {kind for kind in KINDS if kind == each or (f"{kind.partition('.')[0]}.*" == each)}
        if not named:
            raise ValueError(f"takes kinds such as tag.moved or tag.*: {', '.join(KINDS)}")
        found |= named
    return sorted(found, key=KINDS.index)


def _header(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_HEADER or not value.isascii():
        raise ValueError(f"takes 1 to {_LONGEST_HEADER} characters of ASCII")
    if not value.isprintable():
        raise ValueError("takes printable characters")
    return value


REQUIRED: Final[Mapping[str, Reader]] = {
    "name": text(_LONGEST_NAME),
    "repositories": repositories,
    "target": text(LONGEST),
}
OPTIONAL: Final[Mapping[str, Reader]] = {
    "tags": tags,
    "kinds": nullable(_kinds),
    "format": choice(*FORMATS),
    "authorization": nullable(_header),
    "is_ordered": flag,
}
CHANGES: Final[Mapping[str, Reader]] = {
    "target": text(LONGEST),
    "tags": tags,
    "kinds": nullable(_kinds),
    "authorization": nullable(_header),
    "is_ordered": flag,
    "state": choice("on", "paused"),
}


def check_target(context: Context, target: str) -> None:
    """Raises ParameterInvalid, and Denied for a topic of somebody who administers namespaces alone."""
    if target == POLL:
        return
    if is_topic(target):
        if not context.caller.authority.over_all:
            raise Denied("topics are for the registry's administrators: they take rights in a project")
        return
    try:
        Address.parse(target, context.services.settings.private_receivers)
    except TargetInvalid as invalid:
        raise ParameterInvalid(f"target {invalid}") from invalid


def kinds_of(form: Format, kinds: list[str] | None) -> list[str] | None:
    """Returns what is told in that form: all that it can say if none are chosen. Raises ParameterInvalid."""
    known = KINDS_OF[form]
    if kinds is None:
        return None if known == KINDS else list(known)
    if unknown := [kind for kind in kinds if kind not in known]:
        raise ParameterInvalid(f"kinds has {unknown[0]}, which {form} has no words for")
    return kinds


def require_few_stars(context: Context, *patterns: str) -> None:
    most = context.services.settings.stars_per_pattern
    if any(stars(pattern) > most for pattern in patterns):
        raise ParameterInvalid(f"a pattern has at most {most} stars")


def sealed_header(context: Context, value: str | None) -> str | None:
    return None if value is None else webhook_secrets.sealed_header(context.services.settings.pepper, value)


def is_webhook(target: str) -> bool:
    return target != POLL and not is_topic(target)
