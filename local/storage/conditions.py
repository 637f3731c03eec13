"""Preconditions: `ifGenerationMatch` and its kin, as query parameters or as XML headers."""

from collections.abc import Mapping
from typing import Final

from local.storage.calls import Call, Document
from local.storage.errors import invalid, not_modified, precondition_failed

_HEADERS: Final = {
    "x-goog-if-generation-match": "ifGenerationMatch",
    "x-goog-if-metageneration-match": "ifMetagenerationMatch",
}


def check(found: Document | None, conditions: Mapping[str, str], *, source: bool = False) -> None:
    """Refuse (412, or 304 for a NotMatch) unless what is there now is what the caller believes is there.

    An absent object has generation 0. With `source`, the conditions on the object that is copied from count.
    """
    for field in ("Generation", "Metageneration"):
        actual = int(found[field.lower()]) if found else 0
        prefix = f"ifSource{field}" if source else f"if{field}"
        wanted = _number(conditions.get(f"{prefix}Match"))
        if wanted is not None and wanted != actual:
            raise precondition_failed()
        unwanted = _number(conditions.get(f"{prefix}NotMatch"))
        if unwanted is not None and unwanted == actual:
            raise not_modified()


def of_headers(call: Call) -> dict[str, str]:
    """Returns the conditions of an XML call, under the names the JSON API gives them."""
    return {name: call.headers[header] for header, name in _HEADERS.items() if header in call.headers}


def generation_of(text: str | None) -> int | None:
    """Returns a generation as callers write it, None when they mean whichever is live."""
    return _number(text)


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise invalid(f"Invalid value for an integer parameter: {text}") from error
