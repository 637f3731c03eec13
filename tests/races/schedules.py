"""Orders in which two operations may take their steps."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.races.stage import Choose, Performance

MOST: Final = 100
DRAWN: Final = 60
# More steps than any operation has.
_LONG: Final = 100

Perform = Callable[[Choose], Performance]


@dataclass(slots=True)
class _Path:
    """Follows `prefix` at the forks, then always the first; remembers where it might have gone otherwise."""

    prefix: list[int]
    taken: list[int] = field(default_factory=list)

    def __call__(self, ready: Sequence[int]) -> int:
        if len(ready) == 1:
            return ready[0]
        turn = self.prefix[len(self.taken)] if len(self.taken) < len(self.prefix) else 0
        self.taken.append(turn)
        return ready[turn]

    def next(self) -> _Path | None:
        """The one that leaves this one at the last fork where it can."""
        for at in range(len(self.taken) - 1, -1, -1):
            if self.taken[at] == 0:
                return _Path([*self.taken[:at], 1])
        return None


def _in_order(order: Sequence[int]) -> Choose:
    """Follows a list of turns; the turns of one who waits or is done are passed over."""
    turns = iter(order)

    def choose(ready: Sequence[int]) -> int:
        return next((who for who in turns if who in ready), ready[0])

    return choose


def every(perform: Perform) -> Iterator[Performance]:
    """All that there are: what waits or is retried makes forks of its own."""
    path: _Path | None = _Path([])
    while path is not None:
        yield perform(path)
        path = path.next()


def sample(perform: Perform, count: int, seed: str) -> Iterator[Performance]:
    """So many that differ, the same for the same seed: first those that do not interleave, then some drawn evenly."""
    one_by_one = [perform(_in_order(order)) for order in ((), (1,) * _LONG)]
    yield from one_by_one
    yield from _drawn(perform, count - 2, seed, _lengths(*one_by_one))


def bounded(perform: Perform, seed: str) -> Iterator[Performance]:
    """Every schedule, if two undisturbed operations have at most MOST; else DRAWN of them."""
    one_by_one = [perform(_in_order(order)) for order in ((), (1,) * _LONG)]
    lengths = _lengths(*one_by_one)
    if math.comb(sum(lengths), lengths[0]) <= MOST:
        yield from every(perform)
    else:
        yield from one_by_one
        yield from _drawn(perform, DRAWN - 2, seed, lengths)


def _lengths(first: Performance, second: Performance) -> tuple[int, int]:
    """Returns how many steps each takes where it goes first."""
    return sum(who == 0 for who, _ in first.steps), sum(who == 1 for who, _ in second.steps)


def _drawn(perform: Perform, count: int, seed: str, lengths: tuple[int, int]) -> Iterator[Performance]:
    draw = random.Random(seed)  # noqa: S311  # it only has to be the same each time
    letters = [0] * lengths[0] + [1] * lengths[1]
    seen = {tuple(letters), tuple(reversed(letters))}
    possible = math.comb(len(letters), lengths[0])
    for _ in range(min(count, possible - len(seen))):
        while (order := tuple(letters)) in seen:
            draw.shuffle(letters)
        seen.add(order)
        yield perform(_in_order(order))
