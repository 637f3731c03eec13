"""Writes docs/undo-races.md: what comes of undo, retention and events, and everything that each may meet.

python -m tests.races.undo_table [ORDERS] > docs/undo-races.md
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Final

from tests.races import schedules
from tests.races.event_pairs import EVENT_PAIRS, EVENT_SCENES, EventArena
from tests.races.pairs import Arena, Pair
from tests.races.retention_pairs import RETENTION_PAIRS, RETENTION_SCENES, RetentionArena
from tests.races.scenes import Scene
from tests.races.schedules import Perform
from tests.races.stage import Performance
from tests.races.table import row, server_url
from tests.races.undo_pairs import UNDO_PAIRS, UNDO_SCENES, UndoArena

_ORDERS: Final = 20


@dataclass(frozen=True, slots=True)
class _Part:
    title: str
    checked: str
    arena: Callable[[str], Arena]
    pairs: Sequence[Pair]
    scenes: Mapping[str, Scene]


_PARTS: Final = (
    _Part(
        "Undo",
        "what can be put back has all that it needs, and a signature stays as long as what it signs",
        UndoArena,
        UNDO_PAIRS,
        UNDO_SCENES,
    ),
    _Part(
        "Retention",
        "what was pushed stays, what is kept stays, no tag is forgotten, and each verdict says what became of its tag",
        RetentionArena,
        RETENTION_PAIRS,
        RETENTION_SCENES,
    ),
    _Part(
        "Events",
        "every change is told once, in the order of its repository's commits, and none is sent before an earlier one",
        EventArena,
        EVENT_PAIRS,
        EVENT_SCENES,
    ),
)
_INTRODUCTION: Final = """\
# Races of undo, retention and events

Written by `python -m tests.races.undo_table > docs/undo-races.md`, as [gc-races.md](gc-races.md) is: two operations
stop before each statement and each COMMIT, and take their steps in turns. Of each pair in each scene {orders} orders
are run: the two that do not interleave, and others drawn evenly; {total} in all. Outcomes are those of the first /
those of the second, with the number of orders that led to each. Besides what is checked there, it is checked that

{checked}
"""
_HEAD: Final = "| First | Second | Scene | Orders | Outcomes |\n|---|---|---|---|---|\n"


def _race(part: _Part, orders: int) -> tuple[str, int]:
    """The part's chapter, and how many orders were run."""

    def drawn(perform: Perform, seed: str) -> Iterator[Performance]:
        return schedules.sample(perform, orders, seed)

    rows: list[str] = []
    total = 0
    with server_url() as url, part.arena(url) as arena:
        for pair in part.pairs:
            for scene in pair.scenes:
                with redirect_stdout(io.StringIO()):  # what the collectors log
                    outcomes = arena.race(pair, scene, drawn)
                total += outcomes.total()
                rows.append(row(pair, scene, outcomes))
                sys.stderr.write(f"{rows[-1]}\n")
    scenes = "\n".join(f"- *{scene.name}*: {scene.told}." for scene in part.scenes.values())
    return f"\n## {part.title}\n\n{scenes}\n\n{_HEAD}" + "\n".join(rows) + "\n", total


def main(orders: int) -> None:
    chapters = [_race(part, orders) for part in _PARTS]
    checked = "\n".join(f"- {part.title.lower()}: {part.checked}." for part in _PARTS)
    total = sum(count for _, count in chapters)
    sys.stdout.write(_INTRODUCTION.format(orders=orders, total=total, checked=checked))
    sys.stdout.write("".join(chapter for chapter, _ in chapters))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else _ORDERS)
