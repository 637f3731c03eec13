"""Images are queued as they are pushed.

By itself, for the post line depends on the table, and what one line depends on is no longer listed as another's last.
"""

from functions.migrate.sql import execute

revision = "pre_0008"
down_revision = "pre_0007"


def upgrade() -> None:
    execute("pre", "0008_platform_queue")
