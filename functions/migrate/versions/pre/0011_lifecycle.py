"""Tags that belong to a manifest go once that has gone; a plan tells what it frees in a namespace, too."""

from functions.migrate.sql import execute

revision = "pre_0011"
down_revision = "pre_0010"


def upgrade() -> None:
    execute("pre", "0011_lifecycle")
