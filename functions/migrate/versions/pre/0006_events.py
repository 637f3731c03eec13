"""Changes of what the registry holds are written down for whoever subscribed, and delivered in order."""

from functions.migrate.sql import execute

revision = "pre_0006"
down_revision = "pre_0005"


def upgrade() -> None:
    execute("pre", "0006_events")
