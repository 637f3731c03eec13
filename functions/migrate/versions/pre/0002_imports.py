"""An existing registry that is moved in: what it has, what was taken over, and what is held until it is sealed."""

from functions.migrate.sql import execute

revision = "pre_0002"
down_revision = "pre_0001"


def upgrade() -> None:
    execute("pre", "0002_imports")
