"""All tags say what they belong to: none is let in any more that doesn't, from a moment on. 0003 reads the others."""

from functions.migrate.sql import execute, require_finished

revision = "post_0002"
down_revision = "post_0001"
needs = "pre_0004"


def upgrade() -> None:
    require_finished("tag_subjects")
    execute("post", "0002_tag_subjects")
