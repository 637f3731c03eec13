"""Secrets and passwords: what is stored tells nothing, and what is wrong takes as long as what isn't there."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.registry.auth.secrets import (
    Peppers,
    hash_password,
    make_secret,
    parse_secret,
    verify_password,
)

PASSWORD = "correct horse battery"


def test_a_secret_has_the_form_that_scanners_know() -> None:
    assert re.fullmatch(r"slp_[a-z0-9]{12}_[A-Za-z0-9_-]{43}_[A-Za-z0-9]{6}", make_secret().text)


def test_a_secret_is_read_back() -> None:
    for _ in range(200):
        made = make_secret()
        assert parse_secret(made.text) == (made.id, made.text)


def test_no_two_secrets_are_alike() -> None:
    made = [make_secret() for _ in range(1000)]
    assert len({secret.id for secret in made}) == len({secret.text for secret in made}) == 1000


def test_a_secret_is_not_shown_by_accident() -> None:
    made = make_secret()
    assert made.text not in repr(made)


def test_a_secret_with_any_letter_changed_is_none() -> None:
    text = make_secret().text
    for position, letter in enumerate(text):
        other = "a" if letter != "a" else "b"
        assert parse_secret(text[:position] + other + text[position + 1 :]) is None


@pytest.mark.parametrize(
    "change", [str.upper, lambda text: text + "\n", lambda text: " " + text, lambda text: text[:-1]]
)
def test_what_is_nearly_a_secret_is_none(change: Callable[[str], str]) -> None:
    assert parse_secret(change(make_secret().text)) is None


@given(st.text() | st.text().map("slp_".__add__))
def test_any_text_is_no_secret(text: str) -> None:
    assert parse_secret(text) is None


def test_a_hash_takes_the_pepper() -> None:
    text = make_secret().text
    peppers = Peppers("pepper")
    hashed = peppers.hash(text)
    assert peppers.knows(text, hashed)
    assert not Peppers("another").knows(text, hashed)
    assert not peppers.knows(make_secret().text, hashed)
    assert text.encode() not in hashed


def test_of_several_peppers_the_first_makes_hashes_and_all_know_them() -> None:
    text, old, both = make_secret().text, Peppers("old"), Peppers("new\n old \r\n\n")
    assert both.knows(text, old.hash(text))
    assert both.hash(text) == Peppers("new").hash(text)
    assert both.hashes(text) == [both.hash(text), old.hash(text)]
    assert not old.knows(text, both.hash(text))


def test_no_pepper_is_none() -> None:
    assert not Peppers("")
    assert not Peppers(" \n")
    assert Peppers("x")


def test_a_password_is_verified() -> None:
    hashed = hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password(hashed, PASSWORD)
    assert not verify_password(hashed, PASSWORD + " ")
    assert hash_password(PASSWORD) != hashed


@pytest.mark.parametrize("text", ["", "a" * 11, "a" * 1025, "é" * 513])
def test_a_password_has_bounds(text: str) -> None:
    with pytest.raises(ValueError, match="at least 12 characters and at most 1024 bytes"):
        hash_password(text)


@pytest.mark.parametrize("text", ["a" * 12, "é" * 512, "\0" * 12])
def test_a_password_within_them_is_any_text(text: str) -> None:
    assert verify_password(hash_password(text), text)


@pytest.mark.parametrize("text", ["", "a" * 100_000, "\ud800" * 20, PASSWORD])
def test_nobody_has_no_password(text: str) -> None:
    assert not verify_password(None, text)


def test_an_unknown_user_takes_as_long_as_a_wrong_password() -> None:
    hashed = hash_password(PASSWORD)

    def median(stored: str | None) -> float:
        times = []
        for _ in range(15):
            started = time.thread_time()
            verify_password(stored, "wrong password")
            times.append(time.thread_time() - started)
        return statistics.median(times)

    verify_password(None, "the first call makes the hash")
    assert median(None) == pytest.approx(median(hashed), rel=0.5)


def test_a_process_that_checks_no_password_does_not_import_argon2() -> None:
    script = (
        "import sys; from functions.registry.auth.secrets import make_secret, parse_secret;"
        "parse_secret(make_secret().text); print('argon2' in sys.modules)"
    )
    finished = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert finished.stdout.strip() == "False"
