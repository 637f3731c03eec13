"""What a start is made of, each piece by itself: ports, the lock, files that are kept, addresses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from functions.registry.metadata.driver import Connection
from local import data_lock, postgres
from local.data_lock import locked
from local.guard import HOST, StartRefused
from local.kept import kept, write_whole
from local.listening import listen, port_of, reserve
from local.postgres import Postgres
from local.processes import Child, Children, unless_orphaned
from local.programs import ROOT
from tests.local.runs import names_in, within

NAMES = ("KEY", "PEPPER")
MADE = {"KEY": "a", "PEPPER": "b"}
# Signs that mean something to make, to a shell, to a URL, to PostgreSQL's lists or to argparse.
ODD_NAMES = (
    "with space",
    "o'brien",
    'a "quoted" one',
    "c++",
    "100%25",
    "a&b",
    "x#y",
    "$HOME",
    "a;b",
    "a?b=c",
    "a,b",
    "a\\b",
    "@{u}",
    "dätä-日本",
    "-dash",
    "l" * 200,
    "*",
)


def test_a_port_is_ours_from_the_moment_it_is_chosen() -> None:
    with listen(0) as listener:
        with pytest.raises(StartRefused, match="can't be used"):
            listen(port_of(listener))
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind((HOST, port_of(listener)))


def test_a_reserved_port_goes_to_who_asks_for_it_by_number_and_to_nobody_else() -> None:
    with reserve() as keeper:
        chosen = port_of(keeper)
        others = [listen(0) for _ in range(500)]
        assert chosen not in {port_of(other) for other in others}
        for other in others:
            other.close()
        with listen(chosen):
            socket.create_connection((HOST, chosen), timeout=5).close()


def test_a_port_is_waited_for_where_it_may_become_free() -> None:
    taken = listen(0)
    chosen = port_of(taken)
    threading.Timer(0.5, taken.close).start()
    with listen(chosen, patience=20) as listener:
        assert port_of(listener) == chosen


def test_a_child_takes_the_socket_over(tmp_path: Path) -> None:
    code = "import socket, sys; s = socket.socket(fileno=int(sys.argv[1])); s.accept()[0].sendall(b'hello')"
    listener = listen(0)
    port, command = port_of(listener), [sys.executable, "-c", code, str(listener.fileno())]
    children = Children()
    try:
        children.start(Child("child", command, tmp_path / "log", dict(os.environ), listener=listener))
        assert listener.fileno() == -1
        with socket.create_connection((HOST, port), timeout=20) as client:
            client.settimeout(20)
            assert client.recv(10) == b"hello"
    finally:
        children.stop()
    listen(port).close()


def test_what_a_child_started_ends_with_it_however_it_ended(tmp_path: Path) -> None:
    """Its own children don't heed SIGTERM, and one of them was left behind by a child that was killed."""
    code = "trap '' TERM; sleep 1000 & echo $! >> pids; wait"
    for kill in (True, False):
        children = Children()
        child = children.start(Child("sh", ["/bin/sh", "-c", f"cd {tmp_path}; {code}"], tmp_path / "log"))
        assert within(20, lambda: (tmp_path / "pids").exists() and (tmp_path / "pids").read_text().endswith("\n"))
        left = int((tmp_path / "pids").read_text())
        assert child.process is not None
        if kill:
            child.process.kill()
            child.process.wait()
        else:
            child.stop_signal = signal.SIGKILL
        children.stop()
        assert within(5, lambda: not _is_alive(left))  # noqa: B023  # it is called here and now
        (tmp_path / "pids").unlink()


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_lock_names_who_holds_it_and_a_run_that_was_killed(tmp_path: Path) -> None:
    with locked(tmp_path) as lock:
        assert lock.earlier_port is None
        lock.name_run(1234)
        held = rf"another run \(process {os.getpid()} at http://127.0.0.1:1234\): stop"
        with pytest.raises(StartRefused, match=held), locked(tmp_path):
            pass
    with locked(tmp_path) as lock:
        assert lock.earlier_port == 1234
        lock.forget_run()
    with locked(tmp_path) as lock:
        assert lock.earlier_port is None


def test_a_lock_that_was_deleted_meanwhile_is_none(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / data_lock.NAME).unlink()
        with locked(tmp_path), pytest.raises(StartRefused), locked(tmp_path):
            pass


