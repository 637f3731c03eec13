"""Insights: what a manifest is and how large, usage that can be sorted by, quotas, pulls and pushes by day, moves."""

from functions.migrate.sql import execute

revision = "pre_0003"
down_revision = "pre_0002"


def upgrade() -> None:
    for name in ("0003_descriptions", "0003_usage", "0003_quotas", "0003_activity", "0003_moves", "0003_pushes"):
        execute("pre", name)
