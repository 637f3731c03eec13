"""Users have an identity of another issuer, by which they sign in to the console."""

from functions.migrate.sql import execute

revision = "pre_0012"
down_revision = "pre_0011"


def upgrade() -> None:
    execute("pre", "0012_identities")
