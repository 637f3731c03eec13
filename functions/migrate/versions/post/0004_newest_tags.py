"""The index that another one took the place of goes, while others push."""

from functions.migrate.sql import execute_beside_pushes

revision = "post_0004"
down_revision = "post_0003"
needs = "pre_0016"


def upgrade() -> None:
    execute_beside_pushes("post", "0004_newest_tags")
