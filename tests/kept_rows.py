"""All rows of a database, kept in a schema beside the registry's tables, and put back: that takes two milliseconds."""

from __future__ import annotations

from typing import Final

from functions.registry.metadata.driver import Connection

_COLUMNS: Final = """
    SELECT tablename, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
      FROM pg_tables
      JOIN information_schema.columns ON table_schema = schemaname AND table_name = tablename
     WHERE schemaname = 'public' AND tablename <> 'alembic_version' AND is_generated = 'NEVER'
     GROUP BY tablename ORDER BY tablename
"""
_ANY: Final = "SELECT 1 FROM {} LIMIT 1"
_COPY: Final = "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM kept_{name}.{table}"
# Without triggers and foreign keys: nothing more is queued. A function, whose statements are planned once.
_PUT_BACK: Final = """
    CREATE FUNCTION kept_{name}.put_back() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica
        AS $$ BEGIN {steps}; END $$
"""


def keep(connection: Connection, name: str) -> None:
    """Whatever is there now, under a name."""
    columns: dict[str, str] = dict(connection.run([(_COLUMNS, {})])[0].rows)
    filled = [table for table in columns if connection.run([(_ANY.format(table), {})])[0].rows]
    copies = [f"CREATE TABLE kept_{name}.{table} AS TABLE public.{table}" for table in filled]
    connection.simple("; ".join([f"CREATE SCHEMA kept_{name}", *copies]))
    steps = [f"DELETE FROM {table}" for table in columns]  # noqa: S608  # our own
    steps += [_COPY.format(table=table, columns=columns[table], name=name) for table in filled]
    connection.simple(_PUT_BACK.format(name=name, steps="; ".join(steps)))


def put_back(connection: Connection, name: str) -> None:
    """What was kept is there, and nothing else."""
    connection.simple(putting_back(name))


def putting_back(name: str) -> str:
    return f"SELECT kept_{name}.put_back()"
