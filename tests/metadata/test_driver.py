"""One round trip a statement or batch, values as they were, and errors that say what happened."""

from __future__ import annotations

import os
import socket
import time
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.registry import idle
from functions.registry.metadata import driver
from functions.registry.metadata.connections.opening import connect_dbapi
from functions.registry.metadata.driver import Connection, ConnectionFailed, DriverError, sqlstate
from tests.metadata.build import wait_until
from tests.metadata.proxy import Proxy, proxied


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    connection = Connection(database_url)
    yield connection
    connection.close()


def ask(connection: Connection, sql: str, **values: Any) -> Any:
    """The only value of the only row."""
    ((only,),) = connection.run([(sql, values)])[0].rows
    return only


def test_a_statement_is_one_trip_whatever_its_parameters(proxy: Proxy) -> None:
    with closing(Connection(proxy.url)) as connection:
        assert proxy.turns <= 2, "connecting is bounded: the session's settings travel with it"
        trips = []
        for sql, values in (
            ("SELECT CAST(:number AS int)", {"number": 1}),
            ("SELECT CAST(:number AS int)", {"number": 2}),
            ("SELECT count(*) FROM tags", {}),
            ("SELECT length(CAST(:payload AS bytea))", {"payload": bytes(1 << 20)}),
            ("INSERT INTO namespaces (name) VALUES (:name)", {"name": "team"}),
        ):
            before = proxy.turns
            connection.run([(sql, values)])
            trips.append(proxy.turns - before)
        assert trips == [1, 1, 1, 1, 1]


