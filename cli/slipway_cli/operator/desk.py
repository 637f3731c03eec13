"""Where the operator's commands find the database, and how they are entered in the audit trail."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from functions.registry import told
from functions.registry.config import SettingInvalid, Settings
from functions.registry.metadata.access import audit
from functions.registry.metadata.access.audit import Event
from functions.registry.metadata.db import Database, MetadataUnavailable
from slipway_cli.contexts import running_nearby
from slipway_cli.failures import Away, Failed
from slipway_cli.output import say

# Who acts, in the trail: whoever has the database.
OPERATOR: Final = "operator"


@dataclass(frozen=True, slots=True)
class Desk:
    settings: Settings
    database: Database

    def record(self, action: str, resource: str, **details: Any) -> None:
        """Enters a change that was made. A trail that can't be written undoes nothing."""
        try:
            audit.write(self.database, Event(action, "success", OPERATOR, resource, "", None, details))
        except MetadataUnavailable as error:
            say(f"done, but the audit trail does not tell of it: {error}")


def settings() -> Settings:
    """Reads those of the environment, or of a `make up` nearby. Raises Failed."""
    environment = {**_nearby(), **os.environ}
    try:
        # No blob is touched here: whoever asks need not know where they are.
        return Settings.from_environment({"SLIPWAY_BUCKET": "none", **environment})
    except SettingInvalid as invalid:
        raise Failed(f"{invalid}: give it as the api function has it", "or `make up` beside the sources") from invalid


def _nearby() -> dict[str, str]:
    near = None if os.environ.get("SLIPWAY_DATABASE") else running_nearby()
    if near is None:
        return {}
    made = json.loads((near.folder / "access.json").read_text(encoding="utf-8"))
    told = json.loads((near.folder / "run.json").read_text(encoding="utf-8"))
    here = {"SLIPWAY_DATABASE": near.database, "SLIPWAY_BUCKET": str(told["bucket"])}
    return {**{name: str(value) for name, value in made.items()}, **here}


def reach_store() -> None:
    """Where the database is that of a `make up` nearby, so is the store: Google's client looks for it by this name."""
    near = None if os.environ.get("SLIPWAY_DATABASE") else running_nearby()
    if near is not None:
        told = json.loads((near.folder / "run.json").read_text(encoding="utf-8"))
        os.environ.setdefault("STORAGE_EMULATOR_HOST", str(told["storage"]))


@contextmanager
def opened() -> Iterator[Desk]:
    """Raises Failed, and Away where the database is."""
    found = settings()
    database = Database(found.database, size=1)
    try:
        with told.telling(told.OPERATOR):
            yield Desk(found, database)
    except MetadataUnavailable as error:
        raise Away(str(error), "is the database up and migrated, and SLIPWAY_DATABASE right?") from error
    finally:
        database.close()
