"""Uploads know the checksum of what they have received, and checks how far objects were read."""

from functions.migrate.sql import execute

revision = "pre_0013"
down_revision = "pre_0012"


def upgrade() -> None:
    execute("pre", "0013_checksums")
