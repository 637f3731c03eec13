"""Pages of a list: `n` and `last` (distribution-spec, "Listing Tags")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.oci.errors import PageInvalid

DEFAULT_SIZE: Final = 1000
LARGEST_SIZE: Final = 1000
# Of entries whose size is up to whoever pushed them a page has no more bytes than this, unless it is one entry alone.
# Clients take as many of a manifest (distribution-spec, "Pushing Manifests").
LARGEST_BYTES: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Page:
    """It has at most `size` entries, those that sort after `last`."""

    size: int = DEFAULT_SIZE
    last: str = ""

    @classmethod
    def parse(cls, n: str | None, last: str | None, largest: int = LARGEST_SIZE) -> Page:
        """A size over the largest is cut to it: clients in use ask for 10,000. Raises PageInvalid."""
        size = DEFAULT_SIZE
        if n:
            if not (n.isascii() and n.isdigit()):
                raise PageInvalid("n is a whole number, 0 or more", n=n[:50])
            # Digits beyond any sane size need not be read.
            size = largest if len(n) > len(str(largest)) + 20 else min(int(n), largest)
        return cls(size, (last or "").replace("\0", ""))
