"""What was handed back stays with its source, whoever leads."""

from functions.migrate.sql import execute

revision = "pre_0015"
down_revision = "pre_0014"


def upgrade() -> None:
    execute("pre", "0015_handed_back")
