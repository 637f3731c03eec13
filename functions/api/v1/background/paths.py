"""The paths of background migrations, and the parsers that make routes of them."""

from __future__ import annotations

import re
from typing import Final, cast

from functions.api.route import Query, Route
from functions.api.v1.background.routes import ActOnBackgroundMigration, GetBackgroundMigration
from functions.registry.metadata.background.vocabulary import ACTS, Act

MIGRATIONS: Final = r"/api/v1/background-migrations"
MIGRATION: Final = rf"{MIGRATIONS}/(?P<migration>[a-z0-9_]{{1,100}})"
ACT: Final = rf"{MIGRATION}/(?P<act>{'|'.join(ACTS)})"


def get(match: re.Match[str], _: Query) -> Route:
    return GetBackgroundMigration(match["migration"])


def act(match: re.Match[str], _: Query) -> Route:
    return ActOnBackgroundMigration(match["migration"], cast(Act, match["act"]))
