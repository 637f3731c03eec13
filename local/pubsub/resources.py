"""What names, updates and pages have in common for topics and subscriptions."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from local.pubsub.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.protobuf.field_mask_pb2 import FieldMask

_SHORT_NAME: Final = re.compile(r"(?!goog)[A-Za-z][\w.~+%-]{2,254}", re.ASCII)
_LARGEST_PAGE: Final = 1000


def check_name(name: str, collection: str) -> None:
    """Refuse what is not `projects/PROJECT/<collection>/NAME` with a name the service would take."""
    match name.split("/"):
        case ["projects", project, found, short] if found == collection and project:
            if _SHORT_NAME.fullmatch(short):
                return
    raise invalid(f"Invalid resource name given (name={name}).")


def merge(mask: FieldMask, source: Any, destination: Any, immutable: frozenset[str]) -> None:
    """Copy the masked fields from one raw message to another; an unset one is cleared."""
    if not mask.paths:
        raise invalid("The update_mask must be set, and must contain a non-empty paths list.")
    if fixed := sorted(immutable & {path.partition(".")[0] for path in mask.paths}):
        raise invalid(f"Invalid update_mask provided: {fixed[0]} is not a mutable field.")
    try:
        mask.MergeMessage(source, destination, replace_message_field=True, replace_repeated_field=True)
    except (KeyError, ValueError) as error:
        raise invalid(f"Invalid update_mask provided: {error}") from error


def page(names: Iterable[str], size: int, token: str) -> tuple[list[str], str]:
    """Returns the names after the token, in order, and the token of the next page or nothing."""
    limit = min(size, _LARGEST_PAGE) if size > 0 else _LARGEST_PAGE
    found = list(islice((name for name in sorted(names) if name > token), limit + 1))
    shown = found[:limit]
    return shown, shown[-1] if len(found) > limit else ""
