"""Lists that are gone through forwards and backwards: cursors, links to the pages beside one, and what an answer has.

A cursor is a place in one list: of these parameters, in this order. For any other it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from flask import Response

from functions.api.v1.insights.routes import Part
from functions.api.web.context import Context
from functions.api.web.errors import ParameterInvalid
from functions.api.web.responses import json_response
from functions.registry.auth.sealing import Seal, SealBroken
from functions.registry.metadata.lists.keyset import Found, Position, Value, Walk

# From where a walk begins and goes to what it finds.
Walker = Callable[[Walk], Found]


@dataclass(frozen=True, slots=True)
class Place:
    """It lies behind `position` in the list's order, or before it; None is the list's beginning, or its end."""

    is_before: bool
    position: Position | None


@dataclass(frozen=True, slots=True)
class Listing:
    """It is one list, as a request asks for a part of it. `asked` are its parameters beside those of the part.

    `least` and `most` bound the ordering value.
    """

    path: str
    part: Part
    asked: Mapping[str, str]
    least: Value | None = None
    most: Value | None = None

    def answer(self, context: Context, key: str, walker: Walker) -> Response:
        """Answers `{key: […], "next": …, "previous": …}` with a link to each. Raises ParameterInvalid."""
        going = self.going(context.services.settings.pepper)
        shown = going.shown(walker(going.walk))
        cursors = {"next": shown.next, "previous": shown.previous}
        return json_response({key: shown.items, **cursors}, **self._links(cursors))

    def going(self, pepper: str) -> Going:
        """Opens the cursor. Raises ParameterInvalid."""
        seal = Seal(pepper)
        return Going(self, seal, self._place(seal))

    @property
    def _query(self) -> dict[str, str]:
        return {**self.asked, "sort": self.part.sort}

    @property
    def _purpose(self) -> str:
        return f"{self.path}?{urlencode(self._query)}"

    def _place(self, seal: Seal) -> Place | None:
        if self.part.cursor is None:
            return None
        try:
            is_before, position = json.loads(seal.open(self.part.cursor, self._purpose))
        except (SealBroken, ValueError, TypeError) as broken:
            raise ParameterInvalid(
                "cursor must be what next or previous of an answer to the same parameters gave"
            ) from broken
        return Place(is_before, position if position is None else (position[0], position[1]))

    def cursor(self, seal: Seal, place: Place | None) -> str | None:
        if place is None:
            return None
        content = json.dumps([place.is_before, place.position], separators=(",", ":"))
        return seal.close(content.encode(), self._purpose)

    def _links(self, cursors: Mapping[str, str | None]) -> dict[str, str]:
        query = {**self._query, "n": str(self.part.size)}
        links = [
            f'<{self.path}?{urlencode({**query, "cursor": cursor})}>; rel="{relation}"'
            for relation, cursor in (("prev", cursors["previous"]), ("next", cursors["next"]))
            if cursor is not None
        ]
        return {"Link": ", ".join(links)} if links else {}


@dataclass(frozen=True, slots=True)
class Shown:
    """A page, with the cursors of those beside it; None where there is none."""

    items: list[dict[str, Any]]
    next: str | None
    previous: str | None


@dataclass(frozen=True, slots=True)
class Going:
    """It goes through a list from where the cursor says: `walk` finds what `shown` makes a page of."""

    listing: Listing
    seal: Seal
    place: Place | None

    @property
    def walk(self) -> Walk:
        part, place = self.listing.part, self.place
        after = place.position if place is not None else None
        return Walk(part.descending != self._is_backwards, part.size, after, self.listing.least, self.listing.most)

    def shown(self, found: Found) -> Shown:
        onward = Place(self._is_backwards, found.more) if found.more is not None else None
        back = _back(self.place, found)
        following, preceding = (back, onward) if self._is_backwards else (onward, back)
        items = found.items[::-1] if self._is_backwards else found.items
        return Shown(items, self.listing.cursor(self.seal, following), self.listing.cursor(self.seal, preceding))

    @property
    def _is_backwards(self) -> bool:
        return self.place is not None and self.place.is_before


def _back(place: Place | None, found: Found) -> Place | None:
    """Returns the way back to where the walk came from; None if it began at the list's beginning."""
    if place is None:
        return None
    # Of what it passed nothing is shown: what follows the last row of it, the other way round, is what it began behind.
    first = found.positions[0] if found.positions else found.more
    return Place(not place.is_before, first)


def asked(wanted: Any) -> dict[str, str]:
    """Writes a filter as the parameters that it was made of."""
    values = {column.name: getattr(wanted, column.name) for column in fields(wanted)}
    return {name: _written(value) for name, value in values.items() if value is not None}


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)
