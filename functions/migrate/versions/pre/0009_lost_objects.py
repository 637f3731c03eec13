"""Objects that are lost: a blob is marked, and the next push of its bytes gives it another object."""

from functions.migrate.sql import execute

revision = "pre_0009"
down_revision = "pre_0008"


def upgrade() -> None:
    execute("pre", "0009_lost_objects")
