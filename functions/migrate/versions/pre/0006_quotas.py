"""Quotas: a push adds up once what its namespace uses, where it did four times."""

from functions.migrate.sql import execute

revision = "pre_0006"
down_revision = "pre_0005"


def upgrade() -> None:
    execute("pre", "0006_quotas")
