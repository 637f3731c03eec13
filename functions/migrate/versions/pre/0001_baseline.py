"""The line *pre* begins: the whole schema, in files by subject. What changes it is a later revision."""

from typing import Final

from functions.migrate.sql import execute

revision = "pre_0001"
down_revision = None
branch_labels = ("pre",)

# In the order in which one builds on the other.
_FILES: Final = (
    "content",
    "uploads",
    "descriptions",
    "reviews",
    "deletions",
    "usage",
    "counting",
    "patterns",
    "access",
    "rules",
    "audit",
    "quotas",
    "daily",
    "platforms",
)


def upgrade() -> None:
    for name in _FILES:
        execute("pre", f"0001_baseline/{name}")
