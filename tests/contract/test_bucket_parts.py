"""Parts: whatever the store and the network do, an object holds exactly what was written, or none is made.

Each row of the failure table of resumable uploads, with the fake's planned faults between the two.
"""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from functions.registry.blobs import part, wire
from functions.registry.blobs.errors import BlobStoreUnavailable
from functions.registry.blobs.part import PartWriter
from tests.contract.storage_support import QUANTUM, Api, crc32c_of

CHUNK: Final = 2 * QUANTUM
PIECE: Final = 100_003  # fits no chunk evenly
PATIENT_SECONDS: Final = 20.0
CONTENT: Final = random.Random(7).randbytes(8 * CHUNK)  # noqa: S311  # the same at every run
# Calls that send a chunk, and calls that ask how far a session came.
CHUNKS: Final = {"match": "^PUT /upload", "only_with_body": True}
CALLS: Final = {"match": "^PUT /upload"}


class Store:
    """The fake, and writers to it."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def writer(self, name: str, timeout_seconds: float = PATIENT_SECONDS) -> PartWriter:
        return PartWriter(self.session(name), CHUNK, timeout_seconds)

    def session(self, name: str) -> str:
        location: str = self.api.start(name, ifGenerationMatch="0").headers["Location"]
        return location

    def plan(self, action: str, **options: Any) -> None:
        answer = self.api.call("POST", "/_faults", json={"action": action, **options})
        assert answer.status_code == 204, answer.text

    def recover(self) -> None:
        self.api.call("DELETE", "/_faults")

    def are_all_faults_met(self) -> bool:
        return bool(self.api.call("GET", "/_faults").json() == [])

    def require(self, name: str, content: bytes) -> None:
        """The object is there, whole, and the store's checksum is the content's."""
        resource = self.api.call("GET", self.api.object_path(name)).json()
        assert (int(resource["size"]), resource["crc32c"]) == (len(content), crc32c_of(content))
        assert self.api.call("GET", self.api.media_path(name)).content == content

    def has(self, name: str) -> bool:
        return self.api.call("GET", self.api.object_path(name)).status_code == 200


@pytest.fixture
def store(only_ours: None, api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:  # noqa: ARG001
    monkeypatch.setattr(part, "_FIRST_WAIT_SECONDS", 0.001)
    store = Store(api)
    yield store
    store.recover()
    forget_connection()


def forget_connection() -> None:
    """A thread's connection keeps the time-out it was made with."""
    connection = getattr(wire._thread, "connection", None)
    if connection is not None:
        connection.close()
        wire._thread.connection = None


def write(writer: PartWriter, content: bytes, piece: int = PIECE) -> None:
    for first in range(0, len(content), piece):
        writer.write(content[first : first + piece])


def write_object(store: Store, name: str, content: bytes, timeout_seconds: float = PATIENT_SECONDS) -> None:
    writer = store.writer(name, timeout_seconds)
    write(writer, content)
    writer.close()
    assert writer.size == len(content)


# ---- lengths


@pytest.mark.parametrize(
    "size",
    [
        *(0, 1, QUANTUM - 1, QUANTUM, QUANTUM + 1),
        *(CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 12_345),
    ],
)
def test_an_object_of_any_length_is_written(store: Store, size: int) -> None:
    write_object(store, "x", CONTENT[:size])
    store.require("x", CONTENT[:size])


@pytest.mark.parametrize("piece", [1000, QUANTUM, CHUNK, CHUNK + 1, 3 * CHUNK + 1, 8 * CHUNK])
def test_pieces_may_be_of_any_length(store: Store, piece: int) -> None:
    writer = store.writer("x")
    write(writer, CONTENT, piece)
    writer.close()
    store.require("x", CONTENT)


def test_pieces_of_random_lengths_empty_ones_too_make_the_same_object(store: Store) -> None:
    randomness = random.Random(11)  # noqa: S311  # the same at every run
    writer = store.writer("x")
    first = 0
    while first < len(CONTENT):
        length = randomness.choice([0, 1, 77, QUANTUM, randomness.randrange(2 * CHUNK)])
        writer.write(CONTENT[first : first + length])
        first += length
        assert writer.size == min(first, len(CONTENT))
    writer.close()
    store.require("x", CONTENT)


