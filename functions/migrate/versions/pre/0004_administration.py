"""Administration: whose namespace an audit entry is about, and who the administrators are."""

from functions.migrate.sql import execute

revision = "pre_0004"
down_revision = "pre_0003"


def upgrade() -> None:
    execute("pre", "0004_administration")
