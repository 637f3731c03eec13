"""Which schema this release can work with.

Migrations come in two lines. A release needs all of its *pre* line; a later *pre* line only adds, so that the release
before it goes on working, and can be gone back to. A later *post* line takes away what this release may still need.
"""

from __future__ import annotations

import time
from typing import Final

from functions.registry import telemetry
from functions.registry.metadata.db import Database, MetadataUnavailable, Statement

NEEDED: Final = "pre_0018"
LATEST_POST: Final = "post_0004"
_AGAIN_SECONDS: Final = 5.0

# Of each line the last revision that was applied. A line's revisions sort by their names.
_APPLIED: Final = Statement("schema_applied", str, "SELECT version_num FROM alembic_version WHERE version_num > ''")


class SchemaUnknown(MetadataUnavailable):
    """The database is not at a schema that this release can work with; the message says what to do."""


class SchemaCheck:
    """Asks until the answer is good, once for each process then: a process does not outlive a *post* migration."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_known = False
        self._refusal: str | None = None
        self._ask_at = 0.0

    def require(self) -> None:
        """Raises SchemaUnknown, which is logged each time it is found; and MetadataUnavailable."""
        if self._is_known:
            return
        if self._refusal is None or time.monotonic() >= self._ask_at:
            self._ask()
        if self._refusal is not None:
            raise SchemaUnknown(self._refusal)

    def _ask(self) -> None:
        self._refusal = refusal(self._database.all(_APPLIED()))
        self._is_known = self._refusal is None
        if self._refusal is not None:
            self._ask_at = time.monotonic() + _AGAIN_SECONDS
            telemetry.log("ERROR", "the schema is not one that this release knows", reason=self._refusal)


def refusal(applied: list[str]) -> str | None:
    """Says why a database with these revisions can't be worked with; None if it can."""
    if max((name for name in applied if name.startswith("pre_")), default="") < NEEDED:
        return f"the schema lacks {NEEDED}: call the function migrate with the line pre"
    if (post := max((name for name in applied if name.startswith("post_")), default="")) > LATEST_POST:
        return f"the schema is at {post}, of a later release: deploy that release again"
    return None
