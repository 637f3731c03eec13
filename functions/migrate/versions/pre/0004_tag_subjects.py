"""A tag whose name has the digest of a manifest that it belongs to, such as a signature's, says so in a column."""

from functions.migrate.sql import execute

revision = "pre_0004"
down_revision = "pre_0003"


def upgrade() -> None:
    execute("pre", "0004_tag_subjects")
