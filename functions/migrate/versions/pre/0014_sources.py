"""Untagged manifests of a source may be left out; a link that is made is dated once for each repository."""

from functions.migrate.sql import execute

revision = "pre_0014"
down_revision = "pre_0013"


def upgrade() -> None:
    execute("pre", "0014_sources")
