"""What comes in bulk is described and counted for less."""

from functions.migrate.sql import execute

revision = "pre_0018"
down_revision = "pre_0017"


def upgrade() -> None:
    execute("pre", "0018_moving_in")
