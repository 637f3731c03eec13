"""What a soak counts, and what must stay the same while it runs."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

REPOSITORIES: Final = ("soak/a", "soak/b", "soak/c", "other/d")
MOVING_TAGS: Final = tuple(f"moving-{number}" for number in range(6))
HELD_TAGS: Final = ("held-image", "held-index")
# Seconds. A client must be done within half a lease of its first HEAD.
LEASE: Final = 5
GRACES: Final = {
    "upload": LEASE,
    "push": LEASE,
    "untag": 3,
    # What can be put back would be kept for a minute longer than the soak waits.
    "undo": 0,
    "cascade": 2,
    "lease": LEASE,
    "unlink": 0,
    # Longer than any request takes.
    "delete": 10,
}


@dataclass
class Figures:
    """Shared by all threads. `findings` says of each thing lost, leaked or broken what it was."""

    counts: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)
    is_quiet: threading.Event = field(default_factory=threading.Event)
    # The referrers of what is never untagged, by repository.
    held_referrers: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def find(self, what: str, detail: str) -> None:
        """Something that must never happen."""
        with self._lock:
            self.counts[what] += 1
            self.findings.append(f"{what}: {detail}")
