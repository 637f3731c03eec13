"""Prepared statements: one trip as ever, and right whatever the schema, the server or a pooler does meanwhile."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from functions.registry.metadata.connections.prepared import MOST, PreparedStatements
from functions.registry.metadata.db import Database, Session
from functions.registry.metadata.driver import Connection, DriverError, OutOfDate, sqlstate
from tests.metadata.build import wait_until
from tests.metadata.proxy import Proxy, proxied
from tests.statements import of_tests

ONE = "SELECT CAST(:one AS int)"
TWO = "SELECT CAST(:two AS text), CAST(:two AS text) || '!'"
THREE = "SELECT CAST(:three AS int), 'a', NULL"
SETTINGS = "statement_timeout,idle_in_transaction_session_timeout,jit,lock_timeout,enable_seqscan"
COUNT = "SELECT name FROM pg_prepared_statements ORDER BY name"


class Everything:
    """The set of all texts: whatever is run is kept."""

    def __contains__(self, _: object) -> bool:
        return True


ALL: Any = Everything()


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    with closing(Connection(database_url)) as connection:
        yield connection
        connection.simple("DROP TABLE IF EXISTS changing, written")


Call = tuple[str, dict[str, Any]]


def run(connection: Connection, *batch: Call) -> list[list[list[Any]]]:
    return [outcome.rows for outcome in connection.run(batch, ALL)]


def names(connection: Connection) -> list[str]:
    return [row[0] for row in connection.run([(COUNT, {})])[0].rows]


def warm(connection: Connection, *batch: Call) -> None:
    for _ in range(2):
        run(connection, *batch)


def state_of(connection: Connection, *batch: Call) -> str:
    with pytest.raises(DriverError) as caught:
        run(connection, *batch)
    return sqlstate(caught.value)[0]


def test_a_statement_is_prepared_at_its_second_use_in_the_trip_that_runs_it(proxy: Proxy) -> None:
    with closing(Connection(proxy.url)) as connection:
        trips, kept = [], []
        for number in range(4):
            before = proxy.turns
            assert run(connection, (ONE, {"one": number})) == [[[number]]]
            trips.append(proxy.turns - before)
            kept.append(len(names(connection)))
        assert (trips, kept) == ([1, 1, 1, 1], [0, 1, 1, 1])


def test_what_is_not_to_be_kept_is_not(connection: Connection) -> None:
    for number in range(3):
        assert connection.run([(ONE, {"one": number}), (TWO, {"two": "b"})], {TWO})[0].rows == [[number]]
    assert len(names(connection)) == 1


@pytest.mark.parametrize("uses", [1, 2, 3], ids=["unnamed", "new", "known"])
def test_each_statement_of_a_batch_has_its_own_columns(connection: Connection, uses: int) -> None:
    batch: list[Call] = [
        (ONE, {"one": 1}),
        (TWO, {"two": "b"}),
        (ONE, {"one": 3}),
        (THREE, {"three": 4}),
        (TWO, {"two": "e"}),
    ]
    for _ in range(uses):
        assert run(connection, *batch) == [[[1]], [["b", "b!"]], [[3]], [[4, "a", None]], [["e", "e!"]]]


@pytest.mark.parametrize(
    ("bad", "state"),
    [
        (("SELECT 1 / CAST(:zero AS int)", {"zero": 0}), "22012"),
        (("SELECT nothing FROM tags", {}), "42703"),
        ((ONE, {"one": "no number"}), "22P02"),
    ],
    ids=["while it runs", "parsed", "bound"],
)
def test_after_an_error_only_what_the_server_has_described_is_known(
    connection: Connection, bad: Call, state: str
) -> None:
    good, new = (TWO, {"two": "b"}), (THREE, {"three": 1})
    run(connection, good), run(connection, new)
    assert state_of(connection, good, bad, new) == state
    assert len(names(connection)) == 1
    assert run(connection, good, new) == [[["b", "b!"]], [[1, "a", None]]]
    assert state_of(connection, good, bad, new) == state
    assert run(connection, good, new) == [[["b", "b!"]], [[1, "a", None]]]


def test_a_value_that_can_not_be_written_sends_nothing(connection: Connection) -> None:
    warm(connection, (ONE, {"one": 1}))
    for _ in range(3):
        with pytest.raises(UnicodeEncodeError):
            run(connection, (ONE, {"one": 1}), (TWO, {"two": "half a pair \ud83d"}))
        assert run(connection, (ONE, {"one": 2}), (TWO, {"two": "b"})) == [[[2]], [["b", "b!"]]]


def test_a_result_of_another_type_is_read_anew_and_what_was_written_beside_it_once(
    connection: Connection, database_url: str
) -> None:
    connection.simple(
        "CREATE TABLE changing (value int); INSERT INTO changing VALUES (7); CREATE TABLE written (n int)"
    )
    batch: list[Call] = [("INSERT INTO written VALUES (1)", {}), ("SELECT value FROM changing", {})]
    warm(connection, *batch)
    connection.simple("TRUNCATE written")
    with closing(Connection(database_url)) as other:
        other.simple("ALTER TABLE changing ALTER COLUMN value TYPE text")
    assert run(connection, *batch) == [[], [["7"]]]
    assert run(connection, ("SELECT count(*) FROM written", {})) == [[[1]]]


def test_in_a_transaction_the_whole_of_it_has_to_be_run_again(connection: Connection, database_url: str) -> None:
    connection.simple("CREATE TABLE changing (value int); INSERT INTO changing VALUES (7)")
    warm(connection, ("SELECT value FROM changing", {}))
    connection.simple("BEGIN")
    run(connection, (ONE, {"one": 1}))
    with closing(Connection(database_url)) as other:
        other.simple("ALTER TABLE changing ALTER COLUMN value TYPE text")
    with pytest.raises(OutOfDate):
        run(connection, ("SELECT value FROM changing", {}))
    connection.simple("ROLLBACK")
    connection.simple("BEGIN")
    assert run(connection, ("SELECT value FROM changing", {})) == [[["7"]]]
    connection.simple("COMMIT")


@pytest.mark.parametrize("command", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_what_the_server_has_forgotten_costs_one_trip_more(proxy: Proxy, command: str) -> None:
    with closing(Connection(proxy.url)) as connection:
        warm(connection, (ONE, {"one": 1}))
        connection.simple(command)
        trips = []
        for _ in range(2):
            before = proxy.turns
            assert run(connection, (ONE, {"one": 1})) == [[[1]]]
            trips.append(proxy.turns - before)
        assert trips == [2, 1]


@pytest.mark.parametrize(
    ("statement", "state"),
    [
        (("SELECT CAST(:number AS smallint)", {"number": 1 << 20}), "22003"),
        (("SELECT count(*) FROM tags FOR UPDATE", {}), "0A000"),
    ],
)
def test_an_error_of_those_kinds_that_stays_is_told(connection: Connection, statement: Call, state: str) -> None:
    for _ in range(3):
        assert state_of(connection, (ONE, {"one": 1}), statement) == state
    assert run(connection, (ONE, {"one": 1})) == [[[1]]]


def test_a_session_keeps_so_many_and_forgets_those_that_were_not_used_for_longest(connection: Connection) -> None:
    texts = [f"SELECT {number} + CAST(:one AS int)" for number in range(MOST + 10)]
    for _ in range(2):
        for number, text in enumerate(texts):
            assert run(connection, (text, {"one": 1})) == [[[number + 1]]]
    assert len(names(connection)) == MOST
    before = names(connection)
    assert run(connection, (texts[20], {"one": 1}), (texts[0], {"one": 1})) == [[[21]], [[1]]]
    assert len(names(connection)) == MOST
    assert set(before) - set(names(connection)), "one made room"


def test_a_batch_of_more_than_are_kept_runs() -> None:
    statements = PreparedStatements()
    texts = [f"SELECT {number}" for number in range(MOST + 5)]
    for _ in range(3):
        plan = statements.plan(texts, ALL)
        for step in plan.steps:
            step.statement.readers = []
        statements.note(plan)
        used = {step.statement.name for step in plan.steps if not step.is_parsed}
        assert not used & set(plan.forgotten)


READ = of_tests("test_read", int, "SELECT value FROM changing WHERE id = :id", is_hot=True)
ADD = of_tests("test_add", int, "UPDATE changing SET value = value + 1 WHERE id = :id RETURNING 1", is_hot=True)


def test_nobody_notices_that_columns_change_their_type(database_url: str, connection: Connection) -> None:
    """Results and parameters of what four threads run, alone and in transactions, change twenty times."""
    connection.simple("CREATE TABLE changing (id int PRIMARY KEY, value int)")
    connection.simple("INSERT INTO changing SELECT generate_series(0, 3), 0")
    database, is_over, done = Database(database_url, size=4), threading.Event(), [0, 0, 0, 0]

    def add(session: Session, number: int) -> None:
        session.all(READ(id=number))
        session.all(ADD(id=number))

    def work(number: int) -> None:
        while not is_over.is_set():
            if number % 2:
                database.transaction(lambda session: add(session, number))
            else:
                database.batch([READ(id=number), ADD(id=number)])
            done[number] += 1

    with ThreadPoolExecutor(4) as pool:
        workers = [pool.submit(work, number) for number in range(4)]
        try:
            for change in range(20):
                _wait_for_more(done, workers)
                kind = ("bigint", "int")[change % 2]
                connection.simple(f"ALTER TABLE changing ALTER COLUMN value TYPE {kind}, ALTER COLUMN id TYPE {kind}")
        finally:
            is_over.set()
        for worker in workers:
            worker.result()
    database.close()
    rows = connection.run([("SELECT value FROM changing ORDER BY id", {})])[0].rows
    assert rows == [[count] for count in done]


def _wait_for_more(done: list[int], workers: list[Future[None]]) -> None:
    """Waits until each of them has done more, so that no transaction meets more than one change: it is tried thrice."""
    before = list(done)
    wait_until(
        lambda: all(now > then for now, then in zip(done, before, strict=True)) or any(each.done() for each in workers)
    )


@pytest.fixture
def pooled(database_url: str) -> Iterator[str]:
    """The address of a transaction pooler that has two sessions for all its clients."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("install pgbouncer: apt-get install pgbouncer")
    with proxied(database_url, socket.AF_INET) as proxy, tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        port = _write_settings(Path(folder), proxy.url)
        # As root it wants to become somebody else.
        process = subprocess.Popen([program, "-u", "nobody", f"{folder}/pgbouncer.ini"], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: process.poll() is not None or _listens(port))
            yield f"postgresql://postgres@127.0.0.1:{port}/pooled"
        finally:
            process.terminate()
            process.wait(10)


def _write_settings(folder: Path, server: str) -> int:
    """The port that the pooler will listen on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    address = urlsplit(server)
    (folder / "users.txt").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        "[databases]\n"
        f"pooled = host=127.0.0.1 port={address.port} dbname={address.path.lstrip('/')} user=postgres pool_size=2\n"
        "[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = any\nauth_file = {folder}/users.txt\n"
        f"pool_mode = transaction\nignore_startup_parameters = {SETTINGS}\n"
    )
    return port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_behind_a_pooler_a_name_means_the_same_statement_in_every_session(pooled: str) -> None:
    """Eight clients, twenty statements each in an order of its own, on two sessions of the server."""

    def work(client: int) -> list[int]:
        with closing(Connection(pooled)) as connection:
            wrong = []
            for turn in range(60):
                number = (turn * 7 + client * 3) % 20
                text = f"SELECT CAST(:n AS int) * 100 + {number}"
                ((value,),) = connection.run([(text, {"n": client})], ALL)[0].rows
                if value != client * 100 + number:
                    wrong.append(value)
            return wrong

    with ThreadPoolExecutor(8) as pool:
        assert [wrong for found in pool.map(work, range(8)) for wrong in found] == []
