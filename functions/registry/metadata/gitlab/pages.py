"""Pages of GitLab's list of tags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

By = Literal["name", "published_at"]


@dataclass(frozen=True, slots=True)
class Marker:
    """A place in a list of tags: a tag's name, and when it was published if the list is in that order."""

    name: str
    published_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    by: By = "name"
    is_descending: bool = False

    def __str__(self) -> str:
        return f"-{self.by}" if self.is_descending else self.by


@dataclass(frozen=True, slots=True)
class TagPage:
    """`size` tags whose name has `part` in it: those after `last`, or those right before `before`.

    `sort` is what was asked for, None if nothing was. `referrers` are the types to show, none for all of them; None
    shows none.
    """

    size: int
    last: Marker | None = None
    before: Marker | None = None
    part: str = ""
    sort: Order | None = None
    referrers: tuple[str, ...] | None = None

    @property
    def order(self) -> Order:
        return self.sort or Order()

    @property
    def is_backwards(self) -> bool:
        """Says whether the order is descending as its index is read."""
        return self.order.is_descending != (self.before is not None)
