"""Objects that are lost: a blob is marked, and the next push of its bytes gives it another object.

Not in one transaction; run again after a failure, it goes on. Written out, for the previous release has to run this
line too, and has no `execute_by_itself`.
"""

from alembic import op

from functions.migrate.sql import execute

revision = "pre_0009"
down_revision = "pre_0008"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.get_bind().exec_driver_sql("COMMIT")
        execute("pre", "0009_lost_objects")