def peak_of(work: Callable[[], object]) -> int:
    """Returns how many bytes Python took for it at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_large_value_is_not_copied_on_its_way(connection: Connection) -> None:
    """A payload goes as it is, a text is encoded once; what comes is held as it came, in two digits a byte."""
    size = 4 << 20
    payload, text = os.urandom(size), "x" * size
    ask(connection, "SELECT 1")
    assert peak_of(lambda: ask(connection, "SELECT length(CAST(:payload AS bytea))", payload=payload)) < size // 8
    assert peak_of(lambda: ask(connection, "SELECT length(CAST(:text AS text))", text=text)) < 1.2 * size
    connection.simple("CREATE TEMPORARY TABLE large AS SELECT CAST(repeat('x', 4194304) AS bytea) AS payload")
    assert peak_of(lambda: ask(connection, "SELECT payload FROM large")) < 3.2 * size


@pytest.mark.parametrize("value", [b"", b"\0", bytes(range(256)), b"\\x00", b"'"])
def test_bytes_come_back_as_they_went(connection: Connection, value: bytes) -> None:
    assert ask(connection, "SELECT CAST(:value AS bytea)", value=value) == value
    assert ask(connection, "SELECT encode(CAST(:value AS bytea), 'hex')", value=value) == value.hex()
    assert connection.run([("SELECT CAST(:value AS bytea), NULL::bytea, 'ä'", {"value": value})])[0].rows == [
        [value, None, "ä"]
    ]


def test_a_batch_is_one_trip_and_a_transaction_of_statements_costs_two_more(proxy: Proxy) -> None:
    connection = Connection(proxy.url)
    insert = "INSERT INTO namespaces (name) VALUES (:name) RETURNING name"
    before = proxy.turns
    outcomes = connection.run([(insert, {"name": f"team-{number}"}) for number in range(20)])
    assert proxy.turns - before == 1
    assert [(outcome.rows, outcome.count) for outcome in outcomes[:2]] == [([["team-0"]], 1), ([["team-1"]], 1)]
    before = proxy.turns
    connection.simple("BEGIN")
    connection.run([("SELECT count(*) FROM namespaces", {}), (insert, {"name": "other"})])
    connection.simple("COMMIT")
    assert proxy.turns - before == 3
    connection.close()


def test_over_tcp_only_the_question_for_tls_comes_on_top(database_url: str) -> None:
    with proxied(database_url, socket.AF_INET) as proxy:
        connection = Connection(proxy.url)
        assert proxy.turns <= 3
        before = proxy.turns
        assert ask(connection, "SELECT CAST(:number AS int)", number=7) == 7
        assert proxy.turns - before == 1
        connection.close()


def test_each_statement_of_a_batch_has_its_own_rows_and_count(connection: Connection) -> None:
    outcomes = connection.run(
        [
            ("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS rows", {}),
            ("INSERT INTO namespaces (name) VALUES ('one'), ('two'), ('three')", {}),
            ("SELECT name FROM namespaces WHERE name > :name", {"name": "zzz"}),
            ("UPDATE namespaces SET name = name || '!' WHERE name <> :name", {"name": "one"}),
            ("DELETE FROM namespaces WHERE name LIKE :name RETURNING name", {"name": "t%"}),
            ("CREATE TEMPORARY TABLE scratch ()", {}),
        ]
    )
    assert [outcome.count for outcome in outcomes] == [2, 3, 0, 2, 2, 0]
    assert outcomes[0].rows == [[1, "a"], [2, "b"]]
    assert outcomes[1].rows == outcomes[2].rows == outcomes[3].rows == outcomes[5].rows == []
    assert sorted(outcomes[4].rows) == [["three!"], ["two!"]]


@pytest.mark.parametrize(
    "failing",
    [
        ("INSERT INTO namespaces (name) VALUES (:name)", {"name": "first"}),
        ("SELECT nonsense", {}),
        ("SELECT CAST(:text AS int)", {"text": "no number"}),
    ],
    ids=["a constraint", "a syntax error", "a value"],
)
def test_an_error_undoes_the_whole_batch_and_leaves_the_connection_usable(
    connection: Connection, failing: tuple[str, dict[str, Any]]
) -> None:
    insert = "INSERT INTO namespaces (name) VALUES (:name)"
    with pytest.raises(DriverError):
        connection.run([(insert, {"name": "first"}), failing, (insert, {"name": "after"})])
    assert ask(connection, "SELECT count(*) FROM namespaces") == 0
    connection.run([(insert, {"name": "first"})])
    assert ask(connection, "SELECT count(*) FROM namespaces") == 1


def test_a_batch_in_a_transaction_ends_with_it(connection: Connection, database_url: str) -> None:
    insert = "INSERT INTO namespaces (name) VALUES (:name)"
    connection.simple("BEGIN")
    connection.run([(insert, {"name": "first"})])
    with pytest.raises(DriverError):
        connection.run([(insert, {"name": "first"})])
    with pytest.raises(DriverError) as aborted:
        connection.run([("SELECT 1", {})])
    assert sqlstate(aborted.value) == ("25P02", "")
    connection.simple("ROLLBACK")
    connection.simple("BEGIN")
    connection.run([(insert, {"name": "second"})])
    other = Connection(database_url)
    assert ask(other, "SELECT count(*) FROM namespaces") == 0
    connection.simple("COMMIT")
    assert ask(other, "SELECT name FROM namespaces") == "second"
    other.close()


def test_errors_carry_sqlstate_and_constraint(connection: Connection) -> None:
    def error_of(sql: str) -> tuple[str, str]:
        with pytest.raises(DriverError) as caught:
            connection.run([(sql, {})])
        return sqlstate(caught.value)

    connection.run([("INSERT INTO namespaces (name) VALUES ('team')", {})])
    assert error_of("INSERT INTO namespaces (name) VALUES ('team')") == ("23505", "namespaces_name_key")
    assert error_of("INSERT INTO tags (repository_id, name, manifest_id) VALUES (1, 'a', 7)")[0] == "23503"
    assert error_of("INSERT INTO manifest_children VALUES (NULL, NULL)") == ("23502", "")
    assert error_of("INSERT INTO blobs VALUES ('a', -1, 'b')") == ("23514", "blobs_size_check")
    assert error_of("SELECT 1/0") == ("22012", "")
    assert sqlstate(ValueError()) == sqlstate(ValueError("text")) == ("", "")


TEXTS = [
    "",
    "it's",
    '"quoted"',
    ":name and ::cast",
    "$1 and %s",
    "back\\slash \\n",
    "two\nlines\ttab",
    "{a,b}",
    "NULL",
    "null",
    "Null",
    " padded ",
    "héllo ✓ 🐳",
    "--comment",
]
BYTES = [b"", b"\x00", b"\\x00", bytes(range(256)), b"'\"{},\\", "🐳".encode()]
MOMENT = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC)
DOCUMENT = {"text": 'it\'s "so"\\', "number": 1.5, "list": [None, True], "whale": "🐳"}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", [*TEXTS, None]),
        ("bytea", [*BYTES, None]),
        ("text[]", [TEXTS, [], ["a", None], None]),
        ("bytea[]", [BYTES, [], None]),
        ("bigint", [0, -1, (1 << 63) - 1, None]),
        ("boolean", [True, False, None]),
        ("uuid", [uuid.UUID("12345678-1234-5678-1234-567812345678"), None]),
        ("timestamptz", [MOMENT, None]),
        ("jsonb", [DOCUMENT, {}, None]),
    ],
)
def test_values_come_back_as_they_were_sent(connection: Connection, kind: str, values: list[Any]) -> None:
    connection.simple(f"CREATE TEMPORARY TABLE kept (number int, value {kind})")
    insert = "INSERT INTO kept VALUES (:number, :value)"
    connection.run([(insert, {"number": number, "value": value}) for number, value in enumerate(values)])
    kept = [row[0] for row in connection.run([("SELECT value FROM kept ORDER BY number", {})])[0].rows]
    assert kept == values
    cast = f"SELECT CAST(:value AS {kind})"
    assert [ask(connection, cast, value=value) for value in values] == values


def test_a_parameter_may_stand_in_several_places_beside_casts_and_literals(connection: Connection) -> None:
    sql = "SELECT ARRAY[CAST(:it AS text), ':it', 'a'::text, :other, :it, $$:it$$]  -- :it"
    assert ask(connection, sql, it="1", other="2") == ["1", ":it", "a", "2", "1", ":it"]


@pytest.mark.parametrize("text", ["half a pair \ud83d", "a NUL \0"])
def test_text_that_no_database_holds_is_refused_and_the_connection_stays_usable(
    connection: Connection, text: str
) -> None:
    with pytest.raises((UnicodeEncodeError, DriverError)):
        connection.run([("SELECT CAST(:text AS text)", {"text": text})])
    connection.simple("ROLLBACK")
    assert ask(connection, "SELECT CAST(:text AS text)", text="fine") == "fine"


def test_the_session_gives_up_what_takes_too_long(connection: Connection) -> None:
    names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone")
    assert [ask(connection, "SELECT current_setting(:name)", name=name) for name in names] == [
        "30s",
        "3s",
        "30s",
        "UTC",
    ]


def test_an_idle_connection_that_the_server_closed_is_not_trusted(connection: Connection, database_url: str) -> None:
    process = ask(connection, "SELECT pg_backend_pid()")
    assert connection.can_be_trusted()
    other = Connection(database_url)
    ask(other, "SELECT pg_terminate_backend(:process)", process=process)
    other.close()
    wait_until(lambda: not connection.can_be_trusted())


def test_a_connection_that_was_idle_for_long_or_is_old_is_not_trusted(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idle, "TRUSTED_SECONDS", 0.2)
    ask(connection, "SELECT 1")
    assert connection.can_be_trusted()
    time.sleep(0.3)
    assert not connection.can_be_trusted()
    ask(connection, "SELECT 1")
    assert connection.can_be_trusted()
    monkeypatch.setattr(driver, "LONGEST_LIFE_SECONDS", 0.1)
    assert not connection.can_be_trusted()


def test_a_connection_cut_in_the_middle_of_an_answer_fails(proxy: Proxy) -> None:
    connection = Connection(proxy.url)
    proxy.cuts_answers = True
    with pytest.raises(ConnectionFailed):
        ask(connection, "SELECT 1")
    connection.close()
    with pytest.raises(ConnectionFailed):
        Connection(proxy.url)


@pytest.mark.parametrize(
    "url", ["postgresql://postgres@/postgres?host=/nowhere", "postgresql://postgres@127.0.0.1:1/postgres"]
)
def test_a_refused_connection_fails(url: str) -> None:
    with pytest.raises(ConnectionFailed):
        Connection(url)


def test_a_database_that_the_server_does_not_know_fails(database_url: str) -> None:
    # The server may have hung up before the driver says goodbye, which is all that the driver tells then.
    with pytest.raises((DriverError, *ConnectionFailed)) as caught:
        Connection(database_url.replace("@/", "@/no_such_"))
    assert sqlstate(caught.value)[0] in {"3D000", ""}


def test_the_plain_connection_for_migrations_reaches_the_same_database_and_waits_as_long_as_it_takes(
    connection: Connection, database_url: str
) -> None:
    plain = connect_dbapi(database_url)
    cursor = plain.cursor()
    cursor.execute("SELECT current_database()")
    assert cursor.fetchone()[0] == ask(connection, "SELECT current_database()")
    assert plain._usock.gettimeout() is None
    plain.close()


def test_what_the_server_no_longer_takes_is_let_go_with_the_session(database_url: str) -> None:
    """Python 3.13 complains of bytes that are held still when their buffer is thrown away."""
    connection = Connection(database_url)
    held = connection._driver._sock
    held.write(b"never sent")
    connection._driver._usock.shutdown(socket.SHUT_RDWR)
    connection.close()
    assert held.closed
