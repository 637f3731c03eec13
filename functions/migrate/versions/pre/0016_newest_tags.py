"""The newest tags of a repository are read from an index alone, which is made while others push."""

from functions.migrate.sql import execute_beside_pushes

revision = "pre_0016"
down_revision = "pre_0015"


def upgrade() -> None:
    execute_beside_pushes("pre", "0016_newest_tags")
