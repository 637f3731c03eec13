"""What the sizes cost, from terraform/sizes.tf and assumed prices: `python -m tests.terraform.costs` prints the tables.

docs/deploy.md has the first with the prices, docs/scale.md the second; tests/terraform/test_costs.py compares.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.terraform.core import ROOT

SIZES: Final = ("tiny", "team", "large")
# US dollars, and what is assumed of a month: 730 hours.
_SECONDS: Final = 730 * 3600
_VCPU, _GIB, _SMALL, _DISK, _BACKUP = 30.15, 5.11, 25.55, 0.17, 0.08
_BUSY_VCPU, _BUSY_GIB, _IDLE, _MILLION = 0.000024, 0.0000025, 0.0000025, 0.40
_STORED, _READS, _EGRESS, _LOG, _CONDITION = 0.02, 0.0004, 0.12, 0.50, 0.10
_BALANCER, _POLICY, _RULE, _ARMOR_MILLION, _BALANCED = 18.25, 5, 1, 0.75, 0.008
_FREE_LOG_GIB: Final = 50
_LINE_BYTES, _BALANCER_LINE_BYTES, _SAMPLED = 1300, 1400, 0.05
_REQUEST_SECONDS: Final = 0.1
# The share of requests that sends its client to the bucket.
_READING: Final = 0.6
# What a thousand objects cost that are written.
_WRITES: Final = 0.005
_IMAGES_AND_SECRETS, _PROBES = 0.6, 0.7
_RULES: Final = 3


@dataclass(frozen=True, slots=True)
class Use:
    """What is assumed of a month: `domain` is the load balancer with Cloud Armor, `pushed` TiB through it."""

    millions: float
    stored_gib: int
    domain: bool = False
    pushed_tib: int = 0
    metrics: float = 0


USES: Final = {
    "tiny": Use(0.1, 20),
    "team": Use(5, 500),
    "large": Use(100, 20 * 1024, domain=True, pushed_tib=2, metrics=20),
}
Row = tuple[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Job:
    """A pull or a push of an image of six layers: its requests, the objects that it reads or writes, and the CPU that
    it takes of an instance, by docs/performance.md.
    """

    name: str
    requests: int
    reads: int
    writes: int
    cpu_seconds: float


JOBS: Final = (Job("pulls", 9, 7, 0, 0.006), Job("pushes", 29, 0, 7, 0.06))


def profile(size: str) -> dict[str, str]:
    text = (ROOT / "terraform" / "sizes.tf").read_text()
    (block,) = re.findall(rf"^    {size} = \{{\n(.*?)^    \}}", text, re.MULTILINE | re.DOTALL)
    return {name: value.strip('"') for name, value in re.findall(r"(\w+) += (.+)", block)}


def _conditions() -> int:
    """One for each alert of docs/operations.md, and one more for that of a share."""
    operations = (ROOT / "docs" / "operations.md").read_text().split("\n## Alerts\n")[1].split("\n## ")[0]
    return operations.count("\n### ") + 1


def _machine(tier: str) -> float:
    if tier == "db-g1-small":
        return _SMALL
    vcpus, mebibytes = map(int, re.findall(r"\d+", tier))
    return vcpus * _VCPU + mebibytes / 1024 * _GIB


def items(size: str) -> dict[str, float]:
    chosen, use = profile(size), USES[size]
    twice = 2 if chosen["database_highly_available"] == "true" else 1
    disk = int(chosen["database_disk_gb"])
    memory = (int(chosen["registry_memory_mib"]) + 256) / 1024
    busy = use.millions * 1e6 * _REQUEST_SECONDS * (1.5 * _BUSY_VCPU + memory * _BUSY_GIB)
    line = _LINE_BYTES + (_SAMPLED * _BALANCER_LINE_BYTES if use.domain else 0)
    log_gib = use.millions * 1e6 * line / 2**30
    balanced = use.pushed_tib * 1024 * _BALANCED
    return {
        "database": twice * _machine(chosen["database_tier"]),
        "its disk, and backups as large": twice * disk * _DISK + disk * _BACKUP,
        "instances that are kept": int(chosen["registry_min_instances"]) * (1.5 + memory) * _SECONDS * _IDLE,
        "load balancer, Cloud Armor's policy": _BALANCER + _POLICY + _RULES * _RULE if use.domain else 0,
        "uptime check, GC runs": _PROBES,
        "alerts; images, versions of secrets": _conditions() * _CONDITION + _IMAGES_AND_SECRETS,
        "**standing**": 0,
        "requests": busy + use.millions * _MILLION + (use.millions * _ARMOR_MILLION + balanced if use.domain else 0),
        "logs and metrics of them": max(0, log_gib - _FREE_LOG_GIB) * _LOG + use.metrics,
        "reads from the bucket": use.millions * _READING * 1000 * _READS,
        "blobs": use.stored_gib * _STORED,
        "**all in all, before what leaves Google**": 0,
        "what leaves Google: for each TiB": 1024 * _EGRESS,
    }


def totals(size: str) -> tuple[float, float]:
    """What stands, and all before what leaves Google."""
    found = items(size)
    names = list(found)
    standing = sum(found[name] for name in names[: names.index("**standing**")])
    return standing, sum(list(found.values())[:-1])


def table() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"| | {' | '.join(SIZES)} |"
    yield "|---|---|---|---|"
    used = [f"{use.millions:g} M requests, {_size(use.stored_gib)}" for use in USES.values()]
    yield f"| a month of | {' | '.join(used)} |"
    columns = {size: items(size) for size in SIZES}
    for name in columns["tiny"]:
        if name.startswith("**"):
            which = 0 if "standing" in name else 1
            figures = [f"**{totals(size)[which]:,.0f}**" for size in SIZES]
        else:
            figures = [f"{columns[size][name]:,.1f}" for size in SIZES]
        yield f"| {name} | {' | '.join(figures)} |"


def _size(gibibytes: int) -> str:
    return f"{gibibytes} GiB" if gibibytes < 1024 else f"{gibibytes // 1024} TiB"


def millions() -> str:
    """Returns the table of what a million jobs cost, in US dollars, by how busy the instances are."""
    lines = [f"| a million | {', apart | '.join(SIZES)}, apart | {', together | '.join(SIZES)}, together |"]
    lines.append(f"|---{'|---' * 2 * len(SIZES)}|")
    for job in JOBS:
        figures = [_million(job, size, together=together) for together in (False, True) for size in SIZES]
        lines.append(f"| {job.name} | {' | '.join(f'{figure:.0f}' for figure in figures)} |")
    return "\n".join(lines)


def _million(job: Job, size: str, *, together: bool) -> float:
    memory = (int(profile(size)["registry_memory_mib"]) + 256) / 1024
    seconds = job.cpu_seconds if together else job.requests * _REQUEST_SECONDS
    instances = seconds * 1e6 * (1.5 * _BUSY_VCPU + memory * _BUSY_GIB)
    return instances + job.requests * _MILLION + 1000 * (job.reads * _READS + job.writes * _WRITES)


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n\n{millions()}\n")
