"""What was pushed before manifests were described is described now; pulls and pushes go on meanwhile."""

from functions.migrate.sql import execute

revision = "post_0002"
down_revision = "post_0001"
depends_on = ("pre_0003",)


def upgrade() -> None:
    execute("post", "0002_descriptions")
