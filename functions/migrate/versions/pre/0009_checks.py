"""Checks of the registry: what rows and objects say is compared, what differs is noted, and what can be is mended."""

from functions.migrate.sql import execute

revision = "pre_0009"
down_revision = "pre_0008"


def upgrade() -> None:
    execute("pre", "0009_checks")
