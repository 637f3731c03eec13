"""The line *post* begins: queues are small, and all of their rows come and go, so they are vacuumed early."""

from functions.migrate.sql import execute

revision = "post_0001"
down_revision = None
branch_labels = ("post",)
needs = "pre_0001"


def upgrade() -> None:
    execute("post", "0001_queues")
