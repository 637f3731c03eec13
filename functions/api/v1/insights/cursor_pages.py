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
        seal = Seal(context.services.settings.pepper)
        place = self._place(seal)
        backwards = place is not None and place.is_before
        after = place.position if place is not None else None
        found = walker(Walk(self.part.descending != backwards, self.part.size, after, self.least, self.most))
        onward = Place(backwards, found.more) if found.more is not None else None
        back = _back(place, found)
        following, preceding = (back, onward) if backwards else (onward, back)
        cursors = {"next": self._cursor(seal, following), "previous": self._cursor(seal, preceding)}
        items = found.items[::-1] if backwards else found.items
        return json_response({key: items, **cursors}, **self._links(cursors))

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

    def _cursor(self, seal: Seal, place: Place | None) -> str | None:
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
