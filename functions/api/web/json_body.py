"""Bodies of the administration's API: one JSON object, whose fields are all known and all checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.registry.auth.roles import Role
from functions.registry.metadata.access.patterns import PatternInvalid, repository_regex, tag_regex
from functions.registry.oci.digest import Digest
from functions.registry.oci.errors import DigestInvalid, ManifestInvalid, NameInvalid
from functions.registry.oci.json_object import Unreadable, read_object
from functions.registry.oci.name import RepositoryName, Tag

LARGEST: Final = 64 * 1024

# Gives what a handler uses, or raises ValueError with what the field takes.
Reader = Callable[[Any], Any]


def read(context: Context, required: Mapping[str, Reader], optional: Mapping[str, Reader]) -> dict[str, Any]:
    """Returns the fields by name; an optional one that is missing is left out. Raises ParameterInvalid."""
    document = _document(context)
    known = {**required, **optional}
    for name in document:
        if name not in known:
            raise ParameterInvalid(f"unknown field {_shown(name)}; expected one of: {', '.join(known)}")
    for name in required:
        if name not in document:
            raise ParameterInvalid(f"{name} is missing")
    values = {}
    for name, value in document.items():
        try:
            values[name] = known[name](value)
        except ValueError as error:
            raise ParameterInvalid(f"{name} {error}") from error
    return values


def text(longest: int) -> Reader:
    """Takes printable text: it is shown in lists and logs."""

    def read_text(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
            raise ValueError(f"must be a text of 1 to {longest} characters, none of them a control character")
        return value

    return read_text


def number(least: int, most: int) -> Reader:
    def read_number(value: Any) -> int:
        # In Python true is a number.
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"must be an integer from {least} to {most}")
        return value

    return read_number


def choice(*choices: str) -> Reader:
    def read_choice(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return value

    return read_choice


def nullable(reader: Reader) -> Reader:
    return lambda value: None if value is None else reader(value)


def flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  # as every reader does
    return value


def texts(value: Any) -> dict[str, str]:
    """Returns an object whose values are texts."""
    printable = text(255)
    if not isinstance(value, dict):
        raise ValueError("must be an object of texts")  # noqa: TRY004  # as every reader does
    return {printable(name): printable(inner) for name, inner in value.items()}


def repositories(value: Any) -> str:
    return _pattern(value, repository_regex)


def tags(value: Any) -> str:
    return _pattern(value, tag_regex)


def repository(value: Any) -> RepositoryName:
    """Takes a name, not a pattern."""
    try:
        return RepositoryName.parse(value if isinstance(value, str) else "")
    except NameInvalid as invalid:
        raise ValueError(f"must be a repository's name: {invalid}") from invalid


def tag(value: Any) -> Tag:
    try:
        return Tag.parse(value if isinstance(value, str) else "")
    except ManifestInvalid as invalid:
        raise ValueError(f"must be a tag: {invalid}") from invalid


def digest(value: Any) -> Digest:
    try:
        return Digest.parse(value if isinstance(value, str) else "")
    except DigestInvalid as invalid:
        raise ValueError(f"must be a digest: {invalid}") from invalid


def moment(value: Any) -> datetime:
    """A time of ISO 8601; without a zone it is one of UTC."""
    try:
        read_moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        return read_moment.replace(tzinfo=UTC) if read_moment.tzinfo is None else read_moment.astimezone(UTC)
    except (ValueError, OverflowError) as invalid:
        raise ValueError("must be a time of ISO 8601, such as 2026-01-31T12:00:00Z") from invalid


def tag_list(most: int) -> Reader:
    def read_tags(value: Any) -> list[Tag]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise ValueError(f"must be a list of 1 to {most} tags")
        try:
            return [Tag.parse(tag if isinstance(tag, str) else "") for tag in value]
        except ManifestInvalid as invalid:
            raise ValueError(f"must be a list of tags: {invalid}") from invalid

    return read_tags


def _pattern(value: Any, check: Callable[[str], str]) -> str:
    try:
        check(value if isinstance(value, str) else "")
    except PatternInvalid as invalid:
        raise ValueError(f"must be a pattern: {invalid}") from invalid
    pattern: str = value
    return pattern


ROLE: Final = choice(*(role.label for role in Role))


def _document(context: Context) -> dict[str, Any]:
    body = context.body.read(LARGEST)
    if body is None or context.body.is_cut:
        raise ParameterInvalid(f"the body has at most {LARGEST} bytes, and comes whole")
    try:
        return read_object(body)
    except Unreadable as error:
        raise ParameterInvalid("the body is one JSON object, without a name that stands twice") from error


def _shown(name: str) -> str:
    return repr(name[:50])
