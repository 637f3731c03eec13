"""Objects that are lost: a blob is marked, and the next push of its bytes gives it another object.

Not in one transaction; run again after a failure, it goes on.
"""

from functions.migrate.sql import execute_by_itself

revision = "pre_0009"
down_revision = "pre_0008"


def upgrade() -> None:
    execute_by_itself("pre", "0009_lost_objects")
