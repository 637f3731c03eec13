"""Changes of large tables are made in the background, batch by batch, while the registry serves."""

from functions.migrate.sql import execute

revision = "pre_0003"
down_revision = "pre_0002"


def upgrade() -> None:
    execute("pre", "0003_background")
