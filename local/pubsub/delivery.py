"""The knobs: how far from exactly once and in order delivery may stray."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivery:
    """How unreliable delivery is; by default every message arrives once, in the order of publishing.

    `duplicate`, `reorder` and `drop` are probabilities, drawn once per message and subscription. `hold` is the
    longest time in seconds that a reordered message or a duplicate is held back, so that others overtake it.
    """

    duplicate: float = 0.0
    reorder: float = 0.0
    drop: float = 0.0
    seed: int = 0
    hold: float = 0.05

    def __post_init__(self) -> None:
        if not all(0.0 <= chance <= 1.0 for chance in (self.duplicate, self.reorder, self.drop)):
            raise ValueError("a probability lies between 0 and 1")


class Dice:
    """One subscription's luck: the same seed and the same messages give the same fates again."""

    def __init__(self, delivery: Delivery, subscription: str) -> None:
        self._delivery = delivery
        # Named after the subscription, so that a neighbour's messages do not change this one's fates.
        self._random = random.Random(f"{delivery.seed} {subscription}")  # noqa: S311 - luck, not secrecy

    def delays(self) -> list[float]:
        """Returns how long to hold back each copy of the next message: no copy if it is lost, two if duplicated."""
        # Every message costs the same draws, so that turning one knob leaves the others' outcomes alone.
        drop, duplicate, reorder, first, second = (self._random.random() for _ in range(5))
        if drop < self._delivery.drop:
            return []
        delays = [first * self._delivery.hold if reorder < self._delivery.reorder else 0.0]
        if duplicate < self._delivery.duplicate:
            delays.append(second * self._delivery.hold)
        return delays
