"""Images that were pushed before their platforms were looked for are looked at too, little by little.

Not in one transaction; run again after a failure, it goes on.
"""

from functions.migrate.sql import execute_by_itself

revision = "post_0003"
down_revision = "post_0002"
depends_on = ("pre_0007",)


def upgrade() -> None:
    execute_by_itself("post", "0003_platforms")
