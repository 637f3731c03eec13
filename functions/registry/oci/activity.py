"""What can be asked about use over time, and whether the figures are right.

Not of the distribution specification; the paths lie under `/api/v1/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from functions.registry.oci.digest import Digest
from functions.registry.oci.in_repository import InRepository
from functions.registry.oci.name import Tag

MOST_DAYS: Final = 400
DEFAULT_DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class Span:
    """From one day to another, both included, at most MOST_DAYS. Days are those of UTC."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class GetRepositoryDays(InRepository):
    span: Span


@dataclass(frozen=True, slots=True)
class GetTagDays(InRepository):
    tag: Tag
    span: Span


@dataclass(frozen=True, slots=True)
class GetManifestDays(InRepository):
    digest: Digest
    span: Span


@dataclass(frozen=True, slots=True)
class GetNamespaceDays:
    namespace: str
    span: Span


@dataclass(frozen=True, slots=True)
class GetUsageDays:
    """Of the whole registry."""

    span: Span


@dataclass(frozen=True, slots=True)
class VerifyUsage:
    """Counts everything anew."""


Activity = GetRepositoryDays | GetTagDays | GetManifestDays | GetNamespaceDays | GetUsageDays | VerifyUsage
