"""Charts as the numbers that an SVG is drawn of: the templates write them, so that all of it is escaped.

Styles are the stylesheet's alone: what has to be in the drawing are coordinates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 120
_GAP: Final = 0.25
_COLOURS: Final = 8


@dataclass(frozen=True, slots=True)
class Bar:
    day: date
    value: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bars:
    bars: list[Bar]
    largest: int


@dataclass(frozen=True, slots=True)
class Line:
    """`line` and `area` are paths; empty where nothing is known."""

    line: str
    area: str
    largest: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Tile:
    name: str
    value: int
    x: float
    y: float
    width: float
    height: float
    colour: int


def bars(days: Sequence[tuple[date, int]]) -> Bars:
    """Draws one for each day, as high as it has; the smallest that is not 0 can be seen."""
    largest = max((value for _, value in days), default=0)
    step = WIDTH / max(len(days), 1)
    drawn = []
    for number, (day, value) in enumerate(days):
        height = max(1.5, HEIGHT * value / largest) if value else 0.0
        drawn.append(
            Bar(
                day,
                value,
                round(number * step + step * _GAP / 2, 1),
                round(HEIGHT - height, 1),
                round(step * (1 - _GAP), 1),
                round(height, 1),
            )
        )
    return Bars(drawn, largest)


def line(days: Sequence[tuple[date, int | None]]) -> Line:
    """Draws it from the first day of which the value is known, from 0 up."""
    known = [(number, value) for number, (_, value) in enumerate(days) if value is not None]
    if not known:
        return Line("", "", 0, None)
    largest = max(value for _, value in known)
    step = WIDTH / max(len(days) - 1, 1)
    points = [
        f"{number * step:.1f},{HEIGHT - (HEIGHT - 4) * value / largest if largest else HEIGHT:.1f}"
        for number, value in known
    ]
    path = "M" + "L".join(points)
    first, last = known[0][0] * step, known[-1][0] * step
    return Line(path, f"{path}L{last:.1f},{HEIGHT}L{first:.1f},{HEIGHT}Z", largest, known[-1][1])


def treemap(items: Sequence[tuple[str, int]], width: float = 1000, height: float = 300) -> list[Tile]:
    """Returns rectangles whose areas are in the proportion of the values, each as near to a square as it comes.

    M. Bruls, K. Huizing, J. J. van Wijk, "Squarified Treemaps" (2000).
    """
    sorted_items = sorted(((name, value) for name, value in items if value > 0), key=lambda item: -item[1])
    total = sum(value for _, value in sorted_items)
    tiles: list[Tile] = []
    x, y = 0.0, 0.0
    rest = [(name, value, value * width * height / total) for name, value in sorted_items]
    while rest:
        short = min(width, height)
        count = 1
        while count < len(rest) and _worst(rest[: count + 1], short) <= _worst(rest[:count], short):
            count += 1
        row, rest = rest[:count], rest[count:]
        thick = sum(area for _, _, area in row) / short if short else 0.0
        along = 0.0
        for name, value, area in row:
            long = area / thick if thick else 0.0
            left, top, wide, high = (x, y + along, thick, long) if width >= height else (x + along, y, long, thick)
            corner, extent = (round(left, 1), round(top, 1)), (round(wide, 1), round(high, 1))
            tiles.append(Tile(name, value, *corner, *extent, len(tiles) % _COLOURS))
            along += long
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
    return tiles


def _worst(row: Sequence[tuple[str, int, float]], short: float) -> float:
    """Tells how far the least square one of a row is from a square."""
    total = sum(area for _, _, area in row)
    largest, smallest = row[0][2], row[-1][2]
    return max(short**2 * largest / total**2, total**2 / (short**2 * smallest)) if smallest and short else 0.0
