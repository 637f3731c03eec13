"""What an index lists may be a blob, and is counted; media types are compared without case and parameters."""

from functions.migrate.sql import execute

revision = "pre_0010"
down_revision = "pre_0009"


def upgrade() -> None:
    execute("pre", "0010_listed_blobs")
