"""What revisions are made of: SQL files beside them, and the migrations in the background that they stand on."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alembic import op

VERSIONS: Final = Path(__file__).parent / "versions"


def execute(line: str, name: str) -> None:
    """Runs the file whole, as written. A `%` outside of quotes would be a parameter to the driver: have none there."""
    op.get_bind().exec_driver_sql(_text(line, name))


def execute_beside_pushes(line: str, name: str) -> None:
    """Runs the file's statements one by one, each outside of a transaction, as is needed where an index is made or
    dropped `CONCURRENTLY`.

    They hold nobody back, and wait for whatever transactions began before them, however long that takes. Where one
    fails, those before it stay: the file must do from any such state what it does from the first, for it runs again.
    """
    with op.get_context().autocommit_block():
        run = op.get_bind().exec_driver_sql
        # Alembic asked the session for its isolation level on the way, and the driver began a transaction for that.
        run("COMMIT")
        run("SET lock_timeout = 0")
        for statement in filter(None, map(str.strip, _text(line, name).split(";"))):
            run(statement)
        run("RESET lock_timeout")


def _text(line: str, name: str) -> str:
    return (VERSIONS / line / f"{name}.sql").read_text()


@dataclass
class NotFinished(Exception):
    """A revision stands on a background migration that has rows left; those before it are `applied`, and stay so."""

    migration: str
    state: str
    rows_left: int
    failures: int
    applied: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        what = f"the background migration {self.migration} is {self.state}: about {self.rows_left} rows are left"
        if self.failures:
            what += f", and {self.failures} could not be done (retry them once what they say is mended)"
        return f"{what}. The release runs on as it is; call this again once it is finished"


_STATE: Final = """
    SELECT state, greatest(total - rows_done, 0),
           (SELECT count(*) FROM background_failures WHERE migration_id = background_migrations.id)
      FROM background_migrations WHERE name = %s
"""


def require_finished(name: str) -> None:
    """Refuses a revision of *post*, which calls it before all else, by raising NotFinished."""
    state, rows_left, failures = op.get_bind().exec_driver_sql(_STATE, (name,)).one()
    if state != "finished":
        raise NotFinished(name, state, rows_left, failures)
