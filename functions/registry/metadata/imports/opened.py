"""Which sources are being moved in: all that a process has to know where there are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from functions.registry.metadata.db import Database, Statement
from functions.registry.metadata.imports.vocabulary import SourceKind


@dataclass(frozen=True, slots=True)
class OpenSource:
    """A source that is being moved in, as a process remembers it for a while. Its modes are asked for each time.

    `prefix` is None where it does not lie in this registry's bucket.
    """

    id: int
    kind: SourceKind
    address: str
    prefix: str | None
    is_listed: bool
    is_followed: bool
    renames: dict[str, str]


# Asked now and then by each process; where nothing is moved in the index has no entries.
_OPEN: Final = Statement(
    "imports_open_sources",
    OpenSource,
    """
    SELECT id, kind, address, prefix, listed_at IS NOT NULL,
           mode = 'follow' OR EXISTS (SELECT FROM import_modes WHERE source_id = import_sources.id AND mode = 'follow')
           OR EXISTS (SELECT FROM import_repositories
                       WHERE source_id = import_sources.id AND state = 'handed_back'),
           coalesce(options -> 'renames', '{}')
      FROM import_sources
     WHERE state NOT IN ('added', 'sealed')
     ORDER BY id
    """,
)


def open_sources(db: Database) -> list[OpenSource]:
    """Returns them by their ids, those that are paused too."""
    return db.all(_OPEN())
