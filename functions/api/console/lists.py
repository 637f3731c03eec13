"""Lists on the console's pages: the API's parts and cursors, and the addresses of the pages beside one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from functions.api.v1.insights.cursor_pages import Shown
from functions.api.v1.insights.routes import Part

SIZE = 50


@dataclass(frozen=True, slots=True)
class ListView:
    """It is what a template shows of a list: its rows, how they are ordered, and where the pages beside them are.

    `asked` are the filters as they stand in the address.
    """

    path: str
    part: Part
    asked: Mapping[str, str]
    shown: Shown

    @property
    def items(self) -> list[dict[str, Any]]:
        return self.shown.items

    @property
    def next(self) -> str | None:
        return self._beside(self.shown.next)

    @property
    def previous(self) -> str | None:
        return self._beside(self.shown.previous)

    def sorted_by(self, order: str, *, descending_first: bool) -> str:
        """Returns the address of the list in that order; of the order that it has, the other way round."""
        is_descending = not self.part.descending if self.part.order == order else descending_first
        return self._address(sort=f"-{order}" if is_descending else order)

    def direction(self, order: str) -> str:
        """Returns what `aria-sort` has for it."""
        if self.part.order != order:
            return "none"
        return "descending" if self.part.descending else "ascending"

    def _beside(self, cursor: str | None) -> str | None:
        return None if cursor is None else self._address(sort=self.part.sort, cursor=cursor)

    def _address(self, **more: str) -> str:
        return f"{self.path}?{urlencode({**self.asked, **more})}"
