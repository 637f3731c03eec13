"""Rows of the metadata as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import date
from typing import Any

from functions.registry.oci.digest import Digest


def rows(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Writes dataclasses as JSON objects: times in ISO 8601, digests as they are written everywhere."""
    return [{column.name: plain(getattr(row, column.name)) for column in fields(row)} for row in found]


def plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Digest) else value
