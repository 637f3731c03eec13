"""`make drill`: prints what each disaster has cost, and ends with 1 if anything was lost."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.drill.disasters import EVERYTHING, OBJECTS, ROWS, Drill, Result
from tests.drill.stand import Stand


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 10_000)
    parser.add_argument("--steps", type=int, default=60, help="how much the registry is used between two moments")
    parser.add_argument("--runs", type=int, default=1, help="with other seeds")
    chosen = parser.parse_args()
    lost = 0
    for seed in range(chosen.seed, chosen.seed + chosen.runs):
        with tempfile.TemporaryDirectory(prefix="slipway-drill-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            folder.chmod(0o755)
            results = Drill(Stand(folder), seed, chosen.steps).run([ROWS, OBJECTS, EVERYTHING])
        show(seed, results)
        lost += sum(len(result.lost) for result in results)
    return 1 if lost else 0


def show(seed: int, results: list[Result]) -> None:
    sys.stdout.write(f"seed {seed}\n{'disaster':<20}{'tags':>6}{'lost':>6}{'RPO':>9}{'RTO':>9}\n")
    for result in results:
        times = f"{result.point_seconds:>7.0f} s{result.time_seconds:>7.0f} s"
        sys.stdout.write(f"{result.disaster:<20}{result.tags:>6}{len(result.lost):>6}{times}\n")
        for tag in result.lost[:10]:
            sys.stdout.write(f"  lost: {tag}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
