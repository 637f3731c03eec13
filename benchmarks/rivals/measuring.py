"""Every scenario on every registry, in turns: what slows the machine down for a while slows all of them down."""

from __future__ import annotations

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.measure import percentile
from benchmarks.rivals.asking import do
from benchmarks.rivals.registries import Registry
from benchmarks.rivals.scenarios import Scenario

# Contents of one scenario and round are never those of another.
_NUMBERS_OF_A_ROUND: Final = 1_000


@dataclass
class Measured:
    """One scenario, with so many clients at once, on one registry: the jobs of all rounds, and a figure of each round.

    CPU seconds are those of one job, by part.
    """

    scenario: str
    clients: int
    registry: str
    seconds: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def p50_ms(self) -> float:
        return percentile(self.seconds, 50) * 1000

    @property
    def p99_ms(self) -> float:
        return percentile(self.seconds, 99) * 1000

    @property
    def rate(self) -> float:
        """Returns the jobs of a second."""
        return statistics.median(self.rates)

    def cpu_ms(self, *parts: str) -> float | None:
        """Returns what a job costs these parts together; None where it isn't known."""
        known = [statistics.median(self.cpu[part]) for part in parts if part in self.cpu]
        return sum(known) * 1000 if known else None

    def as_json(self) -> dict[str, Any]:
        return {
            "scenario": self.scenario,
            "clients": self.clients,
            "registry": self.registry,
            "jobs": len(self.seconds),
            "rounds": len(self.rates),
            "p50_ms": round(self.p50_ms, 3),
            "p99_ms": round(self.p99_ms, 3),
            "per_second": round(self.rate, 2),
            "cpu_ms": {part: round(statistics.median(values) * 1000, 4) for part, values in self.cpu.items()},
        }


class Measurements:
    """What was measured, in the order of the scenarios."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], Measured] = {}

    def all(self) -> Iterable[Measured]:
        return self._found.values()

    def add(self, measured: Measured) -> None:
        self._found[measured.scenario, measured.clients, measured.registry] = measured

    def get(self, scenario: str, clients: int, registry: str) -> Measured | None:
        return self._found.get((scenario, clients, registry))

    def scenarios(self, clients: int) -> list[str]:
        """Returns the names of those that were run with so many clients."""
        return list(dict.fromkeys(each.scenario for each in self._found.values() if each.clients == clients))

    def clients(self) -> list[int]:
        return sorted({each.clients for each in self._found.values()})

    def run(
        self, scenarios: Sequence[Scenario], registries: Sequence[Registry], clients: Sequence[int], rounds: int
    ) -> None:
        """The registries take turns within a round, and begin in another order in the next."""
        for turn in range(rounds):
            for row, scenario in enumerate(scenarios):
                for crowd in clients:
                    if crowd not in scenario.counts:
                        continue
                    first = ((turn * len(scenarios) + row) * 100 + crowd) * _NUMBERS_OF_A_ROUND
                    for place in range(len(registries)):
                        registry = registries[(place + turn) % len(registries)]
                        self._measure(scenario, registry, crowd, range(first, first + scenario.counts[crowd]))
            print(f"round {turn + 1} of {rounds} is over, load average {os.getloadavg()[0]:.1f}", flush=True)

    def _measure(self, scenario: Scenario, registry: Registry, clients: int, numbers: range) -> None:
        if scenario.prepare is not None:
            do(registry.address, [scenario.prepare(number) for number in numbers], clients)
        jobs = [scenario.make(number) for number in numbers]
        cpu, started = registry.cpu(), time.perf_counter()
        seconds = do(registry.address, jobs, clients)
        taken, used = time.perf_counter() - started, registry.cpu_since(cpu)
        measured = self.get(scenario.name, clients, registry.name)
        if measured is None:
            measured = Measured(scenario.name, clients, registry.name)
            self.add(measured)
        measured.seconds += seconds
        measured.rates.append(len(jobs) / taken)
        for part, each in used.items():
            measured.cpu[part].append(each / len(jobs))
