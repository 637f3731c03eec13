"""What one namespace does never costs another: globs without expressions, bounds, and rules for the indirect ways."""

from functions.migrate.sql import execute

revision = "pre_0011"
down_revision = "pre_0010"


def upgrade() -> None:
    execute("pre", "0011_neighbours")
