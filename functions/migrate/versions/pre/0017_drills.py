"""A drill leaves a record: which backup came back elsewhere, and what was lost."""

from functions.migrate.sql import execute

revision = "pre_0017"
down_revision = "pre_0016"


def upgrade() -> None:
    execute("pre", "0017_drills")