@pytest.mark.parametrize("piece", [PIECE, QUANTUM, CHUNK, 2 * CHUNK])
def test_no_more_than_a_chunk_and_a_piece_is_held(store: Store, piece: int) -> None:
    writer = store.writer("x")
    for first in range(0, len(CONTENT), piece):
        writer.write(CONTENT[first : first + piece])
        assert sum(map(len, writer._kept)) == writer._kept_bytes <= CHUNK
    writer.cancel()


def test_memory_stays_flat_however_long_the_object(store: Store) -> None:
    writer = store.writer("x")
    write(writer, CONTENT, QUANTUM)
    tracemalloc.start()
    try:
        for _ in range(6):
            for _ in range(0, len(CONTENT), QUANTUM):
                writer.write(bytes(QUANTUM))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        writer.cancel()
    assert peak < CHUNK + 2 * QUANTUM


# ---- failures that are got over


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("skip", [0, 3, 7])
def test_a_chunk_that_is_refused_for_now_is_sent_again(store: Store, status: int, skip: int) -> None:
    store.plan("status", status=status, skip=skip, **CHUNKS)
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


@pytest.mark.parametrize("action", ["lose_answer", "cut", "break"])
@pytest.mark.parametrize("skip", [0, 3, 7])
def test_a_chunk_whose_connection_fails_is_asked_for_and_taken_up(store: Store, action: str, skip: int) -> None:
    """Stored whole, by half, or not at all: 8 chunks are sent, the last of which closes the session."""
    store.plan(action, skip=skip, **CHUNKS)
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


@pytest.mark.parametrize("action", ["lose_answer", "cut", "break"])
@pytest.mark.parametrize("size", [0, 1, CHUNK])
def test_the_answer_to_the_only_call_may_be_lost(store: Store, action: str, size: int) -> None:
    store.plan(action, **CALLS)
    write_object(store, "x", CONTENT[:size])
    store.require("x", CONTENT[:size])
    assert store.are_all_faults_met()


@pytest.mark.parametrize("second", ["status", "lose_answer", "break"])
@pytest.mark.parametrize("first", ["status", "lose_answer", "cut"])
def test_the_question_after_a_failure_may_fail_as_well(store: Store, first: str, second: str) -> None:
    store.plan(first, skip=2, **CHUNKS)
    store.plan(second, match="^PUT /upload", skip=3, count=2)
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


def test_a_store_that_takes_only_half_of_every_chunk_is_sent_the_rest(store: Store) -> None:
    store.plan("cut", **CHUNKS)
    for _ in range(7):
        store.plan("cut", skip=1, **CHUNKS)
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


@pytest.mark.parametrize("skip", [0, 3, 7])
def test_a_store_that_hangs_is_asked_after_the_time_out(store: Store, skip: int) -> None:
    store.plan("stall", seconds=0.8, skip=skip, **CHUNKS)
    write_object(store, "x", CONTENT, timeout_seconds=0.25)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


def test_a_connection_that_was_closed_while_idle_is_opened_again(store: Store) -> None:
    writer = store.writer("x")
    write(writer, CONTENT[: CHUNK + 1])
    connection = wire._thread.connection
    assert connection.sock is not None
    connection.sock.shutdown(2)
    write(writer, CONTENT[CHUNK + 1 :])
    writer.close()
    store.require("x", CONTENT)