def test_a_kept_file_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    assert kept(path, NAMES, lambda: MADE) == MADE
    assert kept(path, NAMES, lambda: {"KEY": "other", "PEPPER": "other"}) == MADE
    assert path.stat().st_mode & 0o777 == 0o600
    assert names_in(tmp_path) == ["kept.json"]


def test_an_empty_kept_file_is_none(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.touch()
    assert kept(path, NAMES, lambda: MADE) == MADE


WHOLE = json.dumps(MADE)
DAMAGED = [WHOLE[:length] for length in range(1, len(WHOLE))] + ["null", "[]", "{}", '{"KEY": "a"}', "\ufeff", "5"]


def test_a_damaged_kept_file_is_refused_in_one_line_and_left(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    for text in DAMAGED:
        path.write_text(text)
        with pytest.raises(StartRefused, match=r"kept.json is damaged: [^\n]+$"):
            kept(path, NAMES, lambda: MADE)
        assert path.read_text() == text
    path.write_bytes(b"\xff\x00")
    with pytest.raises(StartRefused, match="is damaged"):
        kept(path, NAMES, lambda: MADE)


def test_a_write_that_is_ended_anywhere_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    """Ended by the file size that a process may write: each limit ends it at another byte."""
    path, text = tmp_path / "kept.json", "new" * 1000
    code = "import resource, sys; from pathlib import Path; from local.kept import write_whole; \
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2); \
        write_whole(Path(sys.argv[1]), 'new' * 1000)"
    for limit in (0, 1, 2999, 3000):
        write_whole(path, "old")
        subprocess.run([sys.executable, "-c", code, path, str(limit)], cwd=ROOT, check=False, capture_output=True)
        assert path.read_text() == (text if limit == len(text) else "old")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database's folder, to be moved about."""
    folder = tmp_path_factory.mktemp("cluster") / "data"
    Postgres(folder, ephemeral=True).prepare()
    return folder


def test_a_database_is_reached_below_a_folder_of_any_name(cluster: Path, tmp_path: Path) -> None:
    for name in (*ODD_NAMES, os.fsdecode(b"no \xff utf8")):
        folder = tmp_path / name / "postgres"
        folder.parent.mkdir()
        shutil.move(cluster, folder)
        children, server = Children(), Postgres(folder, ephemeral=True)
        try:
            children.wait_until(children.start(server.prepare()), server.is_ready, seconds=60)
            connection = Connection(server.url())
            assert connection.run([("SELECT 1", {})])[0].rows == [[1]]
            connection.close()
        finally:
            children.stop()
            shutil.move(folder, cluster)
        assert urlsplit(server.url()).fragment == ""


def test_a_killed_servers_leftovers_are_waited_for(cluster: Path) -> None:
    """A session that outlives the server for a moment; a pid file with a number that is another's by now; and a lock on
    the socket with that of a program which has ended, and nobody has asked how.
    """
    ended = subprocess.Popen([*postgres._as_account(), "true"])
    children, server = Children(), Postgres(cluster, ephemeral=True)
    child = children.start(server.prepare())
    try:
        children.wait_until(child, server.is_ready, seconds=60)
        assert child.process is not None
        left = [
            int(pid) for pid in Path(f"/proc/{child.process.pid}/task/{child.process.pid}/children").read_text().split()
        ]
        for pid in left[:1]:
            os.kill(pid, signal.SIGSTOP)
        child.process.kill()
        child.process.wait()
        waker = subprocess.Popen(["/bin/sh", "-c", f"sleep 1; kill -CONT {left[0]}"])
        text = (cluster / "postmaster.pid").read_text()
        (cluster / "postmaster.pid").write_text(text.replace(str(child.process.pid), str(os.getpid()), 1))
        (cluster / ".s.PGSQL.5432.lock").write_text(f"{ended.pid}\n{cluster}\n0\n5432\n{cluster}\n")
        children.wait_until(children.start(server.prepare()), server.is_ready, seconds=60)
        waker.wait()
    finally:
        children.stop()
        ended.wait()


def test_a_child_whose_parent_is_gone_already_does_not_begin() -> None:
    """The kernel would not tell it of that end."""
    begin = [*unless_orphaned(), "true"]
    assert subprocess.run(begin, check=False).returncode == 0
    assert subprocess.run(["/bin/sh", "-c", '"$@"; exit $?', "sh", *begin], check=False).returncode == 1
