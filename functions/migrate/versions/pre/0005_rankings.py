"""Rankings: what repositories are ranked by, kept where an index finds the first of them."""

from functions.migrate.sql import execute

revision = "pre_0005"
down_revision = "pre_0004"


def upgrade() -> None:
    execute("pre", "0005_rankings")
