"""Retention: policies that say which tags are kept, when a verdict may change, and what was or would be removed."""

from functions.migrate.sql import execute

revision = "pre_0007"
down_revision = "pre_0006"


def upgrade() -> None:
    execute("pre", "0007_retention")
