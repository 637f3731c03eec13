"""What comes in bulk is described and counted for less."""

from functions.migrate.sql import execute

revision = "pre_0016"
down_revision = "pre_0015"


def upgrade() -> None:
    execute("pre", "0016_moving_in")
