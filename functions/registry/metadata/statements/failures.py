"""What a statement can fail with, and the SQLSTATE of the server that says so."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.driver import OutOfDate, sqlstate

# Serialization failure, deadlock, a session that the server ended: nothing was committed, all of it may be run again.
# One that names a constraint is raised by the schema: it takes more than to run the same again.
_RETRIABLE: Final = ("40001", "40P01", "57P01")
# Out of connections, shutting down, gone, or not answering in time.
_UNAVAILABLE_CLASSES: Final = ("08", "53", "57", "58")
# A lock that was not had in time, a statement that took too long, and those of the first two above.
_CROWDED: Final = ("55P03", "57014", "40001", "40P01")
# Raised by the rules of functions/migrate/versions/pre/0001_baseline/rules.sql, and by imports (0002_imports.sql).
_AGAINST_THE_RULES: Final = "SW001"
_FOLLOWED: Final = "SW002"
# A table, a column, a function or a right that this release needs: migrate has not been called yet.
_NOT_MIGRATED: Final = ("42P01", "42703", "42883", "42501")


class MetadataUnavailable(Exception):
    """The database can't be reached or can't answer now. Trying again later may work."""


class Crowded(MetadataUnavailable):
    """Others were in the way, or it took longer than it may: less at once may work, or later."""


class NotMigrated(MetadataUnavailable):
    """The database lacks something that migrate makes."""


class Conflict(Exception):
    """A constraint refused the change: `constraint` names it (a column, for a missing value)."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


class ChangeRefused(Exception):
    """A rule refused the change; the message names it, and who may make the change."""


class Followed(Exception):
    """The registry that the repository is imported from still decides about it; the message says to write there."""


def may_work_again(error: Exception) -> bool:
    """Says of an error of the driver whether nothing was committed, and the same may well succeed if run again."""
    state, constraint = sqlstate(error)
    return (state in _RETRIABLE or isinstance(error, OutOfDate)) and not constraint


def translated(error: Exception) -> Exception:
    """Returns what the rest of the program knows an error of the driver as; itself if it is a fault of the program."""
    state, constraint = sqlstate(error)
    if state == _AGAINST_THE_RULES:
        return ChangeRefused(error.args[0]["M"])
    if state == _FOLLOWED:
        return Followed(error.args[0]["M"])
    if state.startswith("23") or (state in _RETRIABLE and constraint):
        return Conflict(constraint or str(error.args[0].get("c", "")))
    if state in _CROWDED or state in _RETRIABLE or state[:2] in _UNAVAILABLE_CLASSES:
        kind = Crowded if state in _CROWDED else MetadataUnavailable
        return kind(f"the database answered SQLSTATE {state}")
    if state in _NOT_MIGRATED:
        return NotMigrated(f"the schema is not this release's, call migrate: {error.args[0]['M']}")
    return error
