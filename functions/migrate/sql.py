"""Migrations are SQL files beside their revision: this runs one."""

from pathlib import Path
from typing import Final

from alembic import op

VERSIONS: Final = Path(__file__).parent / "versions"


def execute(line: str, name: str) -> None:
    """Runs the file whole, as written. A `%` outside of quotes would be a parameter to the driver: have none there."""
    sql = (VERSIONS / line / f"{name}.sql").read_text()
    op.get_bind().exec_driver_sql(sql)