def test_failures_without_an_end_in_sight_are_got_over_while_bytes_go_on(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every other attempt fails: more failures than attempts, but never without progress between them."""
    monkeypatch.setattr(part, "_ATTEMPTS_WITHOUT_PROGRESS", 3)
    for _ in range(4):
        store.plan("status", skip=1, **CHUNKS)
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


def test_a_store_that_answers_questions_has_all_its_attempts_at_a_chunk(store: Store) -> None:
    """A session that is alive is asked between attempts; asking is not one of them."""
    store.plan("status", count=part._ATTEMPTS_WITHOUT_PROGRESS - 1, **CHUNKS)
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)
    assert store.are_all_faults_met()


def test_waits_grow_and_are_cut_at_random(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[tuple[float, float]] = []

    def draw(least: float, most: float) -> float:
        waits.append((least, most))
        return 0

    monkeypatch.undo()
    monkeypatch.setattr(part.random, "uniform", draw)  # type: ignore[attr-defined]
    store.plan("status", count=1000, **CALLS)
    with pytest.raises(BlobStoreUnavailable):
        write_object(store, "x", CONTENT)
    assert [least for least, _ in waits] == [0] * 8
    assert [most for _, most in waits] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0])


# ---- failures that end it


def test_a_store_that_stays_down_is_given_up_and_the_same_upload_works_later(store: Store) -> None:
    writer = store.writer("x")
    write(writer, CONTENT[: 2 * CHUNK])
    store.plan("status", count=1000, **CALLS)
    with pytest.raises(BlobStoreUnavailable, match="no progress"):
        write(writer, CONTENT[2 * CHUNK :])
    writer.cancel()
    store.recover()
    assert not store.has("x")
    write_object(store, "x", CONTENT)
    store.require("x", CONTENT)


@pytest.mark.parametrize("action", ["break", "status"])
def test_a_store_that_goes_down_before_the_end_leaves_no_object(store: Store, action: str) -> None:
    writer = store.writer("x")
    write(writer, CONTENT)
    store.plan(action, count=1000, **CALLS)
    with pytest.raises(BlobStoreUnavailable):
        writer.close()
    store.recover()
    writer.cancel()
    assert not store.has("x")


def test_a_store_that_can_not_be_reached_is_given_up(store: Store) -> None:
    writer = PartWriter("http://127.0.0.1:1/upload?upload_id=1", CHUNK, 1)
    with pytest.raises(BlobStoreUnavailable, match="no progress"):
        write(writer, CONTENT)
    writer.cancel()
    assert not store.has("x")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 412])
@pytest.mark.parametrize("skip", [0, 3, 7])
def test_a_session_that_is_lost_ends_the_part(store: Store, status: int, skip: int) -> None:
    store.plan("status", status=status, skip=skip, **CHUNKS)
    with pytest.raises(BlobStoreUnavailable, match=f"ended with {status}"):
        write_object(store, "x", CONTENT)
    assert not store.has("x")


def test_a_session_that_the_store_forgot_ends_the_part(store: Store) -> None:
    session = store.session("x")
    writer = PartWriter(session, CHUNK, PATIENT_SECONDS)
    write(writer, CONTENT[: 2 * CHUNK])
    store.api.call("DELETE", session)
    with pytest.raises(BlobStoreUnavailable, match="ended with 404"):
        write(writer, CONTENT[2 * CHUNK :])
    writer.cancel()


def test_an_object_that_came_meanwhile_is_not_overwritten(store: Store) -> None:
    writer = store.writer("x")
    write(writer, CONTENT)
    store.api.upload("x", b"another")
    with pytest.raises(BlobStoreUnavailable, match="ended with 412"):
        writer.close()
    store.require("x", b"another")


def test_what_is_never_closed_leaves_no_object(store: Store) -> None:
    write(store.writer("x"), CONTENT)
    assert not store.has("x")


def test_a_cancelled_session_is_gone(store: Store) -> None:
    session = store.session("x")
    writer = PartWriter(session, CHUNK, PATIENT_SECONDS)
    write(writer, CONTENT)
    writer.cancel()
    assert store.api.call("PUT", session, headers={"Content-Range": "bytes */*"}).status_code == 404


@pytest.mark.parametrize("action", ["break", "status"])
def test_a_failed_cancel_is_of_no_account(store: Store, action: str) -> None:
    writer = store.writer("x")
    store.plan(action, match="^DELETE /upload")
    writer.cancel()
    assert store.are_all_faults_met()


# ---- many at once


@pytest.mark.parametrize("seed", [1, 2])
def test_twelve_writers_at_once_get_over_random_faults(store: Store, seed: int) -> None:
    randomness = random.Random(seed)  # noqa: S311  # the same at every run
    contents = {f"x{number}": CONTENT[: randomness.randrange(5 * CHUNK, 8 * CHUNK)] for number in range(12)}
    sessions = {name: store.session(name) for name in contents}
    for session in sessions.values():
        # Each writer meets its own, in the same order at every run, whatever the others do.
        for _ in range(5):
            action = randomness.choice(["status", "lose_answer", "cut", "break"])
            match = f"^PUT .*{session.rpartition('upload_id=')[2]}"
            store.plan(action, match=match, skip=randomness.randrange(4))
    started = threading.Barrier(12)

    def run(name: str) -> None:
        started.wait(timeout=10)
        writer = PartWriter(sessions[name], CHUNK, PATIENT_SECONDS)
        write(writer, contents[name])
        writer.close()
        forget_connection()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(run, contents))
    for name, content in contents.items():
        store.require(name, content)
    assert len(store.api.call("GET", "/_faults").json()) < 12
