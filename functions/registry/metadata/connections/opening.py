"""How a session with the database begins: where the database is, and what holds for the session from its start."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.dbapi

CONNECT_SECONDS: Final = 10
# How long a statement waits for a lock. Whoever waits holds a connection, and a client comes back anyway; what nobody
# tries again soon, and is rare, may wait longer.
LOCK_SECONDS: Final = 3
PATIENT_LOCK_SECONDS: Final = 10
# Sent with the connection's first message, so they cost no round trip of their own. A statement that takes longer is
# given up; a transaction left open is ended by the server.
SESSION: Final = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
    # It pays for reports over many rows, and costs hundreds of milliseconds before the first.
    "jit": "off",
}
# A plan that is kept was made when its tables were perhaps small, where reading them whole is cheap.
SESSION_OF_REQUESTS: Final = {**SESSION, "enable_seqscan": "off"}


def connect_dbapi(url: str) -> Any:
    """Returns a plain DB-API connection, for Alembic."""
    session = {**SESSION, "lock_timeout": f"{PATIENT_LOCK_SECONDS}s"}
    connection = open_session(url, session, pg8000.dbapi.connect)
    connection._usock.settimeout(None)  # noqa: SLF001  # a migration takes as long as it takes
    return connection


def connect_copying(url: str) -> Any:
    """Returns a plain DB-API connection for COPY, outside of transactions until one is begun.

    Nothing of it has a limit of time: whoever reads a part writes it elsewhere meanwhile.
    """
    session = {"timezone": "UTC", "statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
    connection = open_session(url, {**session, "lock_timeout": f"{PATIENT_LOCK_SECONDS}s"}, pg8000.dbapi.connect)
    connection.autocommit = True
    connection._usock.settimeout(None)  # noqa: SLF001
    return connection


def open_session(url: str, session: Mapping[str, str], connect: Any) -> Any:
    """Calls `connect`, one of the driver's, for the database that `url` names in one of three ways.

    `postgresql://user@/database?host=DIRECTORY` is a unix socket, `postgresql://user@host:port/database` is TCP,
    `cloudsql://user@/database?instance=PROJECT:REGION:NAME` is the Cloud SQL connector.
    """
    parts = urlsplit(url)
    # A folder's name need not be UTF-8.
    options = {name: values[0] for name, values in parse_qs(parts.query, errors="surrogateescape").items()}
    user, database = unquote(parts.username or "postgres"), parts.path.lstrip("/")
    if parts.scheme == "cloudsql":
        network = options.get("network", "private")
        return _connector(network).connect(
            options["instance"], "pg8000", user=user, db=database, startup_params=session
        )
    arguments: dict[str, Any] = {
        "user": user,
        "database": database,
        "timeout": CONNECT_SECONDS,
        "startup_params": session,
    }
    if parts.password:
        arguments["password"] = unquote(parts.password)
    if parts.hostname:
        arguments |= {"host": parts.hostname, "port": parts.port or 5432}
    else:
        # Building a TLS context costs 25 ms, and a unix socket has no use for it.
        arguments |= {"unix_sock": f"{options['host']}/.s.PGSQL.{options.get('port', '5432')}", "ssl_context": False}
    return connect(**arguments)


@cache
def _connector(network: str) -> Any:
    # Imported here: it costs half a second of a cold start, and only this kind of address needs it.
    from google.cloud.sql.connector import Connector  # noqa: PLC0415

    return Connector(refresh_strategy="lazy", enable_iam_auth=True, ip_type=network)
