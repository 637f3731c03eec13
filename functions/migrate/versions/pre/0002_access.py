"""Access: who there is, what they sign in with, what they may do; rules for tags; the audit trail."""

from functions.migrate.sql import execute

revision = "pre_0002"
down_revision = "pre_0001"


def upgrade() -> None:
    for name in ("0002_access", "0002_rules"):
        execute("pre", name)
