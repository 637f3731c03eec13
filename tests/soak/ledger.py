"""What two registries were told about each tag, and what the one that the other is moved into may show of it."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field

from functions.registry.oci.digest import Digest

Key = tuple[str, str]
# What a tag names; None for nothing.
Named = Digest | None


@dataclass
class Ledger:
    """`there` has what each tag has named in the older registry, one after the other; `here` what it was left as in the
    new one by whoever changed it there: from then on that decides.

    Whoever changes something of a repository here holds its lock, and whoever looks at it.
    """

    there: defaultdict[Key, list[Named]] = field(default_factory=lambda: defaultdict(lambda: [None]))
    here: dict[Key, Named] = field(default_factory=dict)
    locks: defaultdict[str, threading.RLock] = field(default_factory=lambda: defaultdict(threading.RLock))
    # A deletion here got no answer, and may have been carried out.
    _uncertain: set[Key] = field(default_factory=set)
    # The place of the earliest in `there` that may still show.
    _earliest: defaultdict[Key, int] = field(default_factory=lambda: defaultdict(int))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def change_there(self, key: Key, named: Named) -> None:
        """Is called before it happens: whoever is fast sees it before the answer comes."""
        with self._lock:
            self.there[key].append(named)

    def latest_there(self, key: Key) -> Named:
        with self._lock:
            return self.there[key][-1]

    def leave_here(self, key: Key, named: Named) -> None:
        with self._lock:
            self.here[key] = named
            self._uncertain.discard(key)

    def doubt(self, key: Key) -> None:
        """Nobody knows what it is until somebody changes it here."""
        with self._lock:
            self._uncertain.add(key)

    def all_keys(self) -> list[Key]:
        with self._lock:
            return sorted({*self.there, *self.here})

    def naming_there(self, repository: str, digest: Digest) -> list[Key]:
        with self._lock:
            return [key for key, named in self.there.items() if key[0] == repository and named[-1] == digest]

    def naming_here(self, repository: str, digest: Digest) -> list[Key]:
        with self._lock:
            return [key for key, named in self.here.items() if key[0] == repository and named == digest]

    def fault(self, key: Key, named: Named) -> str | None:
        """What is wrong with that, while the import goes on."""
        if key in self._uncertain:
            return None
        if key in self.here:
            wanted = self.here[key]
            return None if named == wanted else f"{key} names {named}, and was left as {wanted} here"
        with self._lock:
            history = self.there[key]
            for place in range(self._earliest[key], len(history)):
                if history[place] == named:
                    self._earliest[key] = place
                    return None
        return f"{key} names {named}, which it did not, or not any more"

    def final_fault(self, key: Key, named: Named) -> str | None:
        """What is wrong with that after a last comparison: both sides are one, by the three-way rule."""
        wanted = self.here[key] if key in self.here else self.there[key][-1]
        is_right = named == wanted or key in self._uncertain
        return None if is_right else f"{key} names {named}, and should name {wanted}"
