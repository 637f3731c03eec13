"""What tags named before, and the way back: what is deleted is kept for a while, and put back by one call."""

from functions.migrate.sql import execute

revision = "pre_0005"
down_revision = "pre_0004"


def upgrade() -> None:
    execute("pre", "0005_history")
