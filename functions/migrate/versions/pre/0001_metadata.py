"""The metadata: repositories, blobs, manifests, tags, uploads; review queues; counters."""

from functions.migrate.sql import execute

revision = "pre_0001"
down_revision = None
branch_labels = ("pre",)


def upgrade() -> None:
    for name in ("0001_tables", "0001_reviews", "0001_usage"):
        execute("pre", name)
