"""What is to be reached, as ratios of figures of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from benchmarks.measure import table
from benchmarks.rivals.measuring import Measured, Measurements
from benchmarks.rivals.registries import DEBIAN, DISTRIBUTION, SLIPWAY

# What costs a registry its operator's money: a store of objects is the provider's.
OWN_PARTS: Final = ("api", "database")

Figure = Callable[[Measured], float | None]


@dataclass(frozen=True, slots=True)
class Goal:
    """Slipway's figure is to be `bound` times the other's: at most, or at least where more is better."""

    scenario: str
    clients: int
    what: str
    figure: Figure
    other: str
    bound: float
    is_least: bool = False


def _p50(measured: Measured) -> float:
    return measured.p50_ms


def own_cpu(measured: Measured) -> float | None:
    return measured.cpu_ms(*OWN_PARTS)


def _rate(measured: Measured) -> float:
    return measured.rate


_SIX_LAYERS: Final = "push, 6 layers, as docker"
GOALS: Final = (
    Goal("manifest GET by tag", 1, "p50", _p50, DEBIAN, 0.95),
    Goal("manifest GET by tag", 1, "CPU", own_cpu, DEBIAN, 0.75),
    Goal("blob HEAD", 1, "p50", _p50, DEBIAN, 1.35),
    Goal("blob HEAD", 1, "CPU", own_cpu, DEBIAN, 0.9),
    Goal("manifest GET by tag", 16, "requests a second", _rate, DEBIAN, 1.3, is_least=True),
    Goal("manifest GET by tag", 16, "requests a second", _rate, DISTRIBUTION, 0.35, is_least=True),
    Goal(_SIX_LAYERS, 1, "CPU", own_cpu, DEBIAN, 1.2),
    Goal(_SIX_LAYERS, 1, "p50", _p50, DEBIAN, 1.5),
)


def ratio(measurements: Measurements, scenario: str, clients: int, figure: Figure, other: str) -> float | None:
    """Returns Slipway's figure divided by the other's; None where one of them is missing."""
    ours, theirs = (measurements.get(scenario, clients, name) for name in (SLIPWAY, other))
    if ours is None or theirs is None:
        return None
    mine, yours = figure(ours), figure(theirs)
    return mine / yours if mine is not None and yours else None


def goals_table(measurements: Measurements) -> str:
    return table(["goal", "bound", "here", "reached"], list(_rows(measurements)))


def _rows(measurements: Measurements) -> Iterator[list[str]]:
    for goal in GOALS:
        found = ratio(measurements, goal.scenario, goal.clients, goal.figure, goal.other)
        if found is None:
            continue
        crowd = f", {goal.clients} clients" if goal.clients > 1 else ""
        is_reached = found >= goal.bound if goal.is_least else found <= goal.bound
        yield [
            f"{goal.scenario}{crowd}: {goal.what} against {goal.other}",
            f"{'≥' if goal.is_least else '≤'} {goal.bound:g}",
            f"{found:.2f}",
            "yes" if is_reached else "no",
        ]
