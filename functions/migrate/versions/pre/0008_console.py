"""Who is signed in to the console, and what opens a session once."""

from functions.migrate.sql import execute

revision = "pre_0008"
down_revision = "pre_0007"


def upgrade() -> None:
    execute("pre", "0008_console")
