"""Bars beside each other, as SVG: one group for each scenario, one bar for each registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Final

from benchmarks.rivals.measuring import Measured, Measurements

_COLOURS: Final = ("#1a73e8", "#e8710a", "#9aa0a6", "#188038", "#a142f4")
_LABELS: Final = 190
_WIDTH: Final = 420
_BAR: Final = 11
_GAP: Final = 9
_TOP: Final = 46
_FONT: Final = 'font-family="sans-serif" font-size="11"'


def bars(
    title: str,
    measurements: Measurements,
    clients: int,
    names: Sequence[str],
    figure: Callable[[Measured], float | None],
) -> str:
    """Each group has a scale of its own, for a push takes a thousand times as long as a ping."""
    scenarios = measurements.scenarios(clients)
    height = _TOP + len(scenarios) * (_BAR * len(names) + _GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABELS + _WIDTH + 90}" height="{height}" {_FONT}>',
        f'<text x="4" y="16" font-weight="bold">{escape(title)}</text>',
        *_legend(names),
    ]
    for number, scenario in enumerate(scenarios):
        top = _TOP + number * (_BAR * len(names) + _GAP)
        found = [measurements.get(scenario, clients, name) for name in names]
        parts += _group(scenario, top, [None if each is None else figure(each) for each in found])
    return "\n".join([*parts, "</svg>", ""])


def _legend(names: Sequence[str]) -> list[str]:
    parts = []
    for place, name in enumerate(names):
        x = _LABELS + place * 140
        parts.append(f'<rect x="{x}" y="24" width="10" height="10" fill="{_colour(place)}"/>')
        parts.append(f'<text x="{x + 14}" y="33">{escape(name)}</text>')
    return parts


def _group(scenario: str, top: int, values: Sequence[float | None]) -> list[str]:
    largest = max((value for value in values if value), default=1.0)
    middle = top + _BAR * len(values) / 2 + 4
    parts = [f'<text x="{_LABELS - 6}" y="{middle:.0f}" text-anchor="end">{escape(scenario)}</text>']
    for place, value in enumerate(values):
        if value is None:
            continue
        y, width = top + place * _BAR, _WIDTH * value / largest
        parts.append(
            f'<rect x="{_LABELS}" y="{y}" width="{width:.1f}" height="{_BAR - 1}" fill="{_colour(place)}"/>'
            f'<text x="{_LABELS + width + 4:.1f}" y="{y + 9}">{value:.3g}</text>'
        )
    return parts


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]
