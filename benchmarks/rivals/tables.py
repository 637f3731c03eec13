"""The figures as Markdown: one table for one client, one for each crowd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from benchmarks.measure import table
from benchmarks.rivals.goals import own_cpu, ratio
from benchmarks.rivals.measuring import Measured, Measurements
from benchmarks.rivals.registries import SLIPWAY

_NOTHING: Final = "-"


def alone(measurements: Measurements, names: Sequence[str]) -> str:
    """One client: how long a job takes, and what it costs."""
    others = [name for name in names if name != SLIPWAY]
    header = ["one client", *(f"{name}: p50, p99 ms" for name in names), *(f"{name}: CPU ms" for name in names)]
    header += [f"{what} / {name}" for name in others for what in ("p50", "CPU")]
    rows = []
    for scenario in measurements.scenarios(1):
        found = [measurements.get(scenario, 1, name) for name in names]
        row = [scenario, *map(_times, found), *map(_cpu, found)]
        for name in others:
            row += [
                _ratio(ratio(measurements, scenario, 1, lambda each: each.p50_ms, name)),
                _ratio(ratio(measurements, scenario, 1, own_cpu, name)),
            ]
        rows.append(row)
    return table(header, rows)


def crowded(measurements: Measurements, clients: int, names: Sequence[str]) -> str:
    """Several clients at once: how many jobs are done in a second."""
    others = [name for name in names if name != SLIPWAY]
    header = [f"{clients} clients", *(f"{name}: a second" for name in names), *(f"{name}: p99 ms" for name in names)]
    header += [f"rate / {name}" for name in others]
    rows = []
    for scenario in measurements.scenarios(clients):
        found = [measurements.get(scenario, clients, name) for name in names]
        rows.append(
            [
                scenario,
                *(_NOTHING if each is None else f"{each.rate:.0f}" for each in found),
                *(_NOTHING if each is None else f"{each.p99_ms:.1f}" for each in found),
                *(_ratio(ratio(measurements, scenario, clients, lambda each: each.rate, name)) for name in others),
            ]
        )
    return table(header, rows)


def _times(measured: Measured | None) -> str:
    return _NOTHING if measured is None else f"{measured.p50_ms:.2f}, {measured.p99_ms:.2f}"


def _cpu(measured: Measured | None) -> str:
    """Writes the parts one by one: what answers, the database, the store."""
    if measured is None or not measured.cpu:
        return _NOTHING
    return " + ".join(f"{measured.cpu_ms(part):.2f}" for part in measured.cpu)


def _ratio(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"
