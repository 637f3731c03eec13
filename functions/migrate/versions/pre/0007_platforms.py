"""Platforms of single images: a queue of configs to be read, which is also where what they say is kept."""

from functions.migrate.sql import execute

revision = "pre_0007"
down_revision = "pre_0006"


def upgrade() -> None:
    execute("pre", "0007_platforms")
