"""Hashes whose state is kept and taken up again: the same digest as hashlib's, wherever they were interrupted."""

from __future__ import annotations

import ctypes
import hashlib
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.blobs import hashing
from functions.registry.blobs.hashing import RunningHash
from tests.unit import strategies

ROOT: Final = Path(__file__).resolve().parents[2]
ALGORITHMS: Final = ("sha256", "sha512")
MEBIBYTE: Final = 1 << 20
CONTENT: Final = random.Random(1).randbytes(MEBIBYTE + 400)  # noqa: S311  # the same at every run

_RESUME_ELSEWHERE: Final = """
import sys
from functions.registry.blobs import hashing
algorithm, state, more = sys.argv[1], bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
running = hashing.resume(algorithm, state)
running.update(more)
print(running.hexdigest())
"""

resumable = pytest.mark.skipif(hashing._library() is None, reason="this Python has no libcrypto of its own")


def expected(algorithm: str, content: bytes) -> str:
    return hashlib.new(algorithm, content).hexdigest()


def interrupted(algorithm: str, first: bytes) -> tuple[RunningHash, bytes]:
    running = hashing.start(algorithm)
    running.update(first)
    state = running.state()
    assert state is not None
    return running, state


def resumed(algorithm: str, state: bytes) -> RunningHash:
    running = hashing.resume(algorithm, state)
    assert running is not None
    return running


def check_interruption(algorithm: str, length: int) -> None:
    first, more = CONTENT[:length], CONTENT[length : length + 300]
    original, state = interrupted(algorithm, first)
    again = resumed(algorithm, state)
    assert again.state() == state
    assert again.hexdigest() == expected(algorithm, first)
    again.update(more)
    assert again.hexdigest() == expected(algorithm, first + more)
    # Keeping the state, and whatever becomes of it, leaves the original as it was.
    assert original.hexdigest() == expected(algorithm, first)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hash_is_what_hashlib_says(algorithm: str) -> None:
    for length in (0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, MEBIBYTE):
        running = hashing.start(algorithm)
        running.update(CONTENT[:length])
        assert running.hexdigest() == expected(algorithm, CONTENT[:length])


@resumable
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hash_goes_on_after_any_number_of_bytes(algorithm: str) -> None:
    for length in range(301):
        check_interruption(algorithm, length)


@resumable
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hash_goes_on_after_about_a_mebibyte(algorithm: str) -> None:
    for length in (*range(MEBIBYTE - 3, MEBIBYTE + 4), MEBIBYTE + 55, MEBIBYTE + 64, MEBIBYTE + 127, MEBIBYTE + 128):
        check_interruption(algorithm, length)


@resumable
@given(strategies.algorithms(), st.lists(st.binary(max_size=300), max_size=6))
def test_a_hash_may_be_interrupted_at_every_piece(algorithm: str, pieces: list[bytes]) -> None:
    running = hashing.start(algorithm)
    for piece in pieces:
        running.update(piece)
        state = running.state()
        assert state is not None
        running = resumed(algorithm, state)
    assert running.hexdigest() == expected(algorithm, b"".join(pieces))


@resumable
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hash_goes_on_in_another_process(algorithm: str) -> None:
    first, more = CONTENT[:12_345], CONTENT[12_345:12_999]
    _, state = interrupted(algorithm, first)
    finished = subprocess.run(
        [sys.executable, "-c", _RESUME_ELSEWHERE, algorithm, state.hex(), more.hex()],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert finished.stdout.strip() == expected(algorithm, first + more)


@resumable
@pytest.mark.parametrize(("algorithm", "words", "block"), [("sha256", 8 * 4, 64), ("sha512", 8 * 8, 128)])
def test_a_state_is_the_words_the_length_and_the_unfinished_block(algorithm: str, words: int, block: int) -> None:
    for length in (0, 1, block - 1, block, 3 * block + 7):
        _, state = interrupted(algorithm, CONTENT[:length])
        tail = CONTENT[length - length % block : length]
        assert len(state) == words + 8 + len(tail)
        assert state[words:] == length.to_bytes(8, "big") + tail


@resumable
def test_a_state_of_terabytes_keeps_its_length() -> None:
    """Made by hand: nobody hashes that much in a test."""
    _, state = interrupted("sha256", b"")
    long = state[:32] + (20 << 40).to_bytes(8, "big")
    running = resumed("sha256", long)
    running.update(b"x" * 64)
    assert running.state() is not None
    assert (running.state() or b"")[32:40] == ((20 << 40) + 64).to_bytes(8, "big")


def test_without_a_state_there_is_nothing_to_resume() -> None:
    assert hashing.resume("sha256", None) is None


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_without_the_library_hashes_run_but_have_no_state(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_library", lambda: None)
    running = hashing.start(algorithm)
    running.update(CONTENT[:1000])
    running.update(CONTENT[1000:2000])
    assert running.hexdigest() == expected(algorithm, CONTENT[:2000])
    assert running.state() is None
    assert hashing.resume(algorithm, b"\0" * 40) is None


class _Broken:
    """A library whose functions are there, and fail or do nothing."""

    def __init__(self, result: int) -> None:
        self._result = result

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self._result


class _Lacking:
    """A library without the functions."""


@pytest.mark.parametrize("library", [_Lacking(), _Broken(0), _Broken(1)], ids=["lacking", "failing", "idle"])
def test_a_library_that_does_not_hash_as_hashlib_does_is_not_used(
    library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    assert hashing._library.__wrapped__() is None


def test_a_library_that_can_not_be_loaded_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert hashing._library.__wrapped__() is None
    monkeypatch.setattr(ctypes.util, "find_library", lambda _: None)
    assert hashing._library.__wrapped__() is None
