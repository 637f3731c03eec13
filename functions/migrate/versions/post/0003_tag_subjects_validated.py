"""All tags say what they belong to: reads each of them, in a transaction of its own, while others write."""

from functions.migrate.sql import execute

revision = "post_0003"
down_revision = "post_0002"
needs = "pre_0004"


def upgrade() -> None:
    execute("post", "0003_tag_subjects_validated")
