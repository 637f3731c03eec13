"""Backups: what is to be done about them, how far it is, and what keeps objects meanwhile."""

from functions.migrate.sql import execute

revision = "pre_0010"
down_revision = "pre_0009"


def upgrade() -> None:
    execute("pre", "0010_backups")
